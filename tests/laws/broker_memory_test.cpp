// SPDX-License-Identifier: MIT
#include "outbox/broker/memory.hpp"

#include "outbox/testing/laws/delivery.hpp"

namespace {

struct model {
    using broker_type = outbox::memory_broker;
    static constexpr bool acknowledges = true;

    broker_type memory{};

    broker_type broker() {
        return memory;
    }
    std::vector<laws::delivery> delivered() {
        std::vector<laws::delivery> all;
        for (auto const& one : memory.delivered()) {
            auto& copy = all.emplace_back();
            copy.topic = one.topic;
            copy.payload = one.payload;
            copy.id = to_string(one.id);
            outbox::for_each_header(one.headers,
                                    [&](std::string_view name, std::string_view value) {
                                        copy.headers.emplace_back(name, value);
                                    });
        }
        return all;
    }
    void go_down() {
        memory.go_down();
    }
    void come_up() {
        memory.come_up();
    }
};

}  // namespace

#include "outbox/testing/laws/broker_laws.hpp"
