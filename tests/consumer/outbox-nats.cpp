// SPDX-License-Identifier: MIT
//
// A stranger's program that links the NATS brokers; no server is there, and it says so.
#include <outbox/broker/jetstream.hpp>

int main() {
    outbox::jetstream_broker broker{{.connection = {.url = "nats://127.0.0.1:1"}}};
    outbox::wakeup signal;
    try {
        auto const channel = broker.connect({.outbox_name = "orders_outbox",
                                             .signal = signal,
                                             .publish_timeout = std::chrono::seconds{1},
                                             .lease = std::chrono::seconds{4},
                                             .window = 10});
    } catch (outbox::error const& failure) {
        return failure.code() == outbox::errc::unavailable ? 0 : 1;
    }
    return 1;
}
