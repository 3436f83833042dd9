// SPDX-License-Identifier: MIT
#include "outbox/testing/laws/storage_case.hpp"
#include "support/postgres_case.hpp"

namespace {

struct model {
    using storage_type = outbox::postgres_storage;
    static constexpr bool concurrent = true;
    static constexpr std::size_t partitions = 64;
    static constexpr int random_sequences = 200;

    support::postgres_case at{};
    support::sql_connection second = at.server.connect();

    storage_type& storage() {
        return at.storage;
    }
    PGconn* own() {
        return at.sql.handle();
    }
    PGconn* other() {
        return second.handle();
    }
    /// Shifts what is stored into the past.
    void elapse(outbox::duration time) {
        auto const by = " - interval '" + std::to_string(time.count()) + " microseconds'";
        at.run("update outbox set created_at = created_at" + by + ", due = due" + by +
               ", not_before = not_before" + by + ", published_at = published_at" + by +
               ", died_at = died_at" + by +
               "; update outbox_partition set lease_until = lease_until" + by +
               ", wanted_until = wanted_until" + by);
    }
    outbox::wall_time wall() {
        return outbox::system_clock{}.wall();
    }
};

}  // namespace

#include "outbox/testing/laws/storage_laws.hpp"
