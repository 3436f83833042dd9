// SPDX-License-Identifier: MIT
//
// Opening, preparing, binding, stepping.
#include "outbox/storage/sqlite_connection.hpp"

#include <algorithm>

#include "outbox/error.hpp"
#include "outbox/storage/sqlite_failure.hpp"

namespace outbox::sqlite {

bool rows::next() {
    int const result = sqlite3_step(of_);
    if (result == SQLITE_ROW) return true;
    if (result == SQLITE_DONE) return false;
    throw failure(sqlite3_db_handle(of_));
}

std::string_view rows::text(int column) const {
    // The column is looked up once. Its value must not be touched by two threads at a time, and a
    // connection is one thread's.
    auto* const value = sqlite3_column_value(of_, column);
    // Asked for as text, a blob would be converted; asked for as a blob, text would come in the
    // encoding of the database.
    void const* const data = sqlite3_value_type(value) == SQLITE_BLOB
                                 ? sqlite3_value_blob(value)
                                 : static_cast<void const*>(sqlite3_value_text(value));
    auto const size = static_cast<std::size_t>(sqlite3_value_bytes(value));
    return size == 0 ? std::string_view{} : std::string_view{static_cast<char const*>(data), size};
}

statement::statement(sqlite3* on, std::string const& sql, bool kept) {
    sqlite3_stmt* prepared = nullptr;
    int const result =
        sqlite3_prepare_v3(on, sql.c_str(), static_cast<int>(sql.size()) + 1,
                           kept ? SQLITE_PREPARE_PERSISTENT : 0U, &prepared, nullptr);
    prepared_.reset(prepared);
    if (result != SQLITE_OK) throw failure(on);
}

void statement::check(int result) const {
    if (result != SQLITE_OK) throw failure(sqlite3_db_handle(prepared_.get()));
}

std::size_t statement::changed() const {
    return static_cast<std::size_t>(sqlite3_changes(sqlite3_db_handle(prepared_.get())));
}

void statement::bind(int at, std::int64_t value) {
    check(sqlite3_bind_int64(prepared_.get(), at, value));
}

void statement::bind(int at, std::string_view value) {
    check(sqlite3_bind_text64(prepared_.get(), at, value.data() == nullptr ? "" : value.data(),
                              value.size(), SQLITE_TRANSIENT, SQLITE_UTF8));
}

void statement::bind(int at, text value) {
    auto const& all = value.characters;
    check(sqlite3_bind_text64(prepared_.get(), at, all.data() == nullptr ? "" : all.data(),
                              all.size(), SQLITE_STATIC, SQLITE_UTF8));
}

void statement::bind(int at, blob value) {
    check(value.bytes.empty() ? sqlite3_bind_zeroblob(prepared_.get(), at, 0)
                              : sqlite3_bind_blob64(prepared_.get(), at, value.bytes.data(),
                                                    value.bytes.size(), SQLITE_STATIC));
}

void execute(sqlite3* on, std::string const& sql) {
    if (sqlite3_exec(on, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) throw failure(on);
}

connection::connection(std::string const& path, duration patience) {
    sqlite3* opened = nullptr;
    int const result = sqlite3_open_v2(path.c_str(), &opened,
                                       SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
    handle_.reset(opened);
    if (opened == nullptr) throw error{errc::unavailable, "SQLite has no memory to open a file"};
    if (result != SQLITE_OK) {
        throw error{errc::unavailable,
                    "cannot open the database file " + path + ": " + sqlite3_errstr(result & 0xFF)};
    }
    sqlite3_extended_result_codes(opened, 1);
    auto const wait = std::chrono::ceil<std::chrono::milliseconds>(patience).count();
    sqlite3_busy_timeout(opened, static_cast<int>(std::clamp<std::int64_t>(wait, 1, 3'600'000)));
    // References between the caller's tables and ours, if any, are the caller's to keep.
    execute(opened, "pragma foreign_keys = off; pragma synchronous = full");
    if (sqlite3_db_readonly(opened, "main") != 0) {
        throw error{errc::unavailable, "the database file " + path + " may not be written"};
    }
    std::string mode;
    {
        statement ask{opened, "pragma journal_mode = wal", false};
        if (auto answer = ask.run(); answer.next()) mode = answer.text(0);
    }
    if (mode != "wal") {
        throw error{errc::unsafe_setup,
                    "the database cannot be shared by producers and workers: its journal mode "
                    "is " +
                        mode + " and will not become wal; use a file on a local disk"};
    }
}

void connection::begin_writing(bool durable) {
    if (durable != durable_) {
        execute(handle(), durable ? "pragma synchronous = full" : "pragma synchronous = normal");
        durable_ = durable;
    }
    execute(handle(), "begin immediate");
}

void connection::rollback() noexcept {
    if (sqlite3_get_autocommit(handle()) == 0) {
        sqlite3_exec(handle(), "rollback", nullptr, nullptr, nullptr);
    }
}

}  // namespace outbox::sqlite
