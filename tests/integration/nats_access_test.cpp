// SPDX-License-Identifier: MIT
//
// Who may connect to NATS, and what they may do there: passwords, tokens, keys, certificates,
// permissions.
#include <algorithm>

#include "outbox/broker/jetstream.hpp"
#include "outbox/testing/catch.hpp"
#include "outbox/testing/publishing.hpp"
#include "support/certificates.hpp"
#include "support/nats_server.hpp"

namespace {

using outbox::outcome;

}  // namespace

TEST_CASE(
    "who may not publish to a topic learns so, and who may not connect at all leaks nothing") {
    support::nats_server const server{R"(
        authorization { users = [
            {user: all, password: secret-all}
            {user: some, password: secret-some,
             permissions: {publish: ["order.>", "$JS.API.>"], subscribe: ["_INBOX.>"]}}
        ] })"};
    auto const url = "nats://all:secret-all@127.0.0.1:" + std::to_string(server.port());
    support::nats_client client{url};
    client.add_stream("ORDERS", {"order.>", "bill.>"});
    outbox::testing::publishing to{outbox::jetstream_broker{
        {.connection = {.url = server.url(), .user = "some", .password = "secret-some"},
         .streams = {"ORDERS"}}}};
    CHECK(to.publish("order.created", "x").what == outcome::accepted);
    CHECK(to.publish("bill.created", "x").what == outcome::unroutable);
    CHECK(to.publish("order.created", "y").what == outcome::accepted);
    try {
        outbox::testing::publishing const wrong{
            outbox::jetstream_broker{{.connection = {.url = "nats://some:secret-wrong@127.0.0.1:" +
                                                            std::to_string(server.port())}}}};
        FAIL("connected with a wrong password");
    } catch (outbox::error const& denied) {
        CHECK(denied.code() == outbox::errc::unavailable);
        CHECK(std::string{denied.what()}.find("secret") == std::string::npos);
        CHECK(std::string{denied.what()}.find("127.0.0.1") != std::string::npos);
    }
}

TEST_CASE("a token and an nkey open the door, too") {
    support::nats_server const server{"authorization { token: \"secret-token\" }"};
    support::nats_client client{"nats://secret-token@127.0.0.1:" + std::to_string(server.port())};
    client.add_stream("ORDERS", {"order.>"});
    outbox::testing::publishing to{outbox::jetstream_broker{
        {.connection = {.url = server.url(), .token = "secret-token"}, .streams = {"ORDERS"}}}};
    CHECK(to.publish("order.created", "x").what == outcome::accepted);

    // The pair that the documentation of NATS shows.
    support::nats_server const keyed{
        "authorization { users = [{nkey: "
        "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4}] }"};
    support::temporary_folder const folder;
    auto const seed_file = (folder.path() / "seed").string();
    std::ofstream{seed_file} << "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY\n";
    outbox::testing::publishing by_key{outbox::jetstream_broker{
        {.connection = {.url = keyed.url(),
                        .nkey = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4",
                        .nkey_seed_file = seed_file},
         .create_stream = outbox::jetstream_stream{.name = "ORDERS", .subjects = {"order.>"}}}}};
    CHECK(by_key.publish("order.created", "x").what == outcome::accepted);
}

