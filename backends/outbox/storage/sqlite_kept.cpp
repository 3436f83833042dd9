// SPDX-License-Identifier: MIT
//
// `sqlite3_close` refuses while there are statements, and callers know nothing of ours. But before
// it looks for any, it disconnects virtual tables, since those may keep statements of their own
// (SQLite's full-text search does). So a virtual table without rows stands for the kept statements,
// and finalizes them when it is disconnected.
#include "outbox/storage/sqlite_kept.hpp"

#include <cstring>
#include <memory>
#include <new>
#include <string_view>

#include "outbox/storage/sqlite_failure.hpp"

namespace outbox::sqlite {

namespace {

constexpr char const* table_name = "outbox_kept_statements";
constexpr char const* naming_sql = "select 1 from outbox_kept_statements";

/// No statement of anybody else begins so.
constexpr std::string_view mark = "/* kept by outbox */ ";

bool is_kept(sqlite3_stmt* one) {
    char const* const sql = sqlite3_sql(one);
    return sql != nullptr && std::strncmp(sql, mark.data(), mark.size()) == 0;
}

struct kept_statements : sqlite3_vtab {
    explicit kept_statements(sqlite3* of) : sqlite3_vtab{}, on{of} {}

    sqlite3* on;
};

/// `connected` is set: SQLite knows from now on what to call when the connection is closed.
int connect(sqlite3* on, void* connected, int /*arguments*/, char const* const* /*values*/,
            sqlite3_vtab** made, char** /*why_not*/) {
    int const result = sqlite3_declare_vtab(on, "create table kept (sql text)");
    if (result != SQLITE_OK) return result;
    *made = new (std::nothrow) kept_statements{on};
    if (*made == nullptr) return SQLITE_NOMEM;
    *static_cast<bool*>(connected) = true;
    return SQLITE_OK;
}

int disconnect(sqlite3_vtab* of) {
    std::unique_ptr<kept_statements> const ends{static_cast<kept_statements*>(of)};
    for (auto* one = sqlite3_next_stmt(ends->on, nullptr); one != nullptr;) {
        auto* const following = sqlite3_next_stmt(ends->on, one);
        if (is_kept(one)) sqlite3_finalize(one);
        one = following;
    }
    return SQLITE_OK;
}

int plan(sqlite3_vtab* /*of*/, sqlite3_index_info* /*chosen*/) {
    return SQLITE_OK;
}

int refuse_to_open(sqlite3_vtab* /*of*/, sqlite3_vtab_cursor** /*made*/) {
    return SQLITE_ERROR;
}

sqlite3_module const module = [] {
    sqlite3_module all{};
    all.xConnect = connect;
    all.xBestIndex = plan;
    all.xDisconnect = disconnect;
    all.xOpen = refuse_to_open;
    return all;
}();

/// Whether kept statements of the connection will be finalized when it is closed.
bool watch(sqlite3* on) {
    bool const in_transaction = sqlite3_get_autocommit(on) == 0;
    auto* const connected = new bool{false};
    auto const drop = [](void* flag) { delete static_cast<bool*>(flag); };
    bool watched = false;
    if (sqlite3_create_module_v2(on, table_name, &module, connected, drop) == SQLITE_OK) {
        // It is connected when it is first named, unless the caller has a table of that name.
        sqlite3_stmt* naming = nullptr;
        int const result = sqlite3_prepare_v2(on, naming_sql, -1, &naming, nullptr);
        sqlite3_finalize(naming);
        watched = result == SQLITE_OK && *connected;
    }
    // Where it fails for want of memory, SQLite may have rolled back: what is inserted now would
    // be committed at once.
    if (!watched && in_transaction && sqlite3_get_autocommit(on) != 0) throw failure(on);
    return watched;
}

}  // namespace

statement kept_on(sqlite3* on, std::string const& sql) {
    auto const marked = std::string{mark} + sql;
    bool watched = false;
    for (auto* one = sqlite3_next_stmt(on, nullptr); one != nullptr;
         one = sqlite3_next_stmt(on, one)) {
        if (!is_kept(one)) continue;
        if (marked == sqlite3_sql(one) && sqlite3_stmt_busy(one) == 0) return statement{one};
        watched = true;
    }
    if (!watched && !watch(on)) return statement{on, sql, false};
    statement made{on, marked};
    made.leave_to_connection();
    return made;
}

}  // namespace outbox::sqlite
