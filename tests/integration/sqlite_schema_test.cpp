// SPDX-License-Identifier: MIT
//
// The schema in a SQLite file: applied once, checked in one sentence, and not taken away while it
// holds messages that would be lost. The files are run by the shell, too, as people do.
#include <cstdlib>
#include <map>

#include "outbox/storage/sqlite.hpp"
#include "outbox/testing/catch.hpp"
#include "support/sqlite_case.hpp"

using outbox::errc;
using outbox::sqlite_storage;
using support::refusal;

namespace {

struct empty_file {
    support::temporary_folder folder{};
    std::string path{(folder.path() / "shop.db").string()};
    support::sqlite_handle sql{path};

    [[nodiscard]] std::string tables() const {
        return sql(
            "select name from sqlite_master where type in ('table', 'index', 'trigger') and "
            "name not like 'sqlite%' order by 1");
    }
    /// Runs a migration as the shell does; returns its exit status.
    int shell(std::string const& options, std::string const& file) {
        auto const log = folder.path() / "log";
        char const* const migrations = std::getenv("OUTBOX_MIGRATIONS");
        REQUIRE(migrations != nullptr);
        support::child_process child{
            {"/bin/sh", "-c",
             "sqlite3 " + options + " '" + path + "' < '" + migrations + "/sqlite/" + file + "'"},
            log};
        return child.wait();
    }
};

}  // namespace

TEST_CASE("migrating twice is migrating once") {
    empty_file at;
    sqlite_storage::migrate(at.sql.handle());
    at.sql("insert into outbox (topic, payload) values ('t', 'p')");
    sqlite_storage::migrate(at.sql.handle());
    CHECK(at.sql("select version from outbox_version") == "1");
    CHECK(at.sql("select count(*) from outbox") == "1");
    CHECK(at.sql("pragma journal_mode") == "wal");
    CHECK_NOTHROW(sqlite_storage::check_schema(at.sql.handle()));
}

TEST_CASE("two outboxes share one file, each under its name") {
    empty_file at;
    sqlite_storage::migrate(at.sql.handle(), "orders");
    sqlite_storage::migrate(at.sql.handle(), "invoices");
    at.sql("insert into orders (topic, payload) values ('t', 'p')");
    sqlite_storage::migrate_down(at.sql.handle(), "invoices");
    CHECK_NOTHROW(sqlite_storage::check_schema(at.sql.handle(), "orders"));
    CHECK(refusal([&] { sqlite_storage::check_schema(at.sql.handle(), "invoices"); }).code() ==
          errc::schema_mismatch);
    CHECK(at.tables().find("invoices") == std::string::npos);
}

TEST_CASE("migrations refuse to join an open transaction") {
    empty_file at;
    at.sql("begin");
    CHECK(refusal([&] { sqlite_storage::migrate(at.sql.handle()); }).code() ==
          errc::refused_operation);
    at.sql("rollback");
    CHECK(at.tables().empty());
}

TEST_CASE("a table name with a schema is refused") {
    empty_file at;
    CHECK(refusal([&] {
              sqlite_storage{"shop.db", "main.outbox"};
          }).code() == errc::invalid_identifier);
    CHECK(refusal([&] { sqlite_storage::migrate(at.sql.handle(), "main.outbox"); }).code() ==
          errc::invalid_identifier);
}

TEST_CASE("the check says in one sentence what is missing or different") {
    std::map<std::string, std::string> const damages{
        {"drop table outbox_version", "table outbox_version is missing"},
        {"drop table outbox_partition", "table outbox_partition is missing"},
        {"drop table outbox", "table outbox is missing"},
        {"drop index outbox_ready", "index outbox_ready of table outbox is missing"},
        {"alter table outbox drop column last_error",
         "column last_error of table outbox is missing"},
        {"alter table outbox drop column last_error; alter table outbox add column last_error int",
         "column last_error of table outbox has the type INT, and TEXT is needed"},
        {"delete from outbox_partition", "table outbox_partition has no row"},
        {"update outbox_version set version = 0", "table outbox_version is missing or empty"}};
    for (auto const& [damage, sentence] : damages) {
        empty_file at;
        sqlite_storage::migrate(at.sql.handle());
        at.sql(damage);
        auto const failure = refusal([&] { sqlite_storage::check_schema(at.sql.handle()); });
        CHECK(failure.code() == errc::schema_mismatch);
        INFO(failure.what());
        CHECK(std::string{failure.what()}.find(sentence) != std::string::npos);
        sqlite_storage storage{at.path};
        CHECK(refusal([&] {
                  static_cast<void>(storage.connect({}, std::chrono::seconds{1}));
              }).code() == errc::schema_mismatch);
    }
}

