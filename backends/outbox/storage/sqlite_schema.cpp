// SPDX-License-Identifier: MIT
//
// Bringing the schema to this version, taking it away, and saying what is wrong with it. The
// migrations themselves say what belongs to it: they are applied to an empty database in memory,
// and that is compared.
#include "outbox/storage/sqlite_schema.hpp"

#include <algorithm>
#include <migrations_sqlite.hpp>
#include <string>

#include "outbox/storage/sqlite.hpp"
#include "outbox/storage/sqlite_connection.hpp"
#include "outbox/storage/sqlite_failure.hpp"
#include "outbox/storage/sqlite_statements.hpp"

namespace outbox {

namespace sqlite {

namespace {

constexpr int needed_version = static_cast<int>(migrations::sqlite.size());

bool has_table(sqlite3* on, std::string const& name) {
    statement ask{on, "select 1 from sqlite_master where type = 'table' and name = ?", false};
    return ask.any(name);
}

int version_of(sqlite3* on, table_name const& table) {
    if (!has_table(on, table.qualified("_version"))) return 0;
    statement ask{on, render("select max(version) from outbox_version", table), false};
    return static_cast<int>(ask.number().value_or(0));
}

[[noreturn]] void refuse(std::string const& why) {
    throw error{errc::schema_mismatch, why + "; apply the migrations"};
}

/// What is in the reference and not, or not so, in `on`.
void compare_tables(sqlite3* reference, sqlite3* on) {
    statement columns{
        reference,
        "select m.name, c.name, c.type from sqlite_master m, pragma_table_info(m.name)"
        " c where m.type = 'table' and m.name not like 'sqlite\\_%' escape '\\'",
        false};
    statement find{on, "select type from pragma_table_info(?) where name = ?", false};
    auto wanted = columns.run();
    while (wanted.next()) {
        std::string const table{wanted.text(0)};
        std::string const column{wanted.text(1)};
        if (!has_table(on, table)) refuse("table " + table + " is missing");
        auto found = find.run(table, column);
        if (!found.next()) refuse("column " + column + " of table " + table + " is missing");
        if (sqlite3_stricmp(std::string{found.text(0)}.c_str(),
                            std::string{wanted.text(2)}.c_str()) != 0) {
            refuse("column " + column + " of table " + table + " has the type " +
                   std::string{found.text(0)} + ", and " + std::string{wanted.text(2)} +
                   " is needed");
        }
    }
}

void compare_indexes(sqlite3* reference, sqlite3* on) {
    statement indexes{reference,
                      "select name, tbl_name from sqlite_master where type = 'index' and sql is"
                      " not null",
                      false};
    statement find{on,
                   "select 1 from sqlite_master where type = 'index' and name = ? and tbl_name = ?",
                   false};
    auto wanted = indexes.run();
    while (wanted.next()) {
        std::string const name{wanted.text(0)};
        std::string const table{wanted.text(1)};
        if (!find.any(name, table)) refuse("index " + name + " of table " + table + " is missing");
    }
}

}  // namespace

void require_no_schema(table_name const& table) {
    if (table.schema().empty()) return;
    throw error{errc::invalid_identifier, "SQLite has no schemas: say the name of the table alone"};
}

void check_schema(sqlite3* on, table_name const& table) {
    require_no_schema(table);
    auto const version = version_of(on, table);
    if (version == 0) refuse("table " + table.qualified("_version") + " is missing or empty");
    if (version < needed_version) {
        refuse("the schema of " + table.qualified() + " has version " + std::to_string(version) +
               ", and " + std::to_string(needed_version) + " is needed");
    }
    // A later version only adds, so that workers of both run side by side.
    sqlite3* opened = nullptr;
    int const result = sqlite3_open(":memory:", &opened);
    std::unique_ptr<sqlite3, int (*)(sqlite3*)> const reference{opened, sqlite3_close_v2};
    if (result != SQLITE_OK) throw error{errc::unavailable, "SQLite has no memory left"};
    for (auto const& file : migrations::sqlite) execute(opened, render(file.up, table));
    compare_tables(opened, on);
    compare_indexes(opened, on);
    statement row{on, render("select 1 from outbox_partition where partition = 0", table), false};
    if (!row.any()) refuse("table " + table.qualified("_partition") + " has no row");
}

namespace {

/// A transaction of ours on the caller's connection, alone among all processes that migrate.
class migration {
public:
    explicit migration(sqlite3* on) : on_{on} {
        if (sqlite3_get_autocommit(on) == 0) {
            throw error{errc::refused_operation,
                        "migrations run in a transaction of their own, and the connection has one "
                        "open"};
        }
        statement ask{on, "pragma busy_timeout", false};
        impatient_ = ask.number().value_or(0) == 0;
        if (impatient_) sqlite3_busy_timeout(on, 10'000);
    }
    migration(migration const&) = delete;
    migration& operator=(migration const&) = delete;
    ~migration() {
        if (sqlite3_get_autocommit(on_) == 0) {
            sqlite3_exec(on_, "rollback", nullptr, nullptr, nullptr);
        }
        if (impatient_) sqlite3_busy_timeout(on_, 0);
    }
    /// Workers need it. Others may be at work, so that it cannot be changed now: a worker tries
    /// again, and a database in memory has none to wait for.
    void use_wal() {
        sqlite3_exec(on_, "pragma journal_mode = wal", nullptr, nullptr, nullptr);
    }
    void begin() {
        execute(on_, "begin immediate");
    }
    void commit() {
        execute(on_, "commit");
    }

private:
    sqlite3* on_;
    bool impatient_{false};
};

}  // namespace

}  // namespace sqlite

void sqlite_storage::migrate(transaction on, table_name const& table) {
    sqlite::require_no_schema(table);
    sqlite::migration work{on.handle()};
    work.use_wal();
    work.begin();
    auto const applied = sqlite::version_of(on.handle(), table);
    for (auto const& file : migrations::sqlite) {
        if (file.version > applied) sqlite::execute(on.handle(), sqlite::render(file.up, table));
    }
    work.commit();
}

void sqlite_storage::migrate_down(transaction on, table_name const& table, bool force) {
    sqlite::require_no_schema(table);
    sqlite::migration work{on.handle()};
    work.begin();
    auto const applied = sqlite::version_of(on.handle(), table);
    if (applied == 0) sqlite::refuse("there is no " + table.qualified() + " to be taken away");
    auto const run = [&](std::string_view script) {
        sqlite::execute(on.handle(), sqlite::render(script, table));
    };
    if (force) {
        run("create temporary table outbox_force (yes)");
    } else {
        sqlite::statement unpublished{
            on.handle(), sqlite::render("select 1 from outbox where state <> 4 limit 1", table),
            false};
        if (unpublished.any()) {
            throw error{errc::refused_operation,
                        table.qualified() +
                            " holds unpublished messages, which would be lost; "
                            "deliver or discard them first, or force it"};
        }
    }
    for (auto file = migrations::sqlite.rbegin(); file != migrations::sqlite.rend(); ++file) {
        if (file->version <= applied) run(file->down);
    }
    if (force) run("drop table temp.outbox_force");
    work.commit();
}

void sqlite_storage::check_schema(transaction on, table_name const& table) {
    sqlite::check_schema(on.handle(), table);
}

}  // namespace outbox
