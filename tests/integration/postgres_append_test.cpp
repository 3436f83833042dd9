// SPDX-License-Identifier: MIT
//
// Producing on a real PostgreSQL: what joins the caller's transaction, and what is refused.
#include <soci/postgresql/soci-postgresql.h>
#include <soci/soci.h>

#include "outbox/testing/catch.hpp"
#include "support/postgres_case.hpp"

using outbox::errc;
using support::numbered;
using support::postgres_case;
using support::refusal;

namespace {

std::string count(postgres_case& at) {
    return at.run("select count(*) from outbox");
}

}  // namespace

TEST_CASE("a message of a rolled back transaction is never stored") {
    postgres_case at;
    at.storage.begin(at.sql.handle());
    at.add(at.sql, 1, "k");
    at.storage.rollback(at.sql.handle());
    CHECK(count(at) == "0");
    at.put(2, "k");
    CHECK(count(at) == "1");
}

TEST_CASE("a rolled back savepoint takes its messages with it") {
    postgres_case at;
    at.storage.begin(at.sql.handle());
    at.add(at.sql, 1, "");
    at.sql("savepoint s");
    at.add(at.sql, 2, "");
    at.sql("rollback to s");
    at.add(at.sql, 3, "");
    at.storage.commit(at.sql.handle());
    auto session = at.worker();
    REQUIRE(session.acquire(support::everything).tenures.size() == 1);
    CHECK(support::numbers(support::read(session, 0)) == std::vector{1, 3});
}

TEST_CASE("a message joins the transaction of a SOCI session") {
    postgres_case at;
    soci::session sql{soci::postgresql, at.server.connection_string()};
    outbox::draft const one{.id = numbered(1), .topic = "t", .payload = "p"};
    {
        soci::transaction dropped{sql};
        at.storage.append(sql, {&one, 1});
    }
    CHECK(count(at) == "0");
    soci::transaction kept{sql};
    at.storage.append(sql, {&one, 1});
    CHECK(count(at) == "0");
    kept.commit();
    CHECK(count(at) == "1");
    soci::session closed;
    CHECK(refusal([&] { at.storage.append(closed, {&one, 1}); }) == errc::unavailable);
}

TEST_CASE("a message outside a transaction is refused") {
    postgres_case at;
    CHECK(refusal([&] { at.add(at.sql, 1, ""); }) == errc::no_transaction);
    CHECK(count(at) == "0");
}

TEST_CASE("a message in an aborted transaction is refused, and so is its commit") {
    postgres_case at;
    at.storage.begin(at.sql.handle());
    at.add(at.sql, 1, "");
    CHECK_THROWS(at.sql("select 1 / 0"));
    CHECK(refusal([&] { at.add(at.sql, 2, ""); }) == errc::aborted_transaction);
    CHECK(refusal([&] { at.storage.commit(at.sql.handle()); }) == errc::aborted_transaction);
    CHECK(count(at) == "0");
}

TEST_CASE("a commit whose constraint fails at the end says that nothing is stored") {
    postgres_case at;
    at.run("create table late (n int unique deferrable initially deferred)");
    at.storage.begin(at.sql.handle());
    at.add(at.sql, 1, "");
    at.sql("insert into late values (1), (1)");
    CHECK(refusal([&] { at.storage.commit(at.sql.handle()); }) == errc::aborted_transaction);
    CHECK(count(at) == "0");
    at.sql("drop table late");
}

TEST_CASE("a commit that loses its connection is of unknown outcome") {
    postgres_case at;
    auto producer = at.server.connect();
    at.storage.begin(producer.handle());
    at.add(producer, 1, "");
    at.sql("select pg_terminate_backend(" + std::to_string(PQbackendPID(producer.handle())) +
           ", 20000)");
    CHECK(refusal([&] { at.storage.commit(producer.handle()); }) == errc::commit_unknown);
}

TEST_CASE("every byte value survives, alone and in bulk") {
    postgres_case at;
    std::string bytes;
    for (int value = 0; value < 256; ++value) bytes += static_cast<char>(value);
    at.put(1, "k", bytes);
    outbox::draft const two[] = {{.id = numbered(2), .topic = "t", .key = "k", .payload = bytes},
                                 {.id = numbered(3), .topic = "t", .key = "k", .payload = {}}};
    at.storage.begin(at.sql.handle());
    at.storage.append(at.sql.handle(), two);
    at.storage.commit(at.sql.handle());
    auto session = at.worker();
    REQUIRE(session.acquire(support::everything).tenures.size() == 1);
    auto const reply = support::read(session, at.partition_of("k"));
    REQUIRE(reply.read.records.size() == 3);
    CHECK(reply.read.records[0].payload == bytes);
    CHECK(reply.read.records[1].payload == bytes);
    CHECK(reply.read.records[2].payload.empty());
}

