// SPDX-License-Identifier: MIT
//
// The walk-through of example/README.md, to the letter, and then with faults.
#include "walk_case.hpp"

namespace {

std::vector<std::string> const as_in_the_walk{"--poll-interval",  "10s", "--batch-size", "3",
                                              "--lease-duration", "10s"};

}  // namespace

TEST_CASE("three services, four times a hundred orders, one consumer: each once, in order") {
    walk::walking at;
    auto const first = at.start_service(as_in_the_walk);
    auto const second = at.start_service();
    auto const third = at.start_service();
    at.send({first}, 1, 100);
    at.send({second}, 101, 100);
    at.send({third}, 201, 100);
    at.send({first}, 301, 100);
    CHECK(at.start_consumer(400).wait() == 0);
    at.wait_until_delivered();
    at.judge(400, false);
    for (std::size_t i = 0; i < 3; ++i) CHECK(at.service(i).stop(SIGTERM) == 0);
    CHECK(support::sql_connection{at.database()}(
              "select count(*) from outbox_partition where owner is not null") == "0");
}

TEST_CASE("a client and a consumer that know the origin alone work unchanged") {
    walk::walking at;
    auto const port = at.start_service();
    support::nats_client listener{at.nats.url()};
    natsSubscription* subscription = nullptr;
    natsConnection_SubscribeSync(&subscription, listener.connection(), "order.created");
    natsConnection_Flush(listener.connection());

    httplib::Client client{"127.0.0.1", port};
    auto const post = [&](std::string const& body) {
        auto const answer = client.Post("/create-message", body, "application/json");
        REQUIRE(answer);
        return std::pair{answer->status, answer->body};
    };
    auto const [status, text] = post(
        R"({"type": "order.created", "data": {"z": 1, "a": [1.5, "x", null], "m": {"k": "ü"}}})");
    CHECK(status == 201);
    CHECK(text.rfind("Message created with ID: ", 0) == 0);
    CHECK(text.size() == std::string{"Message created with ID: "}.size() + 36);
    natsMsg* heard = nullptr;
    REQUIRE(natsSubscription_NextMsg(&heard, subscription, 30'000) == NATS_OK);
    CHECK(support::nats_client::copy(heard).payload ==
          R"({"z":1,"a":[1.5,"x",null],"m":{"k":"ü"}})");
    natsMsg_Destroy(heard);
    natsSubscription_Destroy(subscription);

    for (auto const* bad :
         {"", "7", "[]", "{}", R"({"type": "order.created"})", R"({"type": 1, "data": {}})",
          R"({"type": "order created", "data": {}})", R"({"type": "order.*", "data": {}})",
          R"({"type": "bill.created", "data": {}})",
          R"({"type": "order.created", "data": {}, "key": 1})"}) {
        INFO(bad);
        auto const [refused, why] = post(bad);
        CHECK(refused == 400);
        CHECK_FALSE(why.empty());
    }
    CHECK(post(R"({"type": "order.created", "data": {}, "key": "k"})").first == 201);
    CHECK(client.Get("/create-message")->status == 405);
    CHECK(client.Delete("/create-message")->status == 405);
    CHECK(client.Put("/create-message", "{}", "application/json")->status == 405);
    auto const stats = client.Get("/stats");
    REQUIRE(stats);
    CHECK(nlohmann::json::parse(stats->body).at("dead") == 0);
    CHECK(support::sql_connection{at.database()}("select count(*) from outbox") == "2");
}

TEST_CASE("a service that is killed without warning loses nothing and invents nothing",
          "[.][faults]") {
    walk::walking at;
    std::vector<int> const ports{at.start_service({"--lease-duration", "2s"}),
                                 at.start_service({"--lease-duration", "2s"}),
                                 at.start_service({"--lease-duration", "2s"})};
    at.send(ports, 1, 100);
    auto sending = at.start_sending(ports, 101, 300);
    std::this_thread::sleep_for(std::chrono::milliseconds{500});
    at.service(0).stop(SIGKILL);
    CHECK(sending.wait() == 0);
    at.wait_until_delivered();
    at.judge(400, true);
}

TEST_CASE("a broker that is away for ten seconds costs nothing", "[.][faults]") {
    walk::walking at;
    std::vector<int> const ports{at.start_service(), at.start_service(), at.start_service()};
    at.send(ports, 1, 100);
    auto sending = at.start_sending(ports, 101, 300);
    std::this_thread::sleep_for(std::chrono::milliseconds{300});
    at.nats.stop();
    std::this_thread::sleep_for(std::chrono::seconds{10});
    at.nats.start();
    CHECK(sending.wait() == 0);
    at.wait_until_delivered();
    at.judge(400, true);
}

TEST_CASE("a database that crashes and comes back loses nothing and invents nothing",
          "[.][faults]") {
    walk::walking at;
    std::vector<int> const ports{at.start_service(), at.start_service(), at.start_service()};
    at.send(ports, 1, 100);
    auto sending = at.start_sending(ports, 101, 300);
    std::this_thread::sleep_for(std::chrono::milliseconds{300});
    at.postgres.kill();
    std::this_thread::sleep_for(std::chrono::seconds{2});
    at.postgres.start();
    CHECK(sending.wait() == 0);
    at.wait_until_delivered();
    at.judge(400, true);
}
