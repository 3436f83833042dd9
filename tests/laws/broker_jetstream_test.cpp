// SPDX-License-Identifier: MIT
#include "outbox/broker/jetstream.hpp"

#include "outbox/testing/laws/delivery.hpp"
#include "support/nats_server.hpp"

namespace {

struct model {
    using broker_type = outbox::jetstream_broker;
    static constexpr bool acknowledges = true;

    support::nats_server server{};

    broker_type broker() {
        return broker_type{
            {.connection = {.url = server.url()},
             .create_stream = outbox::jetstream_stream{.name = "LAWS", .subjects = {"law.>"}}}};
    }
    std::vector<laws::delivery> delivered() {
        std::vector<laws::delivery> all;
        for (auto& one : support::nats_client{server.url()}.read("LAWS")) {
            auto id = one.message_id();
            all.push_back({one.subject, one.payload, std::move(id), std::move(one.headers)});
        }
        return all;
    }
    void go_down() {
        server.kill();
    }
    void come_up() {
        server.start();
    }
};

}  // namespace

#include "outbox/testing/laws/broker_laws.hpp"