TEST_CASE("sequences follow the order of a bulk call of several statements") {
    postgres_case at;
    std::vector<std::string> payloads;
    std::vector<outbox::draft> drafts;
    for (int i = 0; i < 1'300; ++i) payloads.push_back(std::to_string(i));
    for (auto const& one : payloads)
        drafts.push_back({.id = numbered(1), .topic = "t", .payload = one});
    at.storage.begin(at.sql.handle());
    at.storage.append(at.sql.handle(), drafts);
    at.storage.commit(at.sql.handle());
    CHECK(count(at) == "1300");
    CHECK(at.run("select count(*) from (select convert_from(payload, 'UTF8')::int as n, "
                 "row_number() over (order by sequence) - 1 as place from outbox) o "
                 "where n = place") == "1300");
}

TEST_CASE("an id of the caller's own is stored once, and refused with other content") {
    postgres_case at;
    outbox::draft const one{
        .id = numbered(7), .caller_chose_id = true, .topic = "t", .key = "k", .payload = "p"};
    auto other = one;
    other.payload = "q";
    outbox::draft const fresh{.id = numbered(8), .topic = "t", .payload = "p"};
    at.storage.begin(at.sql.handle());
    at.storage.append(at.sql.handle(), {&one, 1});
    at.storage.append(at.sql.handle(), {&one, 1});
    CHECK(refusal([&] { at.storage.append(at.sql.handle(), {&other, 1}); }) == errc::duplicate_id);
    outbox::draft const many[] = {fresh, other};
    CHECK(refusal([&] { at.storage.append(at.sql.handle(), many); }) == errc::duplicate_id);
    outbox::draft const twice[] = {one, one};
    at.storage.append(at.sql.handle(), twice);
    at.storage.commit(at.sql.handle());
    // The refusals left the transaction usable, and nothing of themselves in it.
    CHECK(count(at) == "1");
}

TEST_CASE("serialising a key makes a second transaction wait for the first") {
    postgres_case at;
    outbox::draft const one{
        .id = numbered(1), .topic = "t", .key = "k", .payload = "p", .serialize_key = true};
    at.storage.begin(at.sql.handle());
    at.storage.append(at.sql.handle(), {&one, 1});
    auto second = at.server.connect();
    second("set lock_timeout = '50ms'");
    at.storage.begin(second.handle());
    CHECK(refusal([&] { at.storage.append(second.handle(), {&one, 1}); }) == errc::contention);
    at.storage.rollback(second.handle());
    at.storage.commit(at.sql.handle());
    at.storage.begin(second.handle());
    at.storage.append(second.handle(), {&one, 1});
    at.storage.commit(second.handle());
    CHECK(count(at) == "2");
}

TEST_CASE("a connection with another encoding is refused before it can alter a text") {
    postgres_case at;
    at.sql("set client_encoding = 'LATIN1'");
    at.storage.begin(at.sql.handle());
    CHECK(refusal([&] { at.add(at.sql, 1, ""); }) == errc::unsafe_setup);
    at.storage.rollback(at.sql.handle());
}

TEST_CASE("plain SQL and the enqueue functions add messages like any other") {
    postgres_case at;
    at.run("insert into outbox (topic, payload, key) values ('a', 'one', 'k')");
    at.run("insert into outbox (topic, payload, key) values ('a', 'two', null)");
    auto const id = at.run(R"(select outbox_enqueue('b', '{"text": "a\n"}', 'k', 'n: v'))");
    at.run(R"(select outbox_enqueue('c', '"C:\\dir"'::jsonb, key => 'k'))");
    auto session = at.worker();
    REQUIRE(session.acquire(support::everything).tenures.size() == 2);
    auto const keyed = support::read(session, at.partition_of("k"));
    REQUIRE(keyed.read.records.size() == 3);
    CHECK(keyed.read.records[0].payload == "one");
    CHECK(keyed.read.records[1].payload == R"({"text": "a\n"})");
    CHECK(keyed.read.records[1].headers == "n: v");
    CHECK(outbox::to_string(keyed.read.records[1].id) == id);
    CHECK(keyed.read.records[2].payload == R"("C:\\dir")");
    auto const keyless = support::read(session, 0);
    REQUIRE(keyless.read.records.size() == 1);
    CHECK(keyless.read.records[0].payload == "two");
    CHECK(keyless.read.records[0].key.empty());
}

TEST_CASE("names that are not plain and strings that are no connection are refused") {
    auto const make = [](std::string const& name) {
        return refusal([&] { outbox::postgres_storage{"", outbox::table_name{name}}; });
    };
    CHECK(make("a; drop table b") == errc::invalid_identifier);
    CHECK(make("\"a\"") == errc::invalid_identifier);
    CHECK(make("") == errc::invalid_identifier);
    CHECK(make("s.t") == std::nullopt);
    try {
        outbox::postgres_storage const bad{"host=x password='secret"};
        FAIL("accepted");
    } catch (outbox::error const& failure) {
        CHECK(failure.code() == errc::invalid_option);
        CHECK(std::string_view{failure.what()}.find("secret") == std::string_view::npos);
    }
}
