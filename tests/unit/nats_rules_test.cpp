// SPDX-License-Identifier: MIT
//
// What NATS can carry, what its answers mean, and what of its settings is refused.
#include <utility>

#include "outbox/broker/jetstream.hpp"
#include "outbox/broker/jetstream_reply.hpp"
#include "outbox/broker/nats_denial.hpp"
#include "outbox/testing/catch.hpp"

namespace {

namespace rules = outbox::nats_rules;
using outbox::outcome;
using namespace std::string_view_literals;

}  // namespace

TEST_CASE("a topic is a literal subject, and the refusal names the byte") {
    CHECK_FALSE(rules::check_topic("order.created"));
    CHECK_FALSE(rules::check_topic("a"));
    CHECK_FALSE(rules::check_topic("ордер.создан"));
    std::pair<std::string_view, std::optional<std::size_t>> const refused[]{
        {"", {}},       {".a", 0},           {"a.", 2},      {"a..b", 2},
        {"a b", 1},     {"a\r\nPUB x 1", 1}, {"a\tb", 1},    {"a\0b"sv, 1},
        {"order.*", 6}, {"order.>", 6},      {"$JS.API", 0}, {"_INBOX.x", 0},
        {"a.\x7f", 2}};
    for (auto const& [topic, position] : refused) {
        INFO(topic);
        auto const found = rules::check_topic(topic);
        REQUIRE(found);
        CHECK(found->position == position);
    }
    CHECK(rules::check_topic(std::string(1'025, 'x')));
    CHECK_FALSE(rules::check_topic(std::string(1'024, 'x')));
}

TEST_CASE("headers of the server's own are refused in any case") {
    for (auto const* name : {"Nats-Msg-Id", "nats-expected-stream", "NATS-Rollup"}) {
        CHECK(rules::check_header(name, "x"));
    }
    CHECK_FALSE(rules::check_header("traceparent", "x"));
}

TEST_CASE("a pattern with wildcards takes the topics that it stands for") {
    CHECK(rules::matches("order.>", "order.created"));
    CHECK(rules::matches("order.>", "order.created.now"));
    CHECK(rules::matches("order.*", "order.created"));
    CHECK(rules::matches(">", "a"));
    CHECK(rules::matches("a.*.c", "a.b.c"));
    CHECK_FALSE(rules::matches("order.*", "order.created.now"));
    CHECK_FALSE(rules::matches("order.>", "order"));
    CHECK_FALSE(rules::matches("order", "order.created"));
    CHECK_FALSE(rules::matches("order.created", "order"));
}

TEST_CASE("each error of JetStream has its meaning") {
    std::pair<std::int64_t, outcome> const table[]{
        {10054, outcome::refused},      {10097, outcome::refused},
        {10111, outcome::refused},      {10070, outcome::out_of_order},
        {10071, outcome::out_of_order}, {10158, outcome::unknown},
        {10008, outcome::unavailable},  {10023, outcome::unavailable},
        {10028, outcome::unavailable},  {10047, outcome::unavailable},
        {10060, outcome::unavailable},  {10076, outcome::unavailable},
        {10077, outcome::unavailable},  {99999, outcome::unavailable}};
    for (auto const& [code, meaning] : table) {
        INFO(code);
        CHECK(rules::outcome_of(code) == meaning);
        auto const read =
            rules::read_acknowledgement(R"({"error":{"code":500,"err_code":)" +
                                        std::to_string(code) + R"(,"description":"why"}})");
        CHECK(read.what == meaning);
        CHECK(read.reason == "why (" + std::to_string(code) + ")");
    }
}

TEST_CASE("an acknowledgement has a stream and a sequence above zero") {
    CHECK(rules::read_acknowledgement(R"({"stream":"S","seq":1})").what == outcome::accepted);
    CHECK(rules::read_acknowledgement(R"({"stream":"S","seq":1})").stream == "S");
    CHECK(rules::read_acknowledgement(R"({"stream":"S","seq":7,"duplicate":true})").what ==
          outcome::accepted);
    for (auto const* text :
         {"", "{}", "[]", "7", "+OK", R"({"stream":"S"})", R"({"seq":1})",
          R"({"stream":"S","seq":0,"duplicate":true})", R"({"stream":"S","seq":-1})",
          R"({"stream":1,"seq":1})", R"({"stream":"S","seq":"1"})", R"({"error":7})",
          R"({"error":{}})", R"({"error":{"err_code":"10054"}})", R"({"error":{"err_code":1.5}})",
          "{\"stream\":\"\xff\",\"seq\":1}"}) {
        INFO(text);
        CHECK(rules::read_acknowledgement(text).what == outcome::unknown);
    }
}

TEST_CASE("an address is shown without what is secret in it") {
    CHECK(rules::without_secrets("nats://user:secret@a:1, tls://b:2") == "nats://a:1, tls://b:2");
    CHECK(rules::without_secrets("nats://to@ken@a:1") == "nats://a:1");
    CHECK(rules::without_secrets("secret@a") == "a");
    CHECK(rules::without_secrets("secret@a://b") == "a://b");
    CHECK(rules::without_secrets("user:sec://ret@a:1") == "a:1");
}

TEST_CASE("settings of a connection that contradict each other are refused by name") {
    using options = outbox::nats_connection_options;
    auto const reason = [](options const& given) {
        try {
            rules::check(given);
        } catch (outbox::error const& refused) {
            return std::string{refused.what()};
        }
        return std::string{};
    };
    CHECK(reason({}).empty());
    CHECK(reason({.url = " , "}) == "invalid_option: connection.url is empty");
    CHECK(reason({.password = "secret"}) ==
          "invalid_option: connection.password is given without a user");
    CHECK(reason({.user = "u", .token = "secret"}) ==
          "invalid_option: connection.user, token, credentials_file, nkey exclude each other: give "
          "one");
    CHECK(reason({.nkey = "U"}) ==
          "invalid_option: connection.nkey and nkey_seed_file belong together");
    for (auto const* url : {"http://a:1", "nats://", "nats://a:", "nats://a:0", "nats://a:65536",
                            "nats://a:b", "nats://a b:1", "nats://[::1:4222", "nats://a:1/x"}) {
        INFO(url);
        CHECK(reason({.url = url}) ==
              "invalid_option: connection.url has an address that is neither nats://host:port nor "
              "tls://host:port");
    }
    for (auto const* url :
         {"a", "a:1", "nats://a", "tls://[::1]:4222", "nats://u:p@a:1/", "nats://token@a, b:2"}) {
        INFO(url);
        CHECK(reason({.url = url}).empty());
    }
    CHECK(
        reason({.url = "nats://u:secret@a", .token = "secret"}) ==
        "invalid_option: connection.url says who connects, and so do the other options: keep one");
    CHECK(reason({.credentials_file = "/nowhere"}) ==
          "invalid_option: connection.credentials_file names a file that cannot be read");
    CHECK(reason({.tls = {.ca_file = "/"}}) ==
          "invalid_option: connection.tls.ca_file names a file that cannot be read");
    CHECK(reason({.tls = {.key_file = "k"}}) ==
          "invalid_option: connection.tls.certificate_file and tls.key_file belong together");
    CHECK(reason({.connect_timeout = std::chrono::milliseconds{0}}) ==
          "invalid_option: connection.connect_timeout = 0 ms, must be between 1 ms and 3600000 ms");
}

TEST_CASE("settings of streams that cannot be are refused by name") {
    using stream = outbox::jetstream_stream;
    auto const reason = [](outbox::jetstream_options given) {
        try {
            outbox::jetstream_broker const made{std::move(given)};
        } catch (outbox::error const& refused) {
            return std::string{refused.what()};
        }
        return std::string{};
    };
    auto const of = [&](stream made) { return reason({.create_stream = std::move(made)}); };
    CHECK(reason({.streams = {"ORDERS", "Заказы"}}).empty());
    for (auto const* name : {"", "a.b", "a b", "a*", ">", "a/b", "a\\b"}) {
        INFO(name);
        CHECK(reason({.streams = {"ORDERS", name}}) ==
              "invalid_option: streams[1] is not a stream's name");
        CHECK(of({.name = name}) == "invalid_option: create_stream.name is not a stream's name");
    }
    CHECK(of({.name = "A", .subjects = {"a.*.b", "c.>"}}).empty());
    CHECK(of({.name = "A", .subjects = {"a", "b c"}}) ==
          "invalid_option: create_stream.subjects[1]: topic has a blank or control character at "
          "byte 1");
    CHECK(of({.name = "A", .replicas = 6}) ==
          "invalid_option: create_stream.replicas = 6, must be between 1 and 5");
    CHECK(of({.name = "A", .duplicate_window = std::chrono::seconds{0}}) ==
          "invalid_option: create_stream.duplicate_window = 0, must be at least 1 s");
    CHECK(of({.name = "A", .max_age = std::chrono::seconds{60}}) ==
          "invalid_option: create_stream.duplicate_window = 120, must be at most max_age");
    CHECK(of({.name = "A", .max_bytes = 0}) ==
          "invalid_option: create_stream.max_bytes = 0, must be -1 (no limit) or above 0");
}

TEST_CASE("a denial names its topic, and only the beginning of a long one") {
    using rules::read_denial;
    auto const read = read_denial(R"('Permissions Violation for Publish to "bill.created"')");
    CHECK(read.topic == "bill.created");
    CHECK(read.means("bill.created"));
    CHECK_FALSE(read.means("bill.created.now"));
    CHECK(read_denial(R"(Permissions Violation for Publish to "a\"b\\c")").topic == R"(a"b\c)");
    auto const cut = read_denial(R"(permissions violation for Publish to "bill.)");
    CHECK_FALSE(cut);
    auto const begun = read_denial(R"(Permissions Violation for Publish to "bill.)");
    CHECK(begun.cut);
    CHECK(begun.means("bill.created"));
    CHECK_FALSE(begun.means("order.created"));
    CHECK(read_denial(R"(Permissions Violation for Publish to "a\u200bb")").means("a\u200bb"));
    CHECK_FALSE(read_denial(R"(Permissions Violation for Subscription to "a")"));
    CHECK_FALSE(read_denial(""));
}
