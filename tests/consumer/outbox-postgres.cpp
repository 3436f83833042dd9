// SPDX-License-Identifier: MIT
//
// A stranger's program that links the PostgreSQL storage; no server is there, and it says so.
#include <outbox/storage/postgres.hpp>

int main() {
    outbox::postgres_storage storage{"host=127.0.0.1 port=1 dbname=none", "orders_outbox"};
    try {
        auto const session = storage.connect(outbox::message_id{}, std::chrono::seconds{1});
    } catch (outbox::error const& failure) {
        return failure.code() == outbox::errc::unavailable ? 0 : 1;
    }
    return 1;
}
