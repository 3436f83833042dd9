// SPDX-License-Identifier: MIT
//
// What an answer of JetStream says of a message. Pure: a table of its error codes, and the rule of
// what a valid acknowledgement is.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "outbox/settlement.hpp"

namespace outbox::nats_rules {

/// Codes as of nats-server's list of errors. A code that is not named here says nothing about the
/// message: it waits.
[[nodiscard]] constexpr outcome outcome_of(std::int64_t error_code) {
    switch (error_code) {
        case 10054:  // message larger than the stream's maximum
        case 10097:  // headers too large
        case 10111:  // invalid rollup header
            return outcome::refused;
        case 10070:  // expected last message id differs
        case 10071:  // expected last sequence differs
            return outcome::out_of_order;
        case 10158:  // the same id is being stored at this moment: stored or not
            return outcome::unknown;
        case 10008:  // cluster not available
        case 10023:  // insufficient resources
        case 10028:  // storage exceeded
        case 10047:  // account's resources exceeded
        case 10060:  // another stream than expected
        case 10076:  // JetStream not enabled
        case 10077:  // stream full, or its storage failed
        default: return outcome::unavailable;
    }
}

struct acknowledgement {
    outcome what{outcome::unknown};
    std::string stream{};
    std::string reason{};
    std::uint64_t sequence{0};  ///< in the stream
};

/// Reads a reply. Accepted only with a stream and a sequence above zero: any service may answer on
/// a subject, and a clustered server may call a message a duplicate (with sequence zero) that it
/// then never stores. Whether the stream is the expected one is the caller's to check.
[[nodiscard]] acknowledgement read_acknowledgement(std::string_view text);

}  // namespace outbox::nats_rules
