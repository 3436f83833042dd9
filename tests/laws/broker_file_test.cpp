// SPDX-License-Identifier: MIT
//
// The demo's broker keeps the laws, too: what the how-to shows is a broker indeed.
#include "file_broker.hpp"

#include "outbox/headers.hpp"
#include "outbox/testing/laws/delivery.hpp"
#include "support/process.hpp"

namespace {

/// Down while its folder is somewhere else.
struct model {
    using broker_type = demo::file_broker;
    static constexpr bool acknowledges = true;

    support::temporary_folder folder{};
    std::filesystem::path place{folder.path() / "here"};

    model() {
        std::filesystem::create_directory(place);
    }
    broker_type broker() {
        return broker_type{place / "deliveries.log"};
    }
    std::vector<laws::delivery> delivered() {
        std::vector<laws::delivery> all;
        for (auto const& one : demo::read_deliveries(place / "deliveries.log")) {
            auto& copy = all.emplace_back();
            copy.topic = one.topic;
            copy.payload = one.payload;
            copy.id = one.id;
            outbox::for_each_header(one.headers,
                                    [&](std::string_view name, std::string_view value) {
                                        copy.headers.emplace_back(name, value);
                                    });
        }
        return all;
    }
    void go_down() {
        std::filesystem::rename(place, folder.path() / "elsewhere");
    }
    void come_up() {
        std::filesystem::rename(folder.path() / "elsewhere", place);
    }
};

}  // namespace

#include "outbox/testing/laws/broker_laws.hpp"
