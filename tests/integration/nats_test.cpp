// SPDX-License-Identifier: MIT
//
// Core NATS: what "handed over" means, and when it may not be said.
#include "outbox/broker/nats.hpp"
#include "outbox/testing/catch.hpp"
#include "outbox/testing/publishing.hpp"
#include "support/nats_server.hpp"
#include "support/resetting_nats.hpp"

namespace {

using outbox::outcome;

struct listener {
    explicit listener(support::nats_client& client, char const* subject) {
        natsConnection_SubscribeSync(&subscription, client.connection(), subject);
        natsConnection_Flush(client.connection());
    }
    ~listener() {
        natsSubscription_Destroy(subscription);
    }
    listener(listener const&) = delete;
    listener& operator=(listener const&) = delete;
    [[nodiscard]] support::stored_message next() const {
        natsMsg* message = nullptr;
        REQUIRE(natsSubscription_NextMsg(&message, subscription, 30'000) == NATS_OK);
        auto read = support::nats_client::copy(message);
        natsMsg_Destroy(message);
        return read;
    }
    natsSubscription* subscription{nullptr};
};

}  // namespace

TEST_CASE("core NATS hands over bytes, headers and id, in the order of sending") {
    support::nats_server const server;
    support::nats_client client{server.url()};
    listener const hears{client, "order.*"};
    outbox::testing::publishing to{outbox::nats_broker{{.url = server.url()}}};
    std::string bytes;
    for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
    auto& sent = to.add("order.created", bytes, "traceparent: 00-a-b-01\n");
    CHECK(to.publish(sent).what == outcome::accepted);
    auto const heard = hears.next();
    CHECK(heard.payload == bytes);
    CHECK(heard.header("traceparent") == "00-a-b-01");
    CHECK(heard.header("Nats-Msg-Id") == to_string(sent.id) + ".public.outbox.0");

    outbox::testing::publishing many{outbox::nats_broker{{.url = server.url()}}};
    for (int i = 0; i < 1'000; ++i) many.add("order.created", std::to_string(i));
    many.send_all();
    many.wait_for(1'000);
    CHECK(many.receipts.size() == 1'000);
    int wrong = 0;
    for (int i = 0; i < 1'000; ++i) wrong += hears.next().payload != std::to_string(i);
    CHECK(wrong == 0);
}

TEST_CASE("core NATS says handed over only when the server read it and did not deny it") {
    support::nats_server server{
        "authorization { users = [{user: some, password: secret, "
        "permissions: {publish: \"order.>\"}}] }"};
    auto const broker = [&] {
        return outbox::nats_broker{{.url = server.url(), .user = "some", .password = "secret"}};
    };
    {
        outbox::testing::publishing to{broker()};
        CHECK(to.publish("order.created", "x").what == outcome::accepted);
        CHECK(to.publish("bill.created", "x").what == outcome::unroutable);
        CHECK_FALSE(to.channel().usable());
    }
    outbox::testing::publishing to{broker()};
    server.kill();
    static_cast<void>(to.publish("order.created", "y"));
    to.wait_for(1);
    CHECK(to.receipts.empty());
    CHECK_FALSE(to.channel().usable());
    CHECK_THROWS_AS(outbox::testing::publishing{broker()}, outbox::error);
}

TEST_CASE("core NATS does not wait for ever on a server that hangs") {
    support::nats_server const server;
    outbox::testing::publishing to{outbox::nats_broker{{.url = server.url()}},
                                   std::chrono::milliseconds{400}};
    server.hang();
    static_cast<void>(to.publish("order.created", "x"));
    CHECK(to.receipts.empty());
    CHECK_FALSE(to.channel().usable());
    server.resume();
}

TEST_CASE("core NATS keeps the order of sending over all topics of a batch") {
    support::nats_server const server;
    support::nats_client client{server.url()};
    listener const hears{client, "order.*"};
    outbox::testing::publishing to{outbox::nats_broker{{.url = server.url()}}};
    for (auto const* topic : {"order.z", "order.a", "order.m", "order.a"}) to.add(topic, topic);
    to.send_all();
    to.wait_for(4);
    CHECK(to.receipts.size() == 4);
    for (auto const* topic : {"order.z", "order.a", "order.m", "order.a"}) {
        CHECK(hears.next().subject == topic);
    }
}

TEST_CASE(
    "topics that core NATS denies cost the others of their batch a copy each, and then no more") {
    support::nats_server const server{
        "authorization { users = [{user: all, password: a}, {user: some, password: b, "
        "permissions: {publish: \"order.>\"}}] }"};
    auto const port = std::to_string(server.port());
    support::nats_client client{"nats://all:a@127.0.0.1:" + port};
    listener const hears{client, ">"};
    outbox::nats_broker const broker{{.url = "nats://some:b@127.0.0.1:" + port}};
    auto const send = [&](auto& to) {
        for (auto const* topic : {"bill.one", "order.a", "bill.two", "order.b"}) {
            to.add(topic, topic);
        }
        to.send_all();
        to.wait_for(4);
        CHECK_FALSE(to.channel().usable());
        int accepted = 0;
        for (auto const& [token, receipt] : to.receipts) {
            if (token % 2 == 1) CHECK(receipt.what == outcome::unroutable);
            accepted += receipt.what == outcome::accepted ? 1 : 0;
        }
        return accepted;
    };
    // The first time nobody knows which of them the server took; then the doubtful ones go last.
    // The last denial is known for certain, the earlier one perhaps.
    outbox::testing::publishing first{broker};
    CHECK(send(first) == 0);
    CHECK(first.receipts.contains(3));
    bool const both_known = first.receipts.contains(1);
    outbox::testing::publishing again{broker};
    CHECK(send(again) == (both_known ? 2 : 0));
    CHECK(again.receipts.contains(both_known ? 3 : 1));
    outbox::testing::publishing third{broker};
    CHECK(send(third) == 2);
    CHECK(third.receipts.contains(3));
}

// The client library takes a ping that it could not write for one that was answered, until its
// reader has seen the end of the connection: a matter of microseconds, so it is tried often.
TEST_CASE("core NATS hands nothing over on a connection that was just reset") {
    int accepted = 0;
    for (int i = 0; i < 300; ++i) {
        support::resetting_nats server;
        outbox::testing::publishing to{outbox::nats_broker{{.url = server.url()}},
                                       std::chrono::milliseconds{400}};
        server.reset();
        std::vector<outbox::receipt> arrived;
        static_cast<void>(to.send(to.add("law.one", "x")));
        to.channel().collect(arrived);
        for (auto const& one : arrived) accepted += one.what == outcome::accepted ? 1 : 0;
    }
    CHECK(accepted == 0);
}
