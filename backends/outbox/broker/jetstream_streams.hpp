// SPDX-License-Identifier: MIT
//
// The streams that messages may go to, as they were when the channel was opened: named by the user,
// or all that the account has. It tells whose acknowledgement counts, and what an absent one means.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "outbox/broker/jetstream.hpp"
#include "outbox/broker/nats_link.hpp"

namespace outbox::nats_rules {

struct known_stream {
    std::vector<std::string> subjects{};
    bool keeps_order{false};  ///< it compares the last id that it stored, and with nobody else's
    std::string flaw{};  ///< why messages are not safe there, and what to change; empty: they are
};

class known_streams {
public:
    /// Asks the server, and creates what is to be created. Throws `unavailable` when a stream that
    /// was named is missing, `unsafe_setup` when it has a flaw.
    known_streams(link const& server, jetstream_options const& options, channel_setup const& setup);

    [[nodiscard]] bool knows(std::string const& stream) const {
        return streams_.contains(stream);
    }
    /// The meaning of an acknowledgement by this stream.
    [[nodiscard]] receipt acknowledged(attempt_token token, std::string const& stream) const;
    /// The meaning of "nobody takes this topic".
    [[nodiscard]] receipt unroutable(attempt_token token, std::string_view topic) const;
    /// Whether a message of topic `next` may be sent on the condition that the last that was stored
    /// is a certain one of `topic`.
    [[nodiscard]] bool can_chain(std::string_view topic, std::string_view next) const;
    /// Why a message must not even be sent.
    [[nodiscard]] std::optional<std::string> flaw(std::string_view topic) const;
    /// Whether this stream came after the channel was opened, as far as can be told.
    [[nodiscard]] bool is_news(std::string const& stream) const {
        return listed_ && !streams_.contains(stream);
    }

private:
    using entry = std::map<std::string, known_stream>::value_type;
    [[nodiscard]] entry const* taker(std::string_view topic) const;
    void add(jsStreamInfo const& found, channel_setup const& setup);
    void list(link const& server, jsCtx* context, channel_setup const& setup);

    std::map<std::string, known_stream> streams_{};
    bool named_{false};   ///< they are the only ones
    bool listed_{false};  ///< they are all that the account had
    bool flawed_{false};  ///< one of them is
};

/// Throws `invalid_option`, naming the field.
void check(jetstream_options const& options);

}  // namespace outbox::nats_rules
