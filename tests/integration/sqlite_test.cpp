// SPDX-License-Identifier: MIT
//
// Producing into a SQLite file: what joins the caller's transaction, what plain SQL may write, and
// what is refused.
#include <string>

#include "outbox/testing/catch.hpp"
#include "support/sqlite_case.hpp"

using outbox::errc;
using support::numbered;
using support::refusal;
using support::sqlite_case;

namespace {

using namespace std::chrono_literals;

std::string count(sqlite_case& at) {
    return at.sql("select count(*) from outbox");
}

}  // namespace

TEST_CASE("a message of a rolled back transaction is never stored") {
    sqlite_case at;
    at.storage.begin(at.sql.handle());
    at.add({.id = numbered(1), .topic = "t", .payload = "p"});
    at.storage.rollback(at.sql.handle());
    CHECK(count(at) == "0");
    at.put(2);
    CHECK(count(at) == "1");
}

TEST_CASE("a rolled back savepoint takes its messages with it") {
    sqlite_case at;
    at.storage.begin(at.sql.handle());
    at.add({.id = numbered(1), .topic = "t", .payload = "p"});
    at.sql("savepoint s");
    at.add({.id = numbered(2), .topic = "t", .payload = "p"});
    at.sql("rollback to s");
    at.add({.id = numbered(3), .topic = "t", .payload = "p"});
    at.storage.commit(at.sql.handle());
    auto session = at.owner();
    CHECK(support::numbers(support::read(session)) == std::vector{1, 3});
}

TEST_CASE("a message without a transaction is refused") {
    sqlite_case at;
    CHECK(refusal([&] { at.add({.id = numbered(1), .topic = "t", .payload = "p"}); }).code() ==
          errc::no_transaction);
    CHECK(count(at) == "0");
}

TEST_CASE("every byte of a payload comes back as it was given") {
    sqlite_case at;
    std::string payload;
    for (int byte = 0; byte < 256; ++byte) payload += static_cast<char>(byte);
    std::string const large(3'000'000, '\0');
    at.storage.begin(at.sql.handle());
    at.add({.id = numbered(1), .topic = "t", .key = "k", .headers = "a: b\n", .payload = payload});
    at.add({.id = numbered(2), .topic = "t", .payload = large});
    at.add({.id = numbered(3), .topic = "t", .payload = ""});
    at.storage.commit(at.sql.handle());
    auto session = at.owner();
    auto const reply = session.exchange({.read = support::only, .records = 9, .bytes = 9'000'000});
    REQUIRE(reply.read.records.size() == 3);
    CHECK(reply.read.records[0].payload == payload);
    CHECK(reply.read.records[0].key == "k");
    CHECK(reply.read.records[0].headers == "a: b\n");
    CHECK(reply.read.records[1].payload == large);
    CHECK(reply.read.records[2].payload.empty());
}

TEST_CASE("an id of the caller's own is stored once and refused with other content") {
    sqlite_case at;
    outbox::draft const one{
        .id = numbered(7), .caller_chose_id = true, .topic = "t", .key = "k", .payload = "same"};
    auto other = one;
    other.payload = "secret";
    at.storage.begin(at.sql.handle());
    at.add(one);
    at.add(one);
    auto const failure = refusal([&] { at.add(other); });
    CHECK(failure.code() == errc::duplicate_id);
    CHECK(std::string{failure.what()}.find("secret") == std::string::npos);
    at.storage.commit(at.sql.handle());
    CHECK(count(at) == "1");
}

TEST_CASE("a refused batch leaves nothing of itself behind, and the transaction usable") {
    sqlite_case at;
    outbox::draft const batch[] = {
        {.id = numbered(1), .topic = "t", .payload = "p"},
        {.id = numbered(7), .caller_chose_id = true, .topic = "t", .payload = "a"},
        {.id = numbered(7), .caller_chose_id = true, .topic = "t", .payload = "b"}};
    at.storage.begin(at.sql.handle());
    CHECK(refusal([&] { at.storage.append(at.sql.handle(), batch); }).code() == errc::duplicate_id);
    CHECK(count(at) == "0");
    at.add({.id = numbered(2), .topic = "t", .payload = "p"});
    at.storage.commit(at.sql.handle());
    CHECK(count(at) == "1");
}

TEST_CASE("a batch gets its numbers in the order of its messages") {
    sqlite_case at;
    std::vector<outbox::draft> batch;
    for (int i = 0; i < 500; ++i) {
        batch.push_back({.id = numbered(i), .topic = "t", .payload = "p"});
    }
    at.storage.begin(at.sql.handle());
    at.storage.append(at.sql.handle(), batch);
    at.storage.commit(at.sql.handle());
    CHECK(at.sql("select group_concat(substr(id, -4), ',') = (select group_concat(x, ',') from "
                 "(select substr(id, -4) as x from outbox order by id)) from outbox") == "1");
}

