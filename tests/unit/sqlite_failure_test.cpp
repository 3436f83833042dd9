// SPDX-License-Identifier: MIT
//
// What each failure of SQLite means, one row each.
#include "outbox/storage/sqlite_failure.hpp"

#include <sqlite3.h>

#include "outbox/storage/sqlite_statements.hpp"
#include "outbox/testing/catch.hpp"

using outbox::errc;

TEST_CASE("each result code of SQLite, primary or extended, has its meaning") {
    struct row {
        int result;
        errc meaning;
    };
    constexpr row table[] = {
        {SQLITE_BUSY, errc::contention},
        {SQLITE_BUSY_SNAPSHOT, errc::contention},
        {SQLITE_BUSY_RECOVERY, errc::contention},
        {SQLITE_LOCKED, errc::contention},
        {SQLITE_LOCKED_SHAREDCACHE, errc::contention},
        {SQLITE_FULL, errc::unavailable},
        {SQLITE_IOERR, errc::unavailable},
        {SQLITE_IOERR_FSYNC, errc::unavailable},
        {SQLITE_IOERR_SHORT_READ, errc::unavailable},
        {SQLITE_READONLY, errc::unavailable},
        {SQLITE_READONLY_DBMOVED, errc::unavailable},
        {SQLITE_CANTOPEN, errc::unavailable},
        {SQLITE_CANTOPEN_ISDIR, errc::unavailable},
        {SQLITE_CORRUPT, errc::unavailable},
        {SQLITE_CORRUPT_INDEX, errc::unavailable},
        {SQLITE_NOTADB, errc::unavailable},
        {SQLITE_NOMEM, errc::unavailable},
        {SQLITE_PERM, errc::unavailable},
        {SQLITE_AUTH, errc::unavailable},
        {SQLITE_PROTOCOL, errc::unavailable},
        {SQLITE_NOLFS, errc::unavailable},
        {SQLITE_INTERRUPT, errc::unavailable},
        {SQLITE_ABORT, errc::aborted_transaction},
        {SQLITE_ABORT_ROLLBACK, errc::aborted_transaction},
        {SQLITE_TOOBIG, errc::invalid_payload},
        {SQLITE_ERROR, errc::schema_mismatch},
        {SQLITE_SCHEMA, errc::schema_mismatch},
        {SQLITE_CONSTRAINT, errc::schema_mismatch},
        {SQLITE_CONSTRAINT_NOTNULL, errc::schema_mismatch},
        {SQLITE_MISMATCH, errc::schema_mismatch},
        {SQLITE_MISUSE, errc::outcome_unknown},
        {SQLITE_RANGE, errc::outcome_unknown},
        {SQLITE_INTERNAL, errc::outcome_unknown},
    };
    for (auto const& [result, meaning] : table) {
        INFO("result code " << result);
        CHECK(outbox::sqlite::classify(result) == meaning);
    }
}

TEST_CASE("a statement is rendered for its table, and words that merely contain the name stay") {
    auto const render = [](char const* sql) {
        return outbox::sqlite::render(sql, outbox::table_name{"orders"});
    };
    CHECK(render("select * from outbox") == "select * from orders");
    CHECK(render("outbox.id = outbox_partition.id, 'outbox'") ==
          "orders.id = orders_partition.id, 'orders'");
    CHECK(render("my_outbox outboxes unoutbox outbox2 outbox") ==
          "my_outbox outboxes unoutbox outbox2 orders");
}
