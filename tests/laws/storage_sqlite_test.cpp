// SPDX-License-Identifier: MIT
#include "outbox/testing/laws/storage_case.hpp"
#include "support/sqlite_case.hpp"

namespace {

struct model {
    using storage_type = outbox::sqlite_storage;
    static constexpr bool concurrent = false;
    static constexpr std::size_t partitions = 1;
    static constexpr int random_sequences = 1'500;

    support::sqlite_case at{};
    support::sqlite_handle second{at.path};

    storage_type& storage() {
        return at.storage;
    }
    sqlite3* own() {
        return at.sql.handle();
    }
    sqlite3* other() {
        return second.handle();
    }
    /// Shifts what is stored into the past.
    void elapse(outbox::duration time) {
        auto const by = std::to_string(time.count());
        at.sql("update outbox set created_at = created_at - " + by + ", due = due - " + by +
               ", not_before = not_before - " + by + ", published_at = published_at - " + by +
               ", died_at = died_at - " + by +
               "; update outbox_partition set lease_until = lease_until - " + by);
    }
    outbox::wall_time wall() {
        return outbox::system_clock{}.wall();
    }
};

}  // namespace

#include "outbox/testing/laws/storage_laws.hpp"
