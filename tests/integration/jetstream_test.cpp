// SPDX-License-Identifier: MIT
//
// JetStream as it really is: a private server, its answers, its absence, its faults.
#include "outbox/broker/jetstream.hpp"
#include "outbox/testing/catch.hpp"
#include "outbox/testing/publishing.hpp"
#include "support/nats_server.hpp"

namespace {

using outbox::outcome;

outbox::jetstream_broker orders(std::string const& url) {
    return outbox::jetstream_broker{{.connection = {.url = url}, .streams = {"ORDERS"}}};
}

struct with_stream {
    support::nats_server server{};
    support::nats_client client{server.url()};

    with_stream() {
        client.add_stream("ORDERS", {"order.>"});
    }
};

}  // namespace

TEST_CASE("a message arrives at JetStream with its bytes, headers and ids") {
    with_stream at;
    outbox::testing::publishing to{orders(at.server.url())};
    std::string bytes;
    for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
    auto& sent = to.add("order.created", bytes,
                        "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\n"
                        "tag: one\ntag: two\n");
    CHECK(to.publish(sent).what == outcome::accepted);
    auto const stored = at.client.read("ORDERS");
    REQUIRE(stored.size() == 1);
    CHECK(stored[0].subject == "order.created");
    CHECK(stored[0].payload == bytes);
    CHECK(stored[0].header("traceparent") ==
          "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    CHECK(stored[0].header("Nats-Msg-Id") == to_string(sent.id) + ".public.outbox.0");
    CHECK(stored[0].message_id() == to_string(sent.id));
    CHECK(std::ranges::count(stored[0].headers,
                             std::pair<std::string, std::string>{"tag", "two"}) == 1);
}

TEST_CASE("a copy within the duplicate window is accepted and stored once, a requeued one again") {
    with_stream at;
    outbox::testing::publishing to{orders(at.server.url())};
    auto& sent = to.add("order.created", "x");
    CHECK(to.publish(sent).what == outcome::accepted);
    CHECK(to.publish(sent).what == outcome::accepted);
    CHECK(at.client.read("ORDERS").size() == 1);
    ++sent.generation;
    CHECK(to.publish(sent).what == outcome::accepted);
    CHECK(at.client.read("ORDERS").size() == 2);
}

TEST_CASE("ten thousand messages on one channel are stored in the order of sending") {
    with_stream at;
    outbox::testing::publishing to{orders(at.server.url())};
    for (int i = 0; i < 10'000; ++i) to.add("order.created", std::to_string(i));
    to.send_all();
    to.wait_for(10'000);
    CHECK(to.receipts.size() == 10'000);
    auto const stored = at.client.read("ORDERS");
    REQUIRE(stored.size() == 10'000);
    int wrong = 0;
    for (int i = 0; i < 10'000; ++i) {
        wrong += stored[static_cast<std::size_t>(i)].payload != std::to_string(i);
    }
    CHECK(wrong == 0);
}

TEST_CASE(
    "a topic that no configured stream takes is its own fault, and a stream's absence is not") {
    with_stream at;
    outbox::testing::publishing to{orders(at.server.url())};
    CHECK(to.publish("ordr.created", "x").what == outcome::rejected);
    at.client.delete_stream("ORDERS");
    CHECK(to.publish("order.created", "x").what == outcome::unavailable);
    try {
        outbox::testing::publishing const again{orders(at.server.url())};
        FAIL("connected without its stream");
    } catch (outbox::error const& missing) {
        CHECK(missing.code() == outbox::errc::unavailable);
        CHECK(std::string{missing.what()} == "unavailable: stream \"ORDERS\" does not exist");
    }
}

TEST_CASE("without configured streams nobody can tell, and a topic that nothing takes waits") {
    with_stream at;
    outbox::testing::publishing to{
        outbox::jetstream_broker{{.connection = {.url = at.server.url()}}}};
    CHECK(to.publish("order.created", "x").what == outcome::accepted);
    CHECK(to.publish("ordr.created", "x").what == outcome::unroutable);
}

TEST_CASE("a full stream makes the broker unavailable, a message too large is refused") {
    with_stream at;
    at.client.add_stream("FULL", {"full"}, [](jsStreamConfig& config) {
        config.MaxMsgs = 1;
        config.Discard = js_DiscardNew;
    });
    at.client.add_stream("SMALL", {"small"},
                         [](jsStreamConfig& config) { config.MaxMsgSize = 512; });
    outbox::testing::publishing to{outbox::jetstream_broker{
        {.connection = {.url = at.server.url()}, .streams = {"FULL", "SMALL", "ORDERS"}}}};
    CHECK(to.publish("full", "1").what == outcome::accepted);
    CHECK(to.publish("full", "2").what == outcome::unavailable);
    CHECK(to.publish("small", std::string(2'000, 'x')).what == outcome::refused);
    CHECK(to.publish("order.large", std::string(2U << 20U, 'x')).what == outcome::refused);
    CHECK(to.publish("order.created", "x").what == outcome::accepted);
}

TEST_CASE("an answer from anybody but the stream is no acknowledgement") {
    with_stream at;
    auto const answer = [](natsConnection* connection, natsSubscription*, natsMsg* asked,
                           void* text) {
        natsConnection_PublishString(connection, natsMsg_GetReply(asked),
                                     static_cast<char const*>(text));
        natsMsg_Destroy(asked);
    };
    auto const subscribe = [&](char const* subject, char const* text) {
        natsSubscription* made = nullptr;
        natsConnection_Subscribe(&made, at.client.connection(), subject, answer,
                                 const_cast<char*>(text));
        natsConnection_Flush(at.client.connection());
        return made;
    };
    auto* const empty = subscribe("service.a", "{}");
    auto* const forged = subscribe("service.b", R"({"stream":"OTHERS","seq":999})");
    auto* const zero = subscribe("service.c", R"({"stream":"ORDERS","seq":0,"duplicate":true})");
    outbox::testing::publishing to{orders(at.server.url())};
    CHECK(to.publish("service.a", "x").what == outcome::unknown);
    CHECK(to.publish("service.b", "x").what == outcome::unknown);
    CHECK(to.publish("service.c", "x").what == outcome::unknown);
    for (auto* one : {empty, forged, zero}) natsSubscription_Destroy(one);
}

TEST_CASE("an acknowledgement that comes twice is not taken for that of the next message") {
    with_stream at;
    natsSubscription* silent = nullptr;
    natsConnection_SubscribeSync(&silent, at.client.connection(), "service.silent");
    natsConnection_Flush(at.client.connection());
    outbox::testing::publishing to{orders(at.server.url())};
    // It is the only one on its way, and so is the next: both have the same reply subject.
    CHECK(to.publish("order.created", "stored").what == outcome::accepted);
    auto const token = to.send(to.add("service.silent", "not stored"));
    natsMsg* heard = nullptr;
    REQUIRE(natsSubscription_NextMsg(&heard, silent, 10'000) == NATS_OK);
    auto const answer = [&](char const* text) {
        natsConnection_PublishString(at.client.connection(), natsMsg_GetReply(heard), text);
        natsConnection_Flush(at.client.connection());
    };
    answer(R"({"stream":"ORDERS","seq":1})");
    answer(R"({"stream":"ORDERS","seq":1,"duplicate":true})");
    CHECK(to.publish("order.created", "behind both").what == outcome::accepted);
    CHECK(to.receipts.count(token) == 0);
    answer(R"({"stream":"ORDERS","seq":3})");
    to.wait_for(3);
    CHECK(to.receipts.count(token) == 1);
    natsMsg_Destroy(heard);
    natsSubscription_Destroy(silent);
}

TEST_CASE("a server that dies leaves no receipt for what its stream does not hold") {
    with_stream at;
    {
        outbox::testing::publishing to{orders(at.server.url())};
        for (int i = 0; i < 5'000; ++i) to.add("order.created", std::to_string(i));
        to.send_all();
        to.wait_for(100);
        at.server.kill();
        to.wait_for(10'000);
        CHECK_FALSE(to.channel().usable());
        at.server.start();
        support::nats_client after{at.server.url()};
        CHECK(after.read("ORDERS").size() >= to.receipts.size());
    }
    try {
        at.server.stop();
        outbox::testing::publishing const to{orders(at.server.url())};
        FAIL("connected to nothing");
    } catch (outbox::error const& gone) {
        CHECK(gone.code() == outbox::errc::unavailable);
    }
}

TEST_CASE("a server that hangs stops neither sending nor leaving") {
    with_stream at;
    {
        outbox::testing::publishing to{orders(at.server.url()), std::chrono::milliseconds{400}};
        at.server.hang();
        for (int i = 0; i < 200; ++i) to.add("order.created", std::string(100'000, 'x'));
        to.send_all();
        std::vector<outbox::receipt> arrived;
        to.channel().collect(arrived);
        CHECK(arrived.empty());
    }
    at.server.resume();
}

TEST_CASE("a stream that would break the guarantees is refused with what to change") {
    with_stream at;
    at.client.add_stream("MUTE", {"mute"}, [](jsStreamConfig& config) { config.NoAck = true; });
    at.client.add_stream("INTEREST", {"interest"},
                         [](jsStreamConfig& config) { config.Retention = js_InterestPolicy; });
    at.client.add_stream("FORGETFUL", {"forgetful"},
                         [](jsStreamConfig& config) { config.Duplicates = 1'000'000'000; });
    auto const reason = [&](std::string const& stream) {
        try {
            outbox::testing::publishing const to{outbox::jetstream_broker{
                {.connection = {.url = at.server.url()}, .streams = {stream}}}};
        } catch (outbox::error const& unsafe) {
            CHECK(unsafe.code() == outbox::errc::unsafe_setup);
            return std::string{unsafe.what()};
        }
        return std::string{"nothing was refused"};
    };
    CHECK(reason("MUTE") ==
          "unsafe_setup: stream \"MUTE\" does not acknowledge: set no_ack to false");
    CHECK(reason("INTEREST").find("no consumer is interested in") != std::string::npos);
    CHECK(reason("FORGETFUL") ==
          "unsafe_setup: stream \"FORGETFUL\" forgets message ids after 1000 ms, and a message may "
          "be sent again for 30000 ms: raise duplicate_window or lower lease_duration");
}

TEST_CASE("a stream is created when it is asked for and absent, and left alone when it is there") {
    support::nats_server const server;
    auto const broker = [&](std::vector<std::string> subjects) {
        return outbox::jetstream_broker{{.connection = {.url = server.url()},
                                         .create_stream = outbox::jetstream_stream{
                                             .name = "MADE", .subjects = std::move(subjects)}}};
    };
    outbox::testing::publishing first{broker({"made.>"})};
    CHECK(first.publish("made.x", "1").what == outcome::accepted);
    outbox::testing::publishing second{broker({"other.>"})};
    CHECK(second.publish("made.x", "2").what == outcome::accepted);
    CHECK(second.publish("other.x", "3").what == outcome::rejected);
}
