// SPDX-License-Identifier: MIT
//
// What producers call: the guard's transaction, and messages joining the caller's own.
#include <string>

#include "outbox/storage/sqlite.hpp"
#include "outbox/storage/sqlite_connection.hpp"
#include "outbox/storage/sqlite_failure.hpp"
#include "outbox/storage/sqlite_kept.hpp"
#include "outbox/storage/sqlite_statements.hpp"

namespace outbox {

namespace {

bool is_open(sqlite3* on) {
    return sqlite3_get_autocommit(on) == 0;
}

/// All or none of several statements of the caller's transaction.
class savepoint {
public:
    explicit savepoint(sqlite3* on) : on_{on} {
        sqlite::execute(on_, "savepoint outbox_append");
    }
    savepoint(savepoint const&) = delete;
    savepoint& operator=(savepoint const&) = delete;
    ~savepoint() {
        if (kept_ || !is_open(on_)) return;
        sqlite3_exec(on_, "rollback to outbox_append; release outbox_append", nullptr, nullptr,
                     nullptr);
    }
    void keep() {
        sqlite::execute(on_, "release outbox_append");
        kept_ = true;
    }

private:
    sqlite3* on_;
    bool kept_{false};
};

constexpr std::string_view insert_sql =
    "insert into outbox (id, topic, key, headers, payload) values (?1, ?2, ?3, ?4, ?5)";

// With an id of the caller's, or a time.
constexpr std::string_view insert_special_sql = R"(
insert into outbox (id, topic, key, headers, payload, caller_chose_id, not_before, due, state)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, case when ?7 > {now} then 2 else 0 end)
on conflict (id) where caller_chose_id = 1 do nothing)";

constexpr std::string_view stored_sql = R"(
select topic, coalesce(key, ''), headers, payload from outbox where id = ?1 and caller_chose_id = 1
)";

/// One message after the other, by statements that the connection keeps.
class appender {
public:
    appender(sqlite3* on, table_name const& table) : on_{on}, table_{table} {}

    void add(draft const& one) {
        id_.clear();
        append_text(id_, one.id);
        if (one.caller_chose_id || one.not_before) {
            auto const stored =
                prepared(special_, insert_special_sql)
                    .execute(sqlite::text{id_}, sqlite::text{one.topic}, sqlite::text{one.key},
                             sqlite::text{one.headers}, sqlite::blob{one.payload},
                             one.caller_chose_id, one.not_before);
            if (stored == 0) compare(one);
        } else {
            prepared(ordinary_, insert_sql)
                .execute(sqlite::text{id_}, sqlite::text{one.topic}, sqlite::text{one.key},
                         sqlite::text{one.headers}, sqlite::blob{one.payload});
        }
    }

private:
    /// Its id is stored already: nothing to do, unless it stands for something else.
    void compare(draft const& one) {
        sqlite::statement find{on_, sqlite::render(stored_sql, table_), false};
        auto stored = find.run(one.id);
        if (stored.next() && stored.text(0) == one.topic && stored.text(1) == one.key &&
            stored.text(2) == one.headers && stored.text(3) == one.payload) {
            return;
        }
        throw error{errc::duplicate_id,
                    "message id " + to_string(one.id) + " is stored already with other content"};
    }

    sqlite::statement& prepared(std::optional<sqlite::statement>& one, std::string_view sql) {
        if (!one) one.emplace(sqlite::kept_on(on_, sqlite::render(sql, table_)));
        return *one;
    }

    sqlite3* on_;
    table_name const& table_;
    std::optional<sqlite::statement> ordinary_{};
    std::optional<sqlite::statement> special_{};
    std::string id_{};
};

void append_all(sqlite3* on, table_name const& table, std::span<draft const> drafts) {
    std::optional<savepoint> together;
    if (drafts.size() > 1) together.emplace(on);
    appender to{on, table};
    for (auto const& one : drafts) to.add(one);
    if (together) together->keep();
}

}  // namespace

void sqlite_storage::begin(transaction on) {
    if (is_open(on.handle())) throw error{errc::no_transaction, "a transaction is open already"};
    try {
        sqlite::execute(on.handle(), "begin immediate");
    } catch (error const& failure) {
        if (failure.code() != errc::contention) throw;
        throw error{errc::contention,
                    "another connection is writing; give this one a busy timeout, so that it waits "
                    "for its turn"};
    }
}

void sqlite_storage::commit(transaction on) {
    if (!is_open(on.handle())) {
        throw error{errc::aborted_transaction,
                    "no transaction is open any more: SQLite rolled it back, or somebody ended it"};
    }
    int const result = sqlite3_exec(on.handle(), "commit", nullptr, nullptr, nullptr);
    if (result == SQLITE_OK && !is_open(on.handle())) return;
    auto code = errc::aborted_transaction;
    if (sqlite::classify(result) == errc::contention) code = errc::contention;
    if ((result & 0xFF) == SQLITE_IOERR) code = errc::commit_unknown;
    auto const why = sqlite::failure(on.handle(), code);
    rollback(on);
    throw why;
}

void sqlite_storage::rollback(transaction on) noexcept {
    if (is_open(on.handle())) sqlite3_exec(on.handle(), "rollback", nullptr, nullptr, nullptr);
}

void sqlite_storage::append(transaction on, std::span<draft const> drafts) {
    if (!is_open(on.handle())) {
        throw error{errc::no_transaction,
                    "create_message needs an open transaction; begin one first"};
    }
    if (drafts.empty()) return;
    try {
        append_all(on.handle(), table_, drafts);
    } catch (error const& failure) {
        if (!is_open(on.handle())) {
            throw error{errc::aborted_transaction,
                        std::string{"SQLite rolled the transaction back: "} + failure.what()};
        }
        if (failure.code() != errc::contention) throw;
        throw error{errc::contention,
                    "another connection is writing; begin with BEGIN IMMEDIATE, as the outbox's "
                    "begin does, and give the connection a busy timeout"};
    }
}

}  // namespace outbox