TEST_CASE("a schema that is a version ahead serves workers of this one") {
    empty_file at;
    sqlite_storage::migrate(at.sql.handle());
    at.sql(
        "insert into outbox_version (version) values (2); "
        "alter table outbox add column colour text");
    CHECK_NOTHROW(sqlite_storage::check_schema(at.sql.handle()));
}

TEST_CASE("a file without the outbox is refused by every verb with a sentence") {
    empty_file at;
    at.sql("create table orders (id integer)");
    sqlite_storage storage{at.path};
    outbox::draft const one{.topic = "t", .payload = "secret"};
    at.sql("begin");
    auto const failure = refusal([&] { storage.append(at.sql.handle(), {&one, 1}); });
    at.sql("rollback");
    CHECK(failure.code() == errc::schema_mismatch);
    CHECK(std::string{failure.what()}.find("no such table: outbox") != std::string::npos);
    CHECK(std::string{failure.what()}.find("secret") == std::string::npos);
    CHECK(refusal([&] { static_cast<void>(storage.statistics()); }).code() ==
          errc::schema_mismatch);
}

TEST_CASE("taking the outbox away is refused while it holds what was not published") {
    for (auto const* state : {"0", "1", "2", "3"}) {
        empty_file at;
        sqlite_storage::migrate(at.sql.handle());
        at.sql(std::string{"insert into outbox (topic, payload, state) values ('t', 'p', "} +
               state + ")");
        CHECK(refusal([&] { sqlite_storage::migrate_down(at.sql.handle(), {}); }).code() ==
              errc::refused_operation);
        CHECK(at.sql("select count(*) from outbox") == "1");
        sqlite_storage::migrate_down(at.sql.handle(), {}, true);
        CHECK(at.tables().empty());
    }
}

TEST_CASE("an outbox whose messages are all published is taken away without force") {
    empty_file at;
    sqlite_storage::migrate(at.sql.handle());
    at.sql("insert into outbox (topic, payload, state) values ('t', 'p', 4)");
    sqlite_storage::migrate_down(at.sql.handle(), {});
    CHECK(at.tables().empty());
    CHECK(refusal([&] { sqlite_storage::migrate_down(at.sql.handle(), {}); }).code() ==
          errc::schema_mismatch);
}

TEST_CASE("the files by themselves bring up what the library brings up") {
    empty_file by_shell;
    empty_file by_library;
    REQUIRE(by_shell.shell("-bail", "0001_outbox.up.sql") == 0);
    sqlite_storage::migrate(by_library.sql.handle());
    CHECK(by_shell.tables() == by_library.tables());
    CHECK_NOTHROW(sqlite_storage::check_schema(by_shell.sql.handle()));
}

TEST_CASE("the down file keeps unpublished messages, whether the shell stops at errors or not") {
    for (auto const* options : {"", "-bail"}) {
        empty_file at;
        sqlite_storage::migrate(at.sql.handle());
        at.sql("insert into outbox (topic, payload) values ('t', 'p')");
        CHECK(at.shell(options, "0001_outbox.down.sql") != 0);
        CHECK(at.sql("select count(*) from outbox") == "1");
        CHECK_NOTHROW(sqlite_storage::check_schema(at.sql.handle()));
        at.sql("update outbox set state = 4");
        CHECK(at.shell(options, "0001_outbox.down.sql") == 0);
        CHECK(at.tables().empty());
    }
}

TEST_CASE("the down file can be forced in the same session") {
    empty_file at;
    sqlite_storage::migrate(at.sql.handle());
    at.sql("insert into outbox (topic, payload) values ('t', 'p')");
    CHECK(at.shell("-cmd 'create temporary table outbox_force (yes)'", "0001_outbox.down.sql") ==
          0);
    CHECK(at.tables().empty());
}

TEST_CASE("the optional indexes fit the schema") {
    empty_file at;
    sqlite_storage::migrate(at.sql.handle());
    CHECK(at.shell("-bail", "optional_indexes.sql") == 0);
    CHECK_NOTHROW(sqlite_storage::check_schema(at.sql.handle()));
}
