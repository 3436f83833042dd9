// SPDX-License-Identifier: MIT
//
// Which streams count, when they are not named, and who may answer for them.
#include "outbox/broker/jetstream.hpp"
#include "outbox/testing/catch.hpp"
#include "outbox/testing/publishing.hpp"
#include "support/nats_server.hpp"

namespace {

using outbox::outcome;

outbox::jetstream_broker any_stream(std::string const& url) {
    return outbox::jetstream_broker{{.connection = {.url = url}}};
}

/// A service that answers everything on its subject with the same text.
class responder {
public:
    responder(support::nats_client& client, char const* subject, std::string text)
        : text_{std::move(text)} {
        natsConnection_Subscribe(&subscription_, client.connection(), subject, answer, &text_);
        natsConnection_Flush(client.connection());
    }
    responder(responder const&) = delete;
    responder& operator=(responder const&) = delete;
    ~responder() {
        natsSubscription_Destroy(subscription_);
    }

private:
    static void answer(natsConnection* connection, natsSubscription* /*subscription*/,
                       natsMsg* asked, void* text) {
        natsConnection_PublishString(connection, natsMsg_GetReply(asked),
                                     static_cast<std::string*>(text)->c_str());
        natsMsg_Destroy(asked);
    }

    std::string text_;
    natsSubscription* subscription_{nullptr};
};

}  // namespace

TEST_CASE("without named streams an acknowledgement counts only from one that the server lists") {
    support::nats_server const server;
    support::nats_client client{server.url()};
    client.add_stream("ORDERS", {"order.>"});
    responder const forger{client, "service.a", R"({"stream":"INVENTED","seq":7})"};
    outbox::testing::publishing to{any_stream(server.url())};
    CHECK(to.publish("order.created", "x").what == outcome::accepted);
    CHECK(to.publish("service.a", "x").what == outcome::unknown);
    CHECK_FALSE(to.channel().usable());
}

TEST_CASE("a stream that is created later is known to the next channel, which stores no copy") {
    support::nats_server const server;
    support::nats_client client{server.url()};
    outbox::testing::publishing early{any_stream(server.url())};
    CHECK(early.publish("order.created", "x").what == outcome::unroutable);
    client.add_stream("ORDERS", {"order.>"});
    auto const& sent = early.add("order.created", "y");
    CHECK(early.publish(sent).what == outcome::unknown);
    CHECK_FALSE(early.channel().usable());
    outbox::testing::publishing next{any_stream(server.url())};
    CHECK(next.publish(sent).what == outcome::accepted);
    CHECK(client.read("ORDERS").size() == 1);
}

TEST_CASE("a stream with a flaw that nobody named stops what goes there, and nothing else") {
    support::nats_server const server;
    support::nats_client client{server.url()};
    client.add_stream("ORDERS", {"order.>"});
    client.add_stream("MUTE", {"mute.>"}, [](jsStreamConfig& config) { config.NoAck = true; });
    {
        outbox::testing::publishing to{any_stream(server.url())};
        CHECK(to.publish("order.created", "x").what == outcome::accepted);
        auto const stopped = to.publish("mute.x", "x");
        CHECK(stopped.what == outcome::unavailable);
        CHECK(stopped.reason == "stream \"MUTE\" does not acknowledge: set no_ack to false");
        CHECK_FALSE(to.channel().usable());
    }
    CHECK(client.read("MUTE").empty());
    client.delete_stream("MUTE");
    client.add_stream("MENDED", {"mute.>"});
    outbox::testing::publishing to{any_stream(server.url())};
    CHECK(to.publish("mute.x", "x").what == outcome::accepted);
}

TEST_CASE("a stream without subjects of its own is refused when it is named") {
    support::nats_server const server;
    support::nats_client client{server.url()};
    client.add_stream("ORDERS", {"order.>"});
    jsStreamSource source;
    jsStreamSource_Init(&source);
    source.Name = "ORDERS";
    client.add_stream("COPY", {"none"}, [&](jsStreamConfig& config) {
        config.SubjectsLen = 0;
        config.Subjects = nullptr;
        config.Mirror = &source;
    });
    try {
        outbox::testing::publishing const to{
            outbox::jetstream_broker{{.connection = {.url = server.url()}, .streams = {"COPY"}}}};
        FAIL("connected to a mirror");
    } catch (outbox::error const& unsafe) {
        CHECK(std::string{unsafe.what()} ==
              "unsafe_setup: stream \"COPY\" takes no subjects of its own: name the one that does");
    }
}

TEST_CASE("an error that JetStream did not write says nothing, and breaks nothing") {
    support::nats_server const server;
    support::nats_client client{server.url()};
    client.add_stream("ORDERS", {"order.>"});
    responder const odd{client, "service.a", R"({"error":{"err_code":"x","description":7}})"};
    responder const unnumbered{client, "service.b", R"({"error":{"description":"no"}})"};
    responder const noisy{client, "service.c",
                          R"({"error":{"err_code":10077,"description":"a\nb"}})"};
    outbox::testing::publishing to{any_stream(server.url())};
    CHECK(to.publish("service.a", "x").what == outcome::unknown);
    CHECK(to.publish("service.b", "x").what == outcome::unknown);
    CHECK(to.publish("service.c", "x").reason == "a?b (10077)");
    CHECK(to.publish("order.created", "x").what == outcome::accepted);
}

TEST_CASE("a server without JetStream is reported as such") {
    support::nats_server const server{"accounts { A { users = [{user: a, password: b}] } }"};
    for (std::vector<std::string> const& streams : {std::vector<std::string>{}, {"ORDERS"}}) {
        try {
            outbox::testing::publishing const to{outbox::jetstream_broker{
                {.connection = {.url = server.url(), .user = "a", .password = "b"},
                 .streams = streams}}};
            FAIL("connected without JetStream");
        } catch (outbox::error const& missing) {
            INFO(missing.what());
            CHECK(missing.code() == outbox::errc::unavailable);
            CHECK(std::string{missing.what()}.find("JetStream is not enabled") !=
                  std::string::npos);
        }
    }
}

TEST_CASE("a server that is down or hangs is passed over for the next one of the list") {
    support::nats_server const hanging;
    support::nats_server const server;
    support::nats_client client{server.url()};
    client.add_stream("ORDERS", {"order.>"});
    hanging.hang();
    auto const broker = [](std::string const& url) {
        return outbox::jetstream_broker{
            {.connection = {.url = url, .connect_timeout = std::chrono::milliseconds{200}}}};
    };
    outbox::testing::publishing to{
        broker("nats://127.0.0.1:1, " + hanging.url() + ", " + server.url() + "/")};
    CHECK(to.publish("order.created", "x").what == outcome::accepted);
    try {
        outbox::testing::publishing const none{broker("nats://127.0.0.1:1, " + hanging.url())};
        FAIL("connected to nothing");
    } catch (outbox::error const& gone) {
        CHECK(gone.code() == outbox::errc::unavailable);
    }
    hanging.resume();
}

TEST_CASE("a channel may go while its receipts arrive") {
    support::nats_server const server;
    support::nats_client client{server.url()};
    client.add_stream("ORDERS", {"order.>"});
    for (int round = 0; round < 40; ++round) {
        outbox::testing::publishing to{any_stream(server.url())};
        for (int i = 0; i < 200; ++i) to.add("order.created", std::to_string(i));
        to.send_all();
        to.wait_for(static_cast<std::size_t>(round));
    }
    outbox::testing::publishing last{any_stream(server.url())};
    CHECK(last.publish("order.created", "last").what == outcome::accepted);
}
