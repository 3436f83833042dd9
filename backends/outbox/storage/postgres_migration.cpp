// SPDX-License-Identifier: MIT
//
// Bringing the schema to this version, taking it away, and saying what is wrong with it.
#include <migrations_postgres.hpp>

#include <ranges>

#include "outbox/storage/postgres.hpp"
#include "outbox/storage/postgres_blocking.hpp"
#include "outbox/storage/postgres_schema.hpp"
#include "outbox/storage/postgres_statements.hpp"

namespace outbox {

namespace {

using postgres::execute;
using postgres::execute_script;
using postgres::failure;
using postgres::row_reader;

constexpr std::string_view raised_by_script = "P0001";

/// A transaction of ours on the caller's handle, alone among all processes that migrate.
class migration {
public:
    migration(PGconn* on, table_name const& table) : on_{on}, table_{table} {
        if (PQtransactionStatus(on) != PQTRANS_IDLE) {
            throw error{errc::refused_operation,
                        "migrations run in a transaction of their own, and the connection has one "
                        "open or is lost"};
        }
        // Read committed: what others applied while this waited for the lock must be seen.
        execute_script(on_, "begin isolation level read committed");
        static_cast<void>(
            execute(on_, "select pg_advisory_xact_lock(hashtextextended('outbox migrations', 0))"));
    }
    migration(migration const&) = delete;
    migration& operator=(migration const&) = delete;
    ~migration() {
        if (on_ != nullptr) PQclear(PQexec(on_, "rollback"));
    }

    /// Names in scripts carry no schema.
    void enter_schema(bool make) {
        std::string const schema{table_.schema()};
        if (schema.empty()) return;
        auto const found = execute(on_, "select to_regnamespace('" + schema + "') is not null");
        if (make && !row_reader{found, 0}.boolean())
            execute_script(on_, "create schema \"" + schema + "\"");
        execute_script(on_, "set local search_path to \"" + schema + "\"");
    }
    [[nodiscard]] int version() {
        auto const there =
            execute(on_, "select to_regclass('" + table_.qualified("_version") + "') is not null");
        if (!row_reader{there, 0}.boolean()) return 0;
        auto const found = execute(on_, "select max(version) from " + table_.qualified("_version"));
        return row_reader{found, 0}.number<std::int32_t>();
    }
    void run(std::string_view script) {
        execute_script(on_, postgres::render(script, table_.table()));
    }
    void commit() {
        execute_script(std::exchange(on_, nullptr), "commit");
    }

private:
    PGconn* on_;
    table_name const& table_;
};

}  // namespace

void postgres_storage::migrate(transaction on, table_name const& table) {
    try {
        migration work{on.handle(), table};
        work.enter_schema(true);
        auto const applied = work.version();
        for (auto const& file : migrations::postgres) {
            if (file.version > applied) work.run(file.up);
        }
        work.commit();
    } catch (failure const& why) {
        throw why.error("migrate");
    }
}

void postgres_storage::migrate_down(transaction on, table_name const& table, bool force) {
    try {
        migration work{on.handle(), table};
        work.enter_schema(false);
        auto const applied = work.version();
        if (applied == 0) {
            throw error{errc::schema_mismatch,
                        "table " + table.qualified() + " is not there to be taken away"};
        }
        if (force) work.run("set local outbox.force = 'yes'");
        for (auto file = migrations::postgres.rbegin(); file != migrations::postgres.rend();
             ++file) {
            if (file->version <= applied) work.run(file->down);
        }
        work.commit();
    } catch (failure const& why) {
        if (why.sqlstate == raised_by_script) {
            throw why.error("migrate down", errc::refused_operation);
        }
        throw why.error("migrate down");
    }
}

void postgres_storage::check_schema(transaction on, table_name const& table) {
    try {
        postgres::check_schema(table,
                               [&](std::string const& sql) { return execute(on.handle(), sql); });
    } catch (failure const& why) {
        throw why.error("check of the schema");
    }
}

}  // namespace outbox