TEST_CASE("TLS verifies the server by its authority and its name") {
    support::certificates made;
    for (char const* const name : {"server", "stranger", "client"}) made.make(name);
    made.make_expired("expired");
    auto const serving = [&](std::string const& name, std::string const& more = {}) {
        return "tls { cert_file: \"" + made.file(name) + "\", key_file: \"" + made.key(name) +
               "\" " + more + " }";
    };
    auto const broker = [](support::nats_server const& of, outbox::nats_tls_options tls) {
        return outbox::jetstream_broker{
            {.connection = {.url = of.url(), .tls = std::move(tls)},
             .create_stream = outbox::jetstream_stream{.name = "ORDERS", .subjects = {"order.>"}}}};
    };
    auto const reaches = [&](support::nats_server const& of, outbox::nats_tls_options tls) {
        try {
            outbox::testing::publishing to{broker(of, std::move(tls))};
            return to.publish("order.created", "x").what == outcome::accepted;
        } catch (outbox::error const& refused) {
            CHECK(refused.code() == outbox::errc::unavailable);
            return false;
        }
    };
    support::nats_server const server{serving("server")};
    CHECK(reaches(server, {.ca_file = made.file("server"), .server_name = "localhost"}));
    CHECK_FALSE(reaches(server, {.ca_file = made.file("stranger"), .server_name = "localhost"}));
    CHECK_FALSE(reaches(server, {.ca_file = made.file("server"), .server_name = "elsewhere"}));
    // Without a name in the options it is the host of the address.
    CHECK_FALSE(reaches(server, {.ca_file = made.file("server")}));
    // Without any word about TLS the server's demand is met, by the system's authorities.
    CHECK_FALSE(reaches(server, {}));

    support::nats_server const outdated{serving("expired")};
    CHECK_FALSE(reaches(outdated, {.ca_file = made.file("expired"), .server_name = "localhost"}));
    support::nats_server const plain;
    CHECK_FALSE(reaches(plain, {.required = true}));

    support::nats_server const strict{
        serving("server", ", ca_file: \"" + made.file("client") + "\", verify: true")};
    auto const known_as = [&](std::string const& name) {
        return outbox::nats_tls_options{.ca_file = made.file("server"),
                                        .certificate_file = made.file(name),
                                        .key_file = made.key(name),
                                        .server_name = "localhost"};
    };
    CHECK(reaches(strict, known_as("client")));
    CHECK_FALSE(reaches(strict, known_as("stranger")));
    CHECK_FALSE(reaches(strict, {.ca_file = made.file("server"), .server_name = "localhost"}));
    try {
        static_cast<void>(broker(strict, known_as("nobody")));
        FAIL("took a certificate that nobody can read");
    } catch (outbox::error const& refused) {
        CHECK(refused.code() == outbox::errc::invalid_option);
    }
}

TEST_CASE("each of several topics that are denied in one batch is told") {
    support::nats_server const server{R"(
        authorization { users = [
            {user: all, password: a}
            {user: some, password: b, permissions: {publish: ["order.>", "$JS.API.>"]}}
        ] })"};
    support::nats_client client{"nats://all:a@127.0.0.1:" + std::to_string(server.port())};
    client.add_stream("ORDERS", {"order.>", "bill.>"});
    outbox::testing::publishing to{outbox::jetstream_broker{
        {.connection = {.url = server.url(), .user = "some", .password = "b"}}}};
    to.add("bill.one", "1");
    to.add("order.created", "2");
    to.add("bill.two", "3");
    to.add("bill.\"quoted\\", "4");
    to.add("bill." + std::string(400, 'x'), "5");
    to.add("order.created", "6");
    to.send_all();
    to.wait_for(6);
    REQUIRE(to.receipts.size() == 6);
    for (outbox::attempt_token const denied : {1U, 3U, 4U, 5U}) {
        CHECK(to.receipts.find(denied)->second.what == outcome::unroutable);
    }
    CHECK(to.receipts.find(2)->second.what == outcome::accepted);
    CHECK(to.receipts.find(6)->second.what == outcome::accepted);
    CHECK(to.channel().usable());
}

TEST_CASE("a user who may not hear receipts, or not ask for streams, learns what is missing") {
    support::nats_server const server{R"(
        authorization { users = [
            {user: all, password: a}
            {user: deaf, password: b, permissions: {subscribe: "other.>"}}
            {user: dumb, password: c, permissions: {publish: "order.>"}}
        ] })"};
    support::nats_client client{"nats://all:a@127.0.0.1:" + std::to_string(server.port())};
    client.add_stream("ORDERS", {"order.>"});
    auto const broker = [&](char const* user, char const* password,
                            std::vector<std::string> streams) {
        return outbox::jetstream_broker{
            {.connection = {.url = server.url(),
                            .user = user,
                            .password = password,
                            .connect_timeout = std::chrono::milliseconds{300}},
             .streams = std::move(streams)}};
    };
    auto const reason = [&](outbox::jetstream_broker with) {
        try {
            outbox::testing::publishing const to{std::move(with)};
        } catch (outbox::error const& refused) {
            return std::string{refused.what()};
        }
        return std::string{"nothing was refused"};
    };
    CHECK(reason(broker("deaf", "b", {})) ==
          "unsafe_setup: the user may not subscribe to _INBOX.>, where receipts arrive: allow it");
    auto const asked = reason(broker("dumb", "c", {"ORDERS"}));
    CHECK(asked.find("$JS.API.STREAM.INFO.ORDERS") != std::string::npos);
    CHECK(asked.starts_with("unavailable: stream \"ORDERS\" cannot be looked up"));
    // Without names nothing needs to be asked.
    outbox::testing::publishing to{broker("dumb", "c", {})};
    CHECK(to.publish("order.created", "x").what == outcome::accepted);
}
