// SPDX-License-Identifier: MIT
//
// What the outbox keeps on a caller's connection: prepared statements, which must be in nobody's
// way.
#include <optional>
#include <string>
#include <vector>

#include "outbox/testing/catch.hpp"
#include "support/sqlite_case.hpp"

using outbox::errc;
using support::numbered;
using support::refusal;
using support::sqlite_case;

namespace {

using namespace std::chrono_literals;

/// A connection that is closed by hand, as callers do.
struct by_hand {
    explicit by_hand(std::string const& path) {
        REQUIRE(sqlite3_open(path.c_str(), &on) == SQLITE_OK);
    }
    void put(outbox::sqlite_storage storage, int number, bool special = false) const {
        outbox::draft one{.id = numbered(number), .topic = "t", .payload = "p"};
        if (special) one.not_before = outbox::wall_time{1h};
        storage.begin(on);
        storage.append(on, {&one, 1});
        storage.commit(on);
    }
    [[nodiscard]] std::vector<sqlite3_stmt*> statements() const {
        std::vector<sqlite3_stmt*> all;
        for (auto* one = sqlite3_next_stmt(on, nullptr); one != nullptr;
             one = sqlite3_next_stmt(on, one)) {
            all.push_back(one);
        }
        return all;
    }
    [[nodiscard]] sqlite3_stmt* prepare(char const* sql) const {
        sqlite3_stmt* one = nullptr;
        REQUIRE(sqlite3_prepare_v2(on, sql, -1, &one, nullptr) == SQLITE_OK);
        return one;
    }

    sqlite3* on{nullptr};
};

std::string count(sqlite_case const& at) {
    return at.sql("select count(*) from outbox");
}

}  // namespace

TEST_CASE("an insert is prepared once for a connection, and closing it is refused by nobody") {
    sqlite_case at;
    by_hand const caller{at.path};
    caller.put(at.storage, 1);
    auto const kept = caller.statements();
    REQUIRE(kept.size() == 1);
    caller.put(at.storage, 2);
    CHECK(caller.statements() == kept);
    caller.put(at.storage, 3, true);
    caller.put(at.storage, 4);
    CHECK(caller.statements().size() == 2);
    CHECK(sqlite3_close(caller.on) == SQLITE_OK);
    CHECK(count(at) == "4");
}

TEST_CASE("a connection that the caller's own statement keeps open takes messages again") {
    sqlite_case at;
    by_hand const caller{at.path};
    caller.put(at.storage, 1);
    auto* const own = caller.prepare("select 1");
    CHECK(sqlite3_close(caller.on) == SQLITE_BUSY);
    CHECK(caller.statements() == std::vector{own});
    caller.put(at.storage, 2);
    caller.put(at.storage, 3);
    CHECK(caller.statements().size() == 2);
    SECTION("closed once that is gone") {
        sqlite3_finalize(own);
        CHECK(sqlite3_close(caller.on) == SQLITE_OK);
    }
    SECTION("closed as soon as that is gone") {
        CHECK(sqlite3_close_v2(caller.on) == SQLITE_OK);
        CHECK(sqlite3_finalize(own) == SQLITE_OK);
    }
    CHECK(count(at) == "3");
}

TEST_CASE("a caller who finalizes all statements of a connection finalizes each of them once") {
    sqlite_case at;
    by_hand const caller{at.path};
    caller.put(at.storage, 1);
    caller.put(at.storage, 2, true);
    for (auto* const one : caller.statements()) sqlite3_finalize(one);
    auto const more = GENERATE(0, 1);
    if (more > 0) caller.put(at.storage, 3);
    CHECK(sqlite3_close(caller.on) == SQLITE_OK);
    CHECK(count(at) == std::to_string(2 + more));
}

TEST_CASE("a caller who takes all virtual tables from a connection can go on") {
    sqlite_case at;
    by_hand const caller{at.path};
    caller.put(at.storage, 1);
    REQUIRE(sqlite3_drop_modules(caller.on, nullptr) == SQLITE_OK);
    auto const more = GENERATE(0, 2);
    for (int i = 0; i < more; ++i) caller.put(at.storage, 2 + i);
    CHECK(sqlite3_close(caller.on) == SQLITE_OK);
    CHECK(count(at) == std::to_string(1 + more));
}

TEST_CASE("where a statement cannot be kept, it is prepared each time") {
    sqlite_case at;
    at.sql("create table outbox_kept_statements (a)");
    by_hand const caller{at.path};
    caller.put(at.storage, 1);
    caller.put(at.storage, 2);
    CHECK(caller.statements().empty());
    CHECK(sqlite3_close(caller.on) == SQLITE_OK);
    CHECK(count(at) == "2");
}

TEST_CASE("messages of two outboxes on one connection stay apart, whatever becomes of the tables") {
    sqlite_case at;
    by_hand const caller{at.path};
    outbox::sqlite_storage const second{at.path, "second_outbox"};
    outbox::sqlite_storage::migrate(caller.on, "second_outbox");
    for (int i = 1; i <= 3; ++i) {
        caller.put(at.storage, i);
        if (i < 3) caller.put(second, i);
    }
    CHECK(caller.statements().size() == 2);
    CHECK(at.sql("select count(*) from second_outbox") == "2");
    outbox::sqlite_storage::migrate_down(caller.on, "second_outbox", true);
    CHECK(refusal([&] { caller.put(second, 4); }).code() == errc::schema_mismatch);
    at.storage.rollback(caller.on);
    outbox::sqlite_storage::migrate(caller.on, "second_outbox");
    caller.put(second, 5);
    CHECK(at.sql("select count(*) from second_outbox") == "1");
    CHECK(count(at) == "3");
    CHECK(sqlite3_close(caller.on) == SQLITE_OK);
}

TEST_CASE("what the outbox keeps hinders neither a vacuum nor another journal") {
    sqlite_case at;
    at.put(1);
    at.sql("vacuum");
    CHECK(at.sql("pragma journal_mode = delete") == "delete");
    at.put(2);
    CHECK(count(at) == "2");
}
