// SPDX-License-Identifier: MIT
//
// A stranger's broker before the laws that are installed with the library.
#include <outbox/broker/memory.hpp>
#include <outbox/testing/laws/delivery.hpp>

namespace {

struct model {
    using broker_type = outbox::memory_broker;
    static constexpr bool acknowledges = true;

    broker_type all{};

    broker_type broker() {
        return all;
    }
    std::vector<outbox::testing::laws::delivery> delivered() {
        std::vector<outbox::testing::laws::delivery> copies;
        for (auto const& one : all.delivered()) {
            auto& copy = copies.emplace_back();
            copy.topic = one.topic;
            copy.payload = one.payload;
            copy.id = to_string(one.id);
            outbox::for_each_header(one.headers,
                                    [&](std::string_view name, std::string_view value) {
                                        copy.headers.emplace_back(name, value);
                                    });
        }
        return copies;
    }
    void go_down() {
        all.go_down();
    }
    void come_up() {
        all.come_up();
    }
};

}  // namespace

#include <outbox/testing/laws/broker_laws.hpp>
