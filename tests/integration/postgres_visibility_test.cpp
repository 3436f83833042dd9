// SPDX-License-Identifier: MIT
//
// Sequences that become visible out of order, on a real PostgreSQL: late committers, transactions
// that stay open for long, holes. Nothing is passed over, and nothing is walked more than it must.
#include "outbox/testing/catch.hpp"
#include "support/postgres_case.hpp"

using support::numbers;
using support::postgres_case;
using support::read;
using support::removals;
using support::renew;

namespace {

/// Adds messages, and settles what came before each and reads it.
void deliver(postgres_case& at, outbox::postgres_storage::session& session,
             outbox::round_reply& reply, std::uint8_t first, std::uint8_t end) {
    for (auto number = first; number < end; ++number) {
        at.put(number, "");
        auto const settled = removals(reply);
        reply = read(session, 0, settled);
        REQUIRE(numbers(reply) == std::vector{int{number}});
    }
}

/// As if so many messages had been created, and delivered by now.
void skip_numbers(postgres_case& at, int count) {
    at.run("select setval('outbox_sequence', nextval('outbox_sequence') + " +
           std::to_string(count) + ")");
}

/// Asks again as long as nothing comes although there may be more.
struct search {
    outbox::round_reply found{};
    int fruitless{0};
};
search read_until_found(outbox::postgres_storage::session& session) {
    search one;
    for (;;) {
        one.found = read(session, 0);
        if (!one.found.read.records.empty() || !one.found.more) return one;
        REQUIRE(++one.fruitless < 1'000);
    }
}

/// Message 1 is in a transaction that is open still; message 2 came after it, and was read.
struct overtaken {
    postgres_case at{};
    support::sql_connection late = at.server.connect();
    outbox::postgres_storage::session session = overtake();
    outbox::round_reply first = read(session, 0);

    outbox::postgres_storage::session overtake() {
        at.storage.begin(late.handle());
        at.add(late, 1, "");
        at.put(2, "");
        auto opened = at.worker();
        REQUIRE(opened.acquire(support::everything).tenures.size() == 1);
        return opened;
    }
};

}  // namespace

TEST_CASE("a late committer with a lower sequence is read, first, and low does not pass it") {
    overtaken with;
    auto& [at, late, session, first] = with;
    REQUIRE(numbers(first) == std::vector{2});
    auto const settled = removals(first);
    CHECK(read(session, 0, settled).read.records.empty());
    renew(session, 0);
    CHECK(read(session, 0).read.records.empty());
    renew(session, 0);
    CHECK(at.low(0) == "0");
    at.storage.commit(late.handle());
    at.put(3, "");
    auto const then = read(session, 0);
    CHECK(numbers(then) == std::vector{1, 3});
    auto const rest = removals(then);
    CHECK(read(session, 0, rest).read.records.empty());
    renew(session, 0);
    CHECK(at.low(0) == "3");
    CHECK(at.run("select count(*) from outbox") == "0");
}

TEST_CASE("a late committer is read first though nothing but our own transaction came between") {
    postgres_case at;
    at.put(9, "");
    auto session = at.worker();
    REQUIRE(session.acquire(support::everything).tenures.size() == 1);
    CHECK(read(session, 0, removals(read(session, 0))).read.records.empty());
    // What was known when the partition was taken over is final by now.
    auto late = at.server.connect();
    at.storage.begin(late.handle());
    at.add(late, 1, "");
    at.put(2, "");
    auto const first = read(session, 0);
    REQUIRE(numbers(first) == std::vector{2});
    at.storage.commit(late.handle());
    at.put(3, "");
    // Settles, hence with an id of its own, and reads behind that.
    CHECK(numbers(read(session, 0, removals(first))) == std::vector{1, 3});
}

TEST_CASE("under a transaction that stays open each look begins behind the last, until it ends") {
    overtaken with;
    auto& [at, late, session, reply] = with;
    REQUIRE(numbers(reply) == std::vector{2});
    deliver(at, session, reply, 3, 13);
    // What somebody puts behind our back where the looks begin shows that they do not go there.
    at.run(
        "insert into outbox (id, sequence, topic, payload) values "
        "('00000000-0000-0000-0000-000000000063', 2, 't', 'x')");
    auto settled = removals(reply);
    CHECK(read(session, 0, settled).read.records.empty());
    at.storage.commit(late.handle());
    CHECK(numbers(read(session, 0)) == std::vector{1, 0x63});
    CHECK(at.low(0) == "0");
}

TEST_CASE("when a transaction ends that was open for long, nothing overtakes what it brought") {
    overtaken with;
    auto& [at, late, session, reply] = with;
    deliver(at, session, reply, 3, 13);
    skip_numbers(at, 1'000'000);
    deliver(at, session, reply, 13, 23);
    at.storage.commit(late.handle());
    at.put(23, "");
    auto const settled = removals(reply);
    CHECK(read(session, 0, settled).read.records.empty());
    auto search = read_until_found(session);
    CHECK(numbers(search.found) == std::vector{1});
    // What lies between is gone through a stretch at a time before what came later is read.
    search = read_until_found(session);
    CHECK(numbers(search.found) == std::vector{23});
    CHECK(search.fruitless > 1);
    CHECK(search.fruitless < 20);
}

TEST_CASE("of two transactions that stay open each look begins behind what it read, too") {
    overtaken with;
    auto& [at, late, session, reply] = with;
    deliver(at, session, reply, 3, 13);
    auto later = at.server.connect();
    at.storage.begin(later.handle());
    at.add(later, 100, "");
    deliver(at, session, reply, 13, 33);
    at.run(
        "insert into outbox (id, sequence, topic, payload) select '00000000-0000-0000-0000-0000000"
        "000f1', last_value - 12, 't', 'x' from outbox_sequence");
    auto settled = removals(reply);
    CHECK(read(session, 0, settled).read.records.empty());
    SECTION("the later one ends first") {
        at.storage.commit(later.handle());
        CHECK(numbers(read(session, 0)) == std::vector{100, 0xf1});
        at.storage.commit(late.handle());
        CHECK(numbers(read(session, 0)) == std::vector{1});
    }
    SECTION("the earlier one ends first") {
        at.storage.commit(late.handle());
        CHECK(numbers(read(session, 0)) == std::vector{1, 0xf1});
        at.storage.commit(later.handle());
        CHECK(numbers(read(session, 0)) == std::vector{100});
    }
}

TEST_CASE("who takes over under a transaction that stays open goes on a stretch at a time") {
    overtaken with;
    auto& [at, late, session, reply] = with;
    deliver(at, session, reply, 3, 5);
    skip_numbers(at, 1'000'000);
    deliver(at, session, reply, 5, 7);
    auto const settled = removals(reply);
    CHECK(read(session, 0, settled).read.records.empty());
    renew(session, 0);
    outbox::ending const end{.partition = 0};
    session.release({&end, 1});
    CHECK(at.low(0) == "0");

    auto next = at.worker(201);
    REQUIRE_FALSE(next.acquire(support::everything).tenures.empty());
    at.put(7, "");
    auto search = read_until_found(next);
    CHECK(numbers(search.found) == std::vector{7});
    CHECK(search.fruitless > 1);
    at.storage.commit(late.handle());
    search = read_until_found(next);
    CHECK(numbers(search.found) == std::vector{1});
}

TEST_CASE("a number drawn long before its row is written does not let low pass it") {
    postgres_case at;
    at.run(
        "create function outbox_slow() returns bytea language plpgsql as $$ begin "
        "perform pg_advisory_lock(77); return 'slow'; end $$");
    auto holder = at.server.connect();
    holder("select pg_advisory_lock(77)");
    auto slow = at.server.connect();
    // The number is drawn, then the statement stands still before anything is written.
    auto const statement = "insert into " + at.schema + ".outbox (topic, payload) values ('t', " +
                           at.schema + ".outbox_slow())";
    REQUIRE(PQsendQuery(slow.handle(), statement.c_str()) == 1);
    support::wait_until_ready("the slow insert", [&] {
        return at.sql(
                   "select count(*) from pg_locks where locktype = 'advisory' and "
                   "not granted and objid = 77") == "1";
    });
    at.put(2, "");
    auto session = at.worker();
    REQUIRE(session.acquire(support::everything).tenures.size() == 1);
    auto const first = read(session, 0);
    REQUIRE(numbers(first) == std::vector{2});
    auto const settled = removals(first);
    for (int i = 0; i < 3; ++i) {
        static_cast<void>(read(session, 0, settled));
        renew(session, 0);
    }
    auto const slow_sequence = std::stoll(at.run("select last_value from outbox_sequence"));
    CHECK(std::stoll(at.low(0)) < slow_sequence);
    holder("select pg_advisory_unlock(77)");
    while (PGresult* answer = PQgetResult(slow.handle())) PQclear(answer);
    auto const then = read(session, 0);
    REQUIRE(then.read.records.size() == 1);
    CHECK(then.read.records[0].payload == "slow");
}

TEST_CASE("a rolled back insert leaves a hole that low passes") {
    postgres_case at;
    at.storage.begin(at.sql.handle());
    at.add(at.sql, 1, "");
    at.storage.rollback(at.sql.handle());
    at.put(2, "");
    auto session = at.worker();
    REQUIRE(session.acquire(support::everything).tenures.size() == 1);
    auto const settled = removals(read(session, 0));
    static_cast<void>(read(session, 0, settled));
    renew(session, 0);
    CHECK(at.low(0) == "2");
}

TEST_CASE("a table that was truncated, its sequence too, is read from its start again") {
    postgres_case at;
    for (std::uint8_t i = 1; i <= 9; ++i) at.put(i, "");
    auto session = at.worker();
    REQUIRE(session.acquire(support::everything).tenures.size() == 1);
    auto const settled = removals(read(session, 0));
    static_cast<void>(read(session, 0, settled));
    outbox::ending const end{.partition = 0};
    session.release({&end, 1});
    CHECK(at.low(0) == "9");
    at.run("truncate outbox restart identity");
    at.put(10, "");
    auto later = at.worker(201);
    REQUIRE(later.acquire(support::everything).tenures.size() == 1);
    CHECK(numbers(read(later, 0)) == std::vector{10});
}

TEST_CASE("a prepared transaction holds low until it ends, and its message is read") {
    postgres_case at;
    at.storage.begin(at.sql.handle());
    at.add(at.sql, 1, "");
    at.sql("prepare transaction '" + at.schema + "'");
    at.put(2, "");
    auto session = at.worker();
    REQUIRE(session.acquire(support::everything).tenures.size() == 1);
    auto const settled = removals(read(session, 0));
    static_cast<void>(read(session, 0, settled));
    renew(session, 0);
    static_cast<void>(read(session, 0));
    at.sql("commit prepared '" + at.schema + "'");
    CHECK(numbers(read(session, 0)) == std::vector{1});
}
