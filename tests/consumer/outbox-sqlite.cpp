// SPDX-License-Identifier: MIT
//
// A stranger's program that links the SQLite storage; the file's folder is missing, and it says so.
#include <outbox/storage/sqlite.hpp>

int main() {
    outbox::sqlite_storage storage{"no/such/folder/orders.db", "orders_outbox"};
    try {
        auto const session = storage.connect(outbox::message_id{}, std::chrono::seconds{1});
    } catch (outbox::error const& failure) {
        return failure.code() == outbox::errc::unavailable ? 0 : 1;
    }
    return 1;
}
