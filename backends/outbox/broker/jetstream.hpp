// SPDX-License-Identifier: MIT
//
// Publishes to NATS JetStream: every message is acknowledged by the server, and copies are dropped
// by it within the stream's duplicate window.
//
//     outbox::jetstream_broker broker{{.connection = {.url = "nats://127.0.0.1:4222"},
//                                      .streams = {"ORDERS"}}};
//
// Each message carries one header of the library's, `Nats-Msg-Id`: ID.OUTBOX.GENERATION. Its first
// 36 characters are the message's id, the same in all copies, for consumers. The server drops what
// comes with the same header again; an operator's requeue, and nothing else, raises the generation.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "outbox/broker/nats_connection.hpp"
#include "outbox/broker/nats_validation.hpp"
#include "outbox/concepts.hpp"

namespace outbox {

/// A stream to create when it is not there. One that is there is checked and never changed.
struct jetstream_stream {
    std::string name{};
    std::vector<std::string> subjects{};  ///< empty: the name alone
    bool in_memory{false};
    std::int64_t replicas{1};
    std::chrono::seconds duplicate_window{120};
    std::chrono::seconds max_age{0};  ///< 0: for ever
    std::int64_t max_bytes{-1};       ///< -1: no limit
};

struct jetstream_options {
    nats_connection_options connection{};
    /// The streams that messages may go to. An acknowledgement from any other one is none, and a
    /// topic that none of them takes is its message's own fault. Empty: all streams that the server
    /// lists; then a topic that none of them takes may also wait for a stream that is missing, and
    /// a stream with a flaw stops the messages that go there instead of the worker. (Where the user
    /// may not list streams, an acknowledgement by any stream counts.)
    std::vector<std::string> streams{};
    /// Created at the first connection when absent; belongs to `streams` without being named there.
    std::optional<jetstream_stream> create_stream{};
};

class jetstream_broker {
public:
    class channel;

    /// Connects to nothing yet. Throws `invalid_option`.
    explicit jetstream_broker(jetstream_options options);

    [[nodiscard]] static std::optional<problem> check_topic(std::string_view topic) {
        return nats_rules::check_topic(topic);
    }
    [[nodiscard]] static std::optional<problem> check_header(std::string_view name,
                                                             std::string_view value) {
        return nats_rules::check_header(name, value);
    }
    /// Throws `unavailable` without a server or a named stream; `unsafe_setup` when a stream does
    /// not acknowledge, keeps messages only while somebody is interested, or forgets ids before a
    /// message may be sent again.
    [[nodiscard]] channel connect(channel_setup const& setup);

private:
    std::shared_ptr<jetstream_options const> options_;
};

class jetstream_broker::channel {
public:
    channel(channel&&) noexcept;
    channel& operator=(channel&&) noexcept;
    channel(channel const&) = delete;
    channel& operator=(channel const&) = delete;
    ~channel();

    void send(std::span<dispatch const> messages);
    void collect(std::vector<receipt>& arrived);
    [[nodiscard]] bool usable() const;
    void wake_for(std::size_t receipts);
    /// By `Nats-Expected-Last-Msg-Id`, within one stream that is not replicated.
    [[nodiscard]] bool can_chain(std::string_view topic, std::string_view next) const;

private:
    friend class jetstream_broker;
    struct state;
    explicit channel(std::unique_ptr<state> made);

    std::unique_ptr<state> state_;
};

static_assert(broker<jetstream_broker>);
static_assert(chaining_channel<jetstream_broker::channel>);

}  // namespace outbox
