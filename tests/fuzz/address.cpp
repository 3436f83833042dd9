// SPDX-License-Identifier: MIT
//
// An address is never shown with what stands before its last "@".
#include "fuzz/fuzz.hpp"
#include "outbox/broker/nats_connection.hpp"

void fuzz::try_one(input from) {
    auto const text = from.rest();
    auto const shown = outbox::nats_rules::without_secrets(text);
    require(shown.find('@') == shown.npos, "an address with its secrets");
    for (auto const& server : outbox::nats_rules::servers_of(text)) {
        static_cast<void>(outbox::nats_rules::host_of(server));
    }
    try {
        outbox::nats_rules::check({.url = std::string{text}});
    } catch (outbox::error const& refused) {
        require(refused.code() == outbox::errc::invalid_option, "another kind of refusal");
    }
}