TEST_CASE("the number of a deleted message never comes back") {
    sqlite_case at;
    at.put(1);
    at.sql("delete from outbox");
    at.put(2);
    CHECK(at.sql("select sequence from outbox") == "2");
}

TEST_CASE("a message of plain SQL is delivered like any other") {
    sqlite_case at;
    at.put(1, "k");
    at.sql("insert into outbox (topic, payload, key) values ('t', '{\"a\": \"\\n\"}', 'k')");
    at.sql("insert into outbox (topic, payload, key) values ('t', x'00ff', null)");
    auto session = at.owner();
    auto const reply = support::read(session);
    REQUIRE(reply.read.records.size() == 3);
    CHECK(reply.read.records[1].payload == "{\"a\": \"\\n\"}");
    CHECK(reply.read.records[1].key == "k");
    CHECK_FALSE(reply.read.records[1].id.is_nil());
    CHECK(reply.read.records[1].id != reply.read.records[2].id);
    CHECK(reply.read.records[2].payload == std::string("\0\xff", 2));
    CHECK(reply.read.records[2].key.empty());
}

TEST_CASE("a message of plain SQL that is not due yet says how long it must wait") {
    sqlite_case at;
    at.sql(
        "insert into outbox (topic, payload, not_before) select 't', 'p', "
        "cast((julianday('now') - 2440587.5) * 86400000 as integer) * 1000 + 3600000000");
    auto session = at.owner();
    auto const reply = support::read(session);
    REQUIRE(reply.read.records.size() == 1);
    CHECK(reply.read.records[0].remaining > 59min);
    CHECK(reply.read.records[0].remaining <= 1h);
}

TEST_CASE("a row of plain SQL that no worker could understand is refused at once") {
    sqlite_case at;
    for (auto const* columns :
         {"(topic, payload, id) values ('t', 'p', 'seven')",
          "(topic, payload, key) values ('t', 'p', x'00')",
          "(topic, payload, not_before) values ('t', 'p', 'tomorrow')",
          "(topic, payload, state) values ('t', 'p', 9)", "(topic) values ('t')"}) {
        CHECK_THROWS(at.sql(std::string{"insert into outbox "} + columns));
    }
}

TEST_CASE("a transaction begun with a plain BEGIN is told what to do when it cannot write") {
    sqlite_case at;
    support::sqlite_handle other{at.path};
    at.sql("begin");
    at.sql("select count(*) from outbox");
    other("insert into outbox (topic, payload) values ('t', 'p')");
    auto const failure =
        refusal([&] { at.add({.id = numbered(1), .topic = "t", .payload = "secret"}); });
    CHECK(failure.code() == errc::contention);
    CHECK(std::string{failure.what()}.find("BEGIN IMMEDIATE") != std::string::npos);
    CHECK(std::string{failure.what()}.find("secret") == std::string::npos);
    at.sql("rollback");
}

TEST_CASE("begin takes the write lock, and says when another has it") {
    sqlite_case at;
    support::sqlite_handle other{at.path};
    at.storage.begin(at.sql.handle());
    auto const failure = refusal([&] { at.storage.begin(other.handle()); });
    CHECK(failure.code() == errc::contention);
    CHECK(std::string{failure.what()}.find("busy timeout") != std::string::npos);
    CHECK(refusal([&] { at.storage.begin(at.sql.handle()); }).code() == errc::no_transaction);
    at.storage.rollback(at.sql.handle());
    CHECK_NOTHROW(at.storage.begin(other.handle()));
    at.storage.rollback(other.handle());
}

TEST_CASE("a commit that SQLite refuses is an aborted transaction with nothing stored") {
    sqlite_case at;
    at.sql(
        "pragma foreign_keys = on; create table customer (id integer primary key); "
        "create table orders (customer references customer (id) deferrable initially deferred)");
    at.storage.begin(at.sql.handle());
    at.add({.id = numbered(1), .topic = "t", .payload = "p"});
    at.sql("insert into orders values (4711)");
    auto const failure = refusal([&] { at.storage.commit(at.sql.handle()); });
    CHECK(failure.code() == errc::aborted_transaction);
    CHECK(count(at) == "0");
    CHECK_NOTHROW(at.put(2));
}

TEST_CASE("a commit after somebody ended the transaction does not report success") {
    sqlite_case at;
    at.storage.begin(at.sql.handle());
    at.add({.id = numbered(1), .topic = "t", .payload = "p"});
    at.sql("rollback");
    CHECK(refusal([&] { at.storage.commit(at.sql.handle()); }).code() == errc::aborted_transaction);
}
