// SPDX-License-Identifier: MIT
//
// Hands messages over to a NATS server without a receipt, as the origin did: core NATS. A message
// counts as accepted when the server has read it, whether anybody listens or not; it is lost when
// nobody does, or when the server dies before it has passed it on. For acknowledged delivery use
// jetstream_broker.
//
//     outbox::nats_broker broker{{.url = "nats://127.0.0.1:4222"}};
//
// Each message carries the header `Nats-Msg-Id`, whose first 36 characters are its id.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "outbox/broker/nats_connection.hpp"
#include "outbox/broker/nats_validation.hpp"
#include "outbox/concepts.hpp"

namespace outbox {

class nats_broker {
public:
    class channel;

    /// Connects to nothing yet. Throws `invalid_option`.
    explicit nats_broker(nats_connection_options options);

    [[nodiscard]] static std::optional<problem> check_topic(std::string_view topic) {
        return nats_rules::check_topic(topic);
    }
    [[nodiscard]] static std::optional<problem> check_header(std::string_view name,
                                                             std::string_view value) {
        return nats_rules::check_header(name, value);
    }
    [[nodiscard]] channel connect(channel_setup const& setup);

private:
    struct shared;
    std::shared_ptr<shared> shared_;
};

/// `send` waits for the server to have read the batch, at most a publish timeout: core NATS has no
/// other sign of life. When the server denies a topic it says so without saying which messages it
/// dropped: those of that topic are unroutable, others of the same batch unknown; from then on
/// messages of that topic go last, behind a sign of life for the others.
class nats_broker::channel {
public:
    channel(channel&&) noexcept;
    channel& operator=(channel&&) noexcept;
    channel(channel const&) = delete;
    channel& operator=(channel const&) = delete;
    ~channel();

    void send(std::span<dispatch const> messages);
    void collect(std::vector<receipt>& arrived);
    [[nodiscard]] bool usable() const;

private:
    friend class nats_broker;
    struct state;
    explicit channel(std::unique_ptr<state> made);

    std::unique_ptr<state> state_;
};

static_assert(broker<nats_broker>);

}  // namespace outbox
