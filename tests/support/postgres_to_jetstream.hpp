// SPDX-License-Identifier: MIT
//
// The real job: an outbox on PostgreSQL whose messages go to JetStream, with quick retries.
#pragma once

#include <vector>

#include "outbox/broker/jetstream.hpp"
#include "outbox/outbox.hpp"
#include "support/nats_server.hpp"
#include "support/postgres_case.hpp"

namespace support {

using namespace std::chrono_literals;

/// The stream ALL takes `all.>`.
struct postgres_to_jetstream {
    postgres_case shop{};
    nats_server nats{};
    outbox::basic_outbox<outbox::postgres_storage, outbox::jetstream_broker> box{
        shop.storage,
        outbox::jetstream_broker{
            {.connection = {.url = nats.url()},
             .create_stream = outbox::jetstream_stream{.name = "ALL", .subjects = {"all.>"}}}},
        {.poll_interval = 50ms,
         .lease_duration = 4s,
         .max_attempts = 3,
         .backoff_min = 10ms,
         .backoff_max = 50ms,
         .probe_max = 100ms}};

    void wait_until_delivered() {
        wait_until_ready("the delivery of everything",
                         [&] { return box.stats().storage.backlog == 0; });
    }
    [[nodiscard]] std::vector<stored_message> arrived() const {
        return nats_client{nats.url()}.read("ALL");
    }
};

}  // namespace support
