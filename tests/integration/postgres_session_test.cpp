// SPDX-License-Identifier: MIT
//
// A worker's session on a real PostgreSQL, where it differs from the model: fences, places of rows,
// hanging and dying servers. What all storages have in common is in tests/laws.
#include "outbox/testing/catch.hpp"
#include "support/postgres_case.hpp"

using namespace std::chrono_literals;
using outbox::errc;
using outbox::fate;
using outbox::settlement;
using support::numbered;
using support::numbers;
using support::postgres_case;
using support::read;
using support::refusal;
using support::removal;
using support::removals;

namespace {

std::string all_removed(postgres_case& at) {
    return at.run("select count(*) from outbox");
}

}  // namespace

TEST_CASE("a stale owner's settlement changes nothing, and other partitions are settled") {
    postgres_case at;
    at.put(1, "");
    at.put(2, "k");
    auto const k = at.partition_of("k");
    auto stale = at.worker(200);
    REQUIRE(stale.acquire(support::everything).tenures.size() == 2);
    auto settled = removals(read(stale, 0));
    for (auto const& one : removals(read(stale, k))) settled.push_back(one);
    REQUIRE(settled.size() == 2);
    at.run("update outbox_partition set lease_until = clock_timestamp() where partition = 0");
    auto next = at.worker(201);
    auto const taken = next.acquire(support::everything);
    REQUIRE(taken.tenures.size() == 1);
    CHECK(taken.tenures[0].care.strikes == 1);
    auto const reply = stale.exchange({.settlements = settled});
    CHECK(reply.lost == std::vector<outbox::partition_number>{0});
    CHECK(at.run("select string_agg(right(id::text, 2), ',') from outbox") == "01");
    CHECK(numbers(read(next, 0)) == std::vector{1});
}

TEST_CASE("a row of plain SQL whose time has not come tells how long it must wait") {
    postgres_case at;
    at.run(
        "insert into outbox (topic, payload, not_before) "
        "values ('t', 'p', clock_timestamp() + interval '1 hour')");
    auto session = at.worker();
    REQUIRE(session.acquire(support::everything).tenures.size() == 1);
    auto const reply = read(session, 0);
    REQUIRE(reply.read.records.size() == 1);
    auto const& one = reply.read.records[0];
    CHECK(one.remaining > 59min);
    std::vector const scheduled{
        settlement{.sequence = one.sequence, .what = fate::schedule, .delay = one.remaining}};
    CHECK(read(session, 0, scheduled).read.records.empty());
    CHECK(at.run("select state from outbox") == "2");
    // Its hour has come.
    at.run("update outbox set due = clock_timestamp(), not_before = clock_timestamp()");
    outbox::partition_number const zero = 0;
    auto const then =
        session.exchange({.read = {&zero, 1}, .records = 9, .bytes = 999, .promote = true});
    REQUIRE(then.read.records.size() == 1);
    CHECK(then.read.records[0].remaining == 0s);
    CHECK(then.read.records[0].sequence > one.sequence);
}

TEST_CASE("a removal commits without waiting for the disk, and all else waits") {
    postgres_case at;
    for (std::uint8_t i = 1; i <= 3; ++i) at.put(i, "");
    at.run("create table outbox_seen (operation text, setting text)");
    at.run(
        "create function outbox_see() returns trigger language plpgsql as $$ begin insert into "
        "outbox_seen values (tg_op, current_setting('synchronous_commit')); return null; end $$");
    at.run(
        "create trigger see after update or delete on outbox "
        "for each row execute function outbox_see()");
    auto session = at.worker();
    REQUIRE(session.acquire(support::everything).tenures.size() == 1);
    auto const records = read(session, 0).read.records;
    REQUIRE(records.size() == 3);
    std::vector const first{removal(records[0])};
    static_cast<void>(session.exchange({.settlements = first, .promote = true}));
    std::vector const second{settlement{.sequence = records[1].sequence, .what = fate::stamp}};
    static_cast<void>(session.exchange({.settlements = second}));
    std::vector const third{
        settlement{.sequence = records[2].sequence, .what = fate::retry, .attempts = 1}};
    static_cast<void>(session.exchange({.settlements = third}));
    CHECK(at.run("select string_agg(operation || ' ' || setting, ', ' order by operation, setting) "
                 "from outbox_seen") == "DELETE off, UPDATE off, UPDATE on");
}

TEST_CASE("contention leaves session and hand as they were") {
    postgres_case at;
    at.put(1, "");
    auto session = at.worker(200, 400ms);
    REQUIRE(session.acquire(support::everything).tenures.size() == 1);
    auto const settled = removals(read(session, 0));
    at.sql("begin");
    at.run("select * from outbox_partition where partition = 0 for update");
    CHECK(refusal([&] { static_cast<void>(session.exchange({.settlements = settled})); }) ==
          errc::contention);
    at.sql("rollback");
    static_cast<void>(session.exchange({.settlements = settled}));
    CHECK(all_removed(at) == "0");
}

