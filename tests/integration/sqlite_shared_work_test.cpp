// SPDX-License-Identifier: MIT
#include "support/shared_work.hpp"
#include "support/sqlite_case.hpp"

TEST_CASE("three workers share an SQLite file under a moody broker without loss or disorder") {
    support::sqlite_case at;
    sqlite3_busy_timeout(at.sql.handle(), 60'000);
    support::moody_broker moody{7};
    outbox::basic_outbox<outbox::sqlite_storage, outbox::memory_broker> box{
        at.storage, moody.broker(), support::impatient()};
    auto* const connection = at.sql.handle();
    support::check_shared_work(box, moody, connection, 3'000, 50, 3);
}
