// SPDX-License-Identifier: MIT
//
// Migrations and the check of the schema on a real PostgreSQL.
#include <thread>

#include "outbox/testing/catch.hpp"
#include "support/postgres_case.hpp"

using outbox::errc;
using outbox::postgres_storage;
using support::postgres_case;
using support::refusal;

namespace {

std::string complaint(postgres_case& at) {
    try {
        postgres_storage::check_schema(at.sql.handle(), at.table);
    } catch (outbox::error const& failure) {
        CHECK(failure.code() == errc::schema_mismatch);
        return failure.what();
    }
    return {};
}

bool says(std::string const& text, std::string_view what) {
    INFO(text);
    CHECK(text.find(what) != std::string::npos);
    return text.find(what) != std::string::npos;
}

}  // namespace

TEST_CASE("migrations apply once, from several at the same time") {
    auto& server = support::postgres_server::shared();
    outbox::table_name const table{std::string_view{server.fresh_schema() + ".orders_outbox"}};
    std::vector<std::string> failures(4);
    {
        std::vector<std::thread> all;
        for (auto& failure : failures) {
            all.emplace_back([&] {
                try {
                    auto sql = server.connect();
                    postgres_storage::migrate(sql.handle(), table);
                } catch (std::exception const& thrown) {
                    failure = thrown.what();
                }
            });
        }
        for (auto& one : all) one.join();
    }
    CHECK(failures == std::vector<std::string>(4));
    auto sql = server.connect();
    postgres_storage::check_schema(sql.handle(), table);
    CHECK(sql("select count(*) from " + table.qualified("_version")) == "1");
}

TEST_CASE("migrations make the schema that they are told to use") {
    auto& server = support::postgres_server::shared();
    outbox::table_name const table{"made_by_migrate.outbox"};
    auto sql = server.connect();
    postgres_storage::migrate(sql.handle(), table);
    postgres_storage::check_schema(sql.handle(), table);
    CHECK(sql("show search_path") == "\"$user\", public");
    postgres_storage::migrate_down(sql.handle(), table);
}

TEST_CASE("two outboxes in two schemas of one database know nothing of each other") {
    postgres_case one;
    postgres_case other;
    one.put(1, "");
    other.put(2, "");
    auto first = one.worker();
    auto second = other.worker();
    REQUIRE(first.acquire(support::everything).tenures.size() == 1);
    REQUIRE(second.acquire(support::everything).tenures.size() == 1);
    CHECK(support::numbers(support::read(first, 0)) == std::vector{1});
    CHECK(support::numbers(support::read(second, 0)) == std::vector{2});
    CHECK(one.storage.name() != other.storage.name());
}

TEST_CASE("migrations refuse a connection that has a transaction open") {
    postgres_case at;
    at.sql("begin");
    CHECK(refusal([&] { postgres_storage::migrate(at.sql.handle(), at.table); }) ==
          errc::refused_operation);
    at.sql("rollback");
}

TEST_CASE("taking the outbox away is refused while a message is unpublished, unless forced") {
    postgres_case at;
    at.put(1, "");
    auto const down = [&](bool force) {
        return refusal([&] { postgres_storage::migrate_down(at.sql.handle(), at.table, force); });
    };
    CHECK(down(false) == errc::refused_operation);
    at.run("update outbox set state = 3");
    CHECK(down(false) == errc::refused_operation);
    CHECK(at.run("select count(*) from outbox") == "1");
    CHECK(down(true) == std::nullopt);
    CHECK(at.sql("select to_regclass('" + at.schema + ".outbox') is null") == "t");
    CHECK(at.sql("select count(*) from pg_class c where relnamespace = '" + at.schema +
                 "'::regnamespace") == "0");
    CHECK(down(false) == errc::schema_mismatch);
}

TEST_CASE("taking the outbox away is allowed when all is published, and it can come back") {
    postgres_case at;
    at.put(1, "");
    at.run("update outbox set state = 4");
    postgres_storage::migrate_down(at.sql.handle(), at.table);
    postgres_storage::migrate(at.sql.handle(), at.table);
    CHECK(complaint(at).empty());
}

TEST_CASE("the check of the schema says what is missing or different") {
    postgres_case at;
    CHECK(complaint(at).empty());
    at.run("alter table outbox alter attempts type bigint");
    CHECK(says(complaint(at), "column attempts of table " + at.schema +
                                  ".outbox is bigint, and integer is needed"));
    at.run("alter table outbox drop column attempts");
    CHECK(says(complaint(at), "has no column attempts"));
    at.run("alter table outbox add column attempts integer not null default 0");
    at.run("drop index outbox_retrying");
    CHECK(says(complaint(at), "outbox_retrying is missing or not valid"));
    at.sql("create index outbox_retrying on " + at.schema +
           ".outbox (partition, key, sequence) where state = 1");
    CHECK(complaint(at).empty());
    at.run("alter sequence outbox_sequence cache 20");
    CHECK(says(complaint(at), "CACHE 1"));
    at.run("alter sequence outbox_sequence cache 1");
    at.run("alter table outbox alter sequence set default nextval('outbox_sequence')");
    CHECK(says(complaint(at), "default of column sequence"));
    at.run("drop table outbox_version");
    CHECK(says(complaint(at), "outbox_version is missing; apply the migrations"));
}

TEST_CASE("a worker of an outbox without tables is told to apply the migrations") {
    auto& server = support::postgres_server::shared();
    postgres_storage storage{server.connection_string(), "nowhere"};
    CHECK(refusal([&] { static_cast<void>(storage.connect({}, support::patience)); }) ==
          errc::schema_mismatch);
}