TEST_CASE("an acquire never waits for a partition that is locked") {
    postgres_case at;
    at.put(1, "");
    at.put(2, "k");
    at.sql("begin");
    at.run("select * from outbox_partition where partition = 0 for no key update");
    auto session = at.worker(200, 20s);
    auto const taken = session.acquire(support::everything);
    REQUIRE(taken.tenures.size() == 1);
    CHECK(taken.tenures[0].partition == at.partition_of("k"));
    at.sql("rollback");
}

TEST_CASE("a server that hangs ends the exchange at its limit, and the session with it") {
    postgres_case at;
    at.put(1, "");
    auto session = at.worker(200, 300ms);
    REQUIRE(session.acquire(support::everything).tenures.size() == 1);
    at.server.freeze();
    auto const during = refusal([&] { static_cast<void>(read(session, 0)); });
    auto const connecting = refusal([&] { static_cast<void>(at.worker(201, 300ms)); });
    at.server.thaw();
    CHECK(during == errc::outcome_unknown);
    CHECK(connecting == errc::unavailable);
    CHECK(refusal([&] { static_cast<void>(read(session, 0)); }) == errc::unavailable);
    auto again = at.worker(200);
    CHECK(again.acquire(support::everything).tenures.size() == 1);
    CHECK(numbers(read(again, 0)) == std::vector{1});
}

TEST_CASE("a terminated backend is no contention") {
    postgres_case at;
    at.put(1, "");
    auto session = at.worker();
    REQUIRE(session.acquire(support::everything).tenures.size() == 1);
    at.sql(
        "select pg_terminate_backend(pid, 20000) from pg_stat_activity "
        "where application_name = 'outbox'");
    CHECK(refusal([&] { static_cast<void>(read(session, 0)); }) == errc::outcome_unknown);
}

TEST_CASE("a crash of the server brings back at worst what was removed, and loses nothing") {
    postgres_case at;
    for (std::uint8_t i = 1; i <= 20; ++i) at.put(i, "");
    std::vector<int> kept;
    {
        auto session = at.worker();
        REQUIRE(session.acquire(support::everything).tenures.size() == 1);
        auto const records = read(session, 0).read.records;
        REQUIRE(records.size() == 20);
        std::vector<settlement> settled;
        for (std::size_t i = 0; i < 10; ++i) settled.push_back(removal(records[i]));
        static_cast<void>(session.exchange({.settlements = settled}));
        at.server.kill();
    }
    at.server.start();
    at.sql = at.server.connect();
    at.run("update outbox_partition set lease_until = clock_timestamp()");
    auto session = at.worker(201);
    REQUIRE(session.acquire(support::everything).tenures.size() == 1);
    auto const found = numbers(read(session, 0));
    REQUIRE(found.size() >= 10);
    for (std::size_t i = 0; i < found.size(); ++i)
        CHECK(found[i] == static_cast<int>(20 - found.size() + 1 + i));
}

TEST_CASE("a worker without a server is told so, and where it looked") {
    outbox::postgres_storage storage{"host=127.0.0.1 port=1 password=secret dbname=none"};
    try {
        auto const session = storage.connect(numbered(1), 5s);
        FAIL("connected");
    } catch (outbox::error const& failure) {
        CHECK(failure.code() == errc::unavailable);
        std::string_view const text{failure.what()};
        CHECK(text.find("127.0.0.1") != std::string_view::npos);
        CHECK(text.find("secret") == std::string_view::npos);
    }
}

TEST_CASE(
    "what was read is settled though the table was rewritten, and nothing else in its place") {
    postgres_case at;
    for (std::uint8_t number = 1; number <= 5; ++number) at.put(number, "");
    auto session = at.worker();
    REQUIRE(session.acquire(support::everything).tenures.size() == 1);
    auto const all = read(session, 0);
    REQUIRE(numbers(all) == std::vector{1, 2, 3, 4, 5});
    auto const settled = removals(all);
    static_cast<void>(read(session, 0, {settled[0]}));
    at.run("vacuum full outbox");
    auto stamped = settled[2];
    stamped.what = fate::stamp;
    auto const reply = read(session, 0, {settled[1], stamped});
    CHECK(reply.lost.empty());
    CHECK(reply.read.records.empty());
    CHECK(at.run("select string_agg(sequence || ' ' || state, ', ' order by sequence)"
                 " from outbox") == "3 4, 4 0, 5 0");
}

TEST_CASE("a look below the low-water mark that takes too long is given up, and work goes on") {
    postgres_case at;
    at.put(1, "k");
    auto const partition = std::to_string(at.partition_of("k"));
    at.run("update outbox_partition set low = 1 where partition = " + partition);
    // What would mend it takes longer than anybody waits.
    at.sql("create function " + at.schema +
           ".wait() returns trigger language plpgsql as "
           "$$ begin perform pg_sleep(1000); return new; end $$");
    at.sql("create trigger slow before update of low on " + at.schema +
           ".outbox_partition for each row when (new.epoch = old.epoch) execute function " +
           at.schema + ".wait()");
    at.put(2, "k");
    auto session = at.worker();
    CHECK(session.acquire(support::everything).tenures.size() == 1);
    CHECK(support::numbers(support::read(session, at.partition_of("k"))) == std::vector{2});
}
