// SPDX-License-Identifier: MIT
//
// All laws of a broker. The file that includes them says before whose laws they are:
//
//     struct model {
//         using broker_type = …;
//         static constexpr bool acknowledges = …;    accepted means stored by the broker
//         broker_type broker();
//         std::vector<laws::delivery> delivered();   all that arrived, in order
//         void go_down();                            breaks every channel, refuses new ones
//         void come_up();
//     };
//
// Topics below `law.` must be ones that the model takes. Each case makes a model of its own.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "outbox/testing/catch.hpp"
#include "outbox/testing/laws/delivery.hpp"
#include "outbox/testing/publishing.hpp"

namespace {

using outbox::outcome;

std::vector<std::string> payloads(model& at) {
    std::vector<std::string> all;
    for (auto const& one : at.delivered()) all.push_back(one.payload);
    return all;
}

// Of channels that chain: what is sent behind another one is stored right behind it, or not at all.
template <class To>
void check_chaining(To& to, model& at) {
    auto const& first = to.add("law.chain", "first");
    auto const& second = to.add("law.chain", "second");
    auto const& third = to.add("law.chain", "third");
    auto const& missing = to.add("law.chain", "missing");
    auto const& behind_missing = to.add("law.chain", "behind the missing one");
    auto const& last = to.add("law.chain", "last");
    REQUIRE(to.channel().can_chain("law.chain", "law.chain"));
    auto const one = to.send(first);
    auto const two = to.send(second, &first);
    auto const three = to.send(third, &second);
    auto const behind = to.send(behind_missing, &missing);
    auto const four = to.send(last, &third);
    to.wait_for(5);
    auto const answered = [&](outbox::attempt_token token) {
        auto const found = to.receipts.find(token);
        return found == to.receipts.end() ? outcome::unknown : found->second.what;
    };
    CHECK(answered(one) == outcome::accepted);
    CHECK(answered(two) == outcome::accepted);
    CHECK(answered(three) == outcome::accepted);
    CHECK(answered(behind) == outcome::out_of_order);
    CHECK(answered(four) == outcome::accepted);
    // Refused once, it can be sent alone: nobody takes it for a copy.
    CHECK(to.publish(behind_missing).what == outcome::accepted);
    CHECK(payloads(at) ==
          std::vector<std::string>{"first", "second", "third", "last", "behind the missing one"});
}

TEST_CASE("broker: what is sent right behind another one is stored there, or not at all") {
    model at;
    outbox::testing::publishing to{at.broker()};
    if constexpr (outbox::chaining_channel<typename model::broker_type::channel>) {
        check_chaining(to, at);
    } else {
        CHECK(to.publish("law.chain", "alone").what == outcome::accepted);
    }
}

TEST_CASE("broker: what is accepted was delivered with its topic, bytes, headers and id") {
    model at;
    outbox::testing::publishing to{at.broker()};
    std::string bytes;
    for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
    auto const& sent = to.add("law.one", bytes, "traceparent: 00-a-b-01\ntag: x\n");
    CHECK(to.publish(sent).what == outcome::accepted);
    auto const delivered = at.delivered();
    REQUIRE(delivered.size() == 1);
    CHECK(delivered[0].topic == "law.one");
    CHECK(delivered[0].payload == bytes);
    CHECK(delivered[0].id == to_string(sent.id));
    CHECK(delivered[0].header("traceparent") == "00-a-b-01");
    CHECK(delivered[0].header("tag") == "x");
}

TEST_CASE("broker: each message of a batch gets one receipt, and the order of sending is kept") {
    model at;
    outbox::testing::publishing to{at.broker()};
    for (int i = 0; i < 500; ++i) to.add("law.many", std::to_string(i));
    to.send_all();
    to.wait_for(500);
    CHECK(to.receipts.size() == 500);
    int wrong = 0;
    for (outbox::attempt_token token = 1; token <= 500; ++token) {
        auto const found = to.receipts.find(token);
        wrong += to.receipts.count(token) != 1 || found->second.what != outcome::accepted;
    }
    CHECK(wrong == 0);
    auto const arrived = payloads(at);
    REQUIRE(arrived.size() == 500);
    for (int i = 0; i < 500; ++i)
        wrong += arrived[static_cast<std::size_t>(i)] != std::to_string(i);
    CHECK(wrong == 0);
}

TEST_CASE("broker: collecting when nothing came is nothing, however often") {
    model at;
    outbox::testing::publishing to{at.broker()};
    std::vector<outbox::receipt> arrived;
    for (int i = 0; i < 3; ++i) to.channel().collect(arrived);
    CHECK(arrived.empty());
    CHECK(to.channel().usable());
    CHECK(to.publish("law.one", "x").what == outcome::accepted);
    to.channel().collect(arrived);
    CHECK(arrived.empty());
}

TEST_CASE("broker: the same message again is accepted again") {
    model at;
    outbox::testing::publishing to{at.broker()};
    auto const& sent = to.add("law.one", "x");
    CHECK(to.publish(sent).what == outcome::accepted);
    CHECK(to.publish(sent).what == outcome::accepted);
    for (auto const& one : at.delivered()) CHECK(one.id == to_string(sent.id));
}

TEST_CASE("broker: without a server there is no channel, and that is not a message's fault") {
    model at;
    at.go_down();
    try {
        outbox::testing::publishing const to{at.broker()};
        FAIL("connected to nothing");
    } catch (outbox::error const& missing) {
        CHECK(missing.code() == outbox::errc::unavailable);
    }
    at.come_up();
    outbox::testing::publishing to{at.broker()};
    CHECK(to.publish("law.one", "x").what == outcome::accepted);
}

TEST_CASE("broker: a channel that broke stays broken, and what had no receipt never gets one") {
    model at;
    outbox::testing::publishing to{at.broker()};
    CHECK(to.publish("law.one", "before").what == outcome::accepted);
    at.go_down();
    static_cast<void>(to.publish("law.one", "lost"));
    to.wait_for(2);
    CHECK_FALSE(to.channel().usable());
    CHECK(to.receipts.size() == 1);
    at.come_up();
    static_cast<void>(to.publish("law.one", "later"));
    CHECK_FALSE(to.channel().usable());
    CHECK(to.receipts.size() == 1);
    outbox::testing::publishing again{at.broker()};
    CHECK(again.publish("law.one", "after").what == outcome::accepted);
    if (model::acknowledges) {
        auto const arrived = payloads(at);
        CHECK(arrived.front() == "before");
        CHECK(arrived.back() == "after");
        CHECK(std::ranges::count(arrived, "later") == 0);
    }
}

TEST_CASE("broker: what it cannot carry it says, and what it can it does not refuse") {
    CHECK_FALSE(model::broker_type::check_topic("law.one"));
    CHECK_FALSE(model::broker_type::check_header("traceparent", "00-a-b-01"));
}

}  // namespace
