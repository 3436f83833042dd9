// SPDX-License-Identifier: MIT
//
// Whatever a server answers is an acknowledgement with a stream, or says in a printable sentence
// why it is none.
#include <nlohmann/json.hpp>

#include "fuzz/fuzz.hpp"
#include "outbox/broker/jetstream_reply.hpp"
#include "outbox/broker/nats_denial.hpp"

void fuzz::try_one(input from) {
    auto const text = from.rest();
    auto const read = outbox::nats_rules::read_acknowledgement(text);
    if (read.what == outbox::outcome::accepted) {
        require(read.reason.empty(), "accepted for a reason");
        auto const parsed = nlohmann::json::parse(text, nullptr, false);
        require(parsed.is_object() && parsed["stream"] == read.stream && parsed["seq"] > 0,
                "accepted without a stream and a sequence");
    } else {
        require(!read.reason.empty() && is_printable(read.reason), "a reason that disturbs a log");
    }
    auto const denied = outbox::nats_rules::read_denial(text);
    if (denied) require(denied.means(denied.topic), "a denial that does not mean its topic");
}
