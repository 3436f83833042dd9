// SPDX-License-Identifier: MIT
#include "support/postgres_case.hpp"
#include "support/shared_work.hpp"

TEST_CASE("three workers share a PostgreSQL storage under a moody broker and lose nothing") {
    support::postgres_case at;
    support::moody_broker moody{7};
    outbox::basic_outbox<outbox::postgres_storage, outbox::memory_broker> box{
        at.storage, moody.broker(), support::impatient()};
    PGconn* connection = at.sql.handle();
    support::check_shared_work(box, moody, connection, 10'000, 50, 3);
}
