// SPDX-License-Identifier: MIT
//
// The storage object, and a worker's session behind its pointer.
#include "outbox/storage/sqlite.hpp"

#include <utility>

#include "outbox/storage/sqlite_schema.hpp"
#include "outbox/storage/sqlite_worker.hpp"

namespace outbox {

sqlite_storage::sqlite_storage(std::string path, table_name table)
    : path_{std::move(path)}, table_{std::move(table)} {
    sqlite::require_no_schema(table_);
    if (path_.empty()) throw error{errc::invalid_option, "the path of the database file is empty"};
}

sqlite_storage::session sqlite_storage::connect(message_id const& worker, duration limit) {
    return session{std::make_unique<sqlite::worker>(path_, table_, worker, limit)};
}

sqlite_storage::session::session(std::unique_ptr<sqlite::worker> of) : worker_{std::move(of)} {}
sqlite_storage::session::session(session&&) noexcept = default;
sqlite_storage::session& sqlite_storage::session::operator=(session&&) noexcept = default;
sqlite_storage::session::~session() = default;

acquired sqlite_storage::session::acquire(acquire_request const& request) {
    return worker_->acquire(request);
}

round_reply sqlite_storage::session::exchange(round_request const& request) {
    return worker_->exchange(request);
}

void sqlite_storage::session::release(std::span<ending const> endings) {
    worker_->release(endings);
}

}  // namespace outbox
