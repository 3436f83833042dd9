// SPDX-License-Identifier: MIT
#include "outbox/storage/memory.hpp"
#include "support/shared_work.hpp"

TEST_CASE("three workers share a memory storage under a moody broker without loss or disorder") {
    outbox::basic_memory_storage<outbox::system_clock> storage;
    support::moody_broker moody{7};
    outbox::basic_outbox<decltype(storage), outbox::memory_broker> box{storage, moody.broker(),
                                                                       support::impatient()};
    decltype(storage)::connection connection;
    support::check_shared_work(box, moody, connection, 10'000, 50, 3);
}
