// SPDX-License-Identifier: MIT
//
// What a broker says of a message it was given (receipt), and what a storage shall do with the
// record in consequence (settlement). The relay turns one into the other; neither side decides.
#pragma once

#include <cstdint>
#include <string>

#include "outbox/record.hpp"

namespace outbox {

enum class outcome : std::uint8_t {
    accepted,      ///< acknowledged by the broker, beyond doubt
    refused,       ///< the message's own fault; sending it again changes nothing
    rejected,      ///< the message's own fault as far as can be told; worth another attempt
    unroutable,    ///< nothing takes this topic: its own fault if others are accepted meanwhile
    unknown,       ///< it may have arrived or not
    unavailable,   ///< the broker cannot be used; says nothing about the message
    out_of_order,  ///< the broker saw that its predecessor had not landed
};

[[nodiscard]] constexpr std::string_view to_string(outcome what) {
    switch (what) {
        case outcome::accepted: return "accepted";
        case outcome::refused: return "refused";
        case outcome::rejected: return "rejected";
        case outcome::unroutable: return "unroutable";
        case outcome::unknown: return "unknown";
        case outcome::unavailable: return "unavailable";
        case outcome::out_of_order: return "out_of_order";
    }
    return "invalid";
}

/// Names one publish attempt within a channel.
using attempt_token = std::uint64_t;

struct receipt {
    attempt_token token{0};
    outcome what{outcome::unknown};
    std::string reason{};  ///< empty when accepted; never a payload or a secret
};

enum class fate : std::uint8_t {
    remove,     ///< published: delete the record
    stamp,      ///< published: keep it, stamped with the time
    retry,      ///< becomes retrying, due after `delay`, with `attempts` and `error`
    follow,     ///< becomes retrying behind an earlier retrying record of its key
    schedule,   ///< becomes scheduled, due after `delay`
    bury,       ///< becomes a dead letter with `attempts` and `error`
    hand_back,  ///< nothing is written; the record may be read again
};

struct settlement {
    partition_number partition{0};
    sequence_number sequence{0};
    fate what{fate::hand_back};
    std::int32_t attempts{0};
    duration delay{0};
    std::string error{};
};

}  // namespace outbox
