// SPDX-License-Identifier: MIT
#include "outbox/broker/nats.hpp"

#include <memory>

#include "outbox/testing/laws/delivery.hpp"
#include "support/nats_server.hpp"

namespace {

/// Core NATS keeps nothing: a listener has to be there first.
struct model {
    using broker_type = outbox::nats_broker;
    static constexpr bool acknowledges = false;

    support::nats_server server{};
    std::unique_ptr<support::nats_client> client{};
    natsSubscription* subscription{nullptr};
    std::vector<laws::delivery> heard{};

    model() {
        listen();
    }
    model(model const&) = delete;
    model& operator=(model const&) = delete;
    ~model() {
        natsSubscription_Destroy(subscription);
    }
    void listen() {
        natsSubscription_Destroy(subscription);
        client = std::make_unique<support::nats_client>(server.url());
        natsConnection_SubscribeSync(&subscription, client->connection(), "law.>");
        natsConnection_Flush(client->connection());
    }
    broker_type broker() {
        return broker_type{{.url = server.url()}};
    }
    std::vector<laws::delivery> delivered() {
        natsConnection_Flush(client->connection());
        natsMsg* message = nullptr;
        while (natsSubscription_NextMsg(&message, subscription, 200) == NATS_OK) {
            auto one = support::nats_client::copy(message);
            natsMsg_Destroy(message);
            auto id = one.message_id();
            heard.push_back({one.subject, one.payload, std::move(id), std::move(one.headers)});
        }
        return heard;
    }
    void go_down() {
        server.kill();
    }
    void come_up() {
        server.start();
        listen();
    }
};

}  // namespace

#include "outbox/testing/laws/broker_laws.hpp"
