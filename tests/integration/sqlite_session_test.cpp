// SPDX-License-Identifier: MIT
//
// A worker's session on a SQLite file, where it can be told from the laws that all storages keep:
// who waits for whom, what waits for the disk, what a busy or a broken file means.
#include <sys/resource.h>

#include <csignal>
#include <cstdint>
#include <fstream>

#include "outbox/testing/catch.hpp"
#include "support/sqlite_case.hpp"

using outbox::errc;
using outbox::fate;
using support::everything;
using support::numbered;
using support::numbers;
using support::refusal;
using support::sqlite_case;

namespace {

using namespace std::chrono_literals;

/// Lets the lease run out without waiting for it.
void expire(sqlite_case& at) {
    at.sql("update outbox_partition set lease_until = 1");
}

}  // namespace

TEST_CASE("a worker without work takes no write lock, so it waits for no producer") {
    sqlite_case at;
    at.put(1);
    auto session = at.owner();
    REQUIRE(numbers(support::read(session)) == std::vector{1});
    at.storage.begin(at.sql.handle());
    CHECK(support::read(session).read.records.empty());
    auto other = at.worker(2);
    CHECK(other.acquire(everything).waiting);
    at.storage.rollback(at.sql.handle());
}

TEST_CASE("a round that finds the file busy changed nothing, and is repeated as it was") {
    sqlite_case at;
    at.put(1);
    auto session = at.worker(1000, 20ms);
    REQUIRE(session.acquire(everything).tenures.size() == 1);
    REQUIRE(numbers(support::read(session)) == std::vector{1});
    std::vector<outbox::settlement> const done{{.sequence = 1, .what = fate::remove}};
    at.storage.begin(at.sql.handle());
    CHECK(refusal([&] { support::settle(session, done); }).code() == errc::contention);
    CHECK(refusal([&] { session.release(std::vector<outbox::ending>{{}}); }).code() ==
          errc::contention);
    at.storage.rollback(at.sql.handle());
    support::settle(session, done);
    CHECK(at.sql("select count(*) from outbox") == "0");
}

TEST_CASE("a worker sees what is committed and nothing else") {
    sqlite_case at;
    at.put(1);
    auto session = at.owner();
    at.storage.begin(at.sql.handle());
    at.add({.id = numbered(2), .topic = "t", .payload = "p"});
    CHECK(numbers(support::read(session)) == std::vector{1});
    at.storage.commit(at.sql.handle());
    CHECK(numbers(support::read(session)) == std::vector{2});
}

TEST_CASE("what is settled in a row takes nothing with it that stands between") {
    sqlite_case at;
    for (int i = 1; i <= 40; ++i) at.put(i);
    at.sql("delete from outbox where sequence = 20");
    auto session = at.owner();
    REQUIRE(numbers(support::read(session)).size() == 39);
    // It turns up late, in a place that was empty.
    at.sql("insert into outbox (sequence, topic, payload) values (20, 't', 'p')");
    auto const published = GENERATE(fate::remove, fate::stamp);
    std::vector<outbox::settlement> done;
    for (int i = 30; i >= 1; --i) {
        if (i == 15 || i == 20) continue;
        done.push_back({.sequence = i, .what = i == 13 ? fate::retry : published, .delay = 1h});
    }
    // Said twice, and never read.
    done.push_back({.sequence = 5, .what = fate::bury});
    done.push_back({.sequence = 41, .what = published});
    support::settle(session, done);
    auto const left = [&](std::string const& where) {
        return at.sql("select group_concat(sequence) from (select sequence from outbox where " +
                      where + " order by sequence)");
    };
    CHECK(left("state = 0") == "15,20,31,32,33,34,35,36,37,38,39,40");
    CHECK(left("state = 1") == "13");
    CHECK(at.sql("select count(*) from outbox where state = 4") ==
          (published == fate::stamp ? "27" : "0"));
    // Past what is in hand, on both sides of it.
    at.put(41);
    auto const more = support::read(session);
    REQUIRE(more.read.records.size() == 2);
    CHECK(more.read.records[0].sequence == 20);
    CHECK(more.read.records[1].sequence == 41);
}

TEST_CASE("a message that an operator puts back by plain SQL is read in its place") {
    sqlite_case at;
    for (int i = 1; i <= 3; ++i) at.put(i);
    at.sql("update outbox set state = 3 where sequence = 1");
    auto session = at.owner();
    REQUIRE(numbers(support::read(session)) == std::vector{2, 3});
    at.sql("update outbox set state = 0 where sequence = 1");
    at.put(4);
    CHECK(numbers(support::read(session)) == std::vector{1, 4});
}

TEST_CASE("a scheduled message takes a new number when it falls due, even under an id of its own") {
    sqlite_case at;
    at.storage.begin(at.sql.handle());
    at.add({.id = numbered(1),
            .caller_chose_id = true,
            .topic = "t",
            .payload = "p",
            .not_before = outbox::wall_time{std::chrono::hours{24 * 365 * 200}}});
    at.storage.commit(at.sql.handle());
    at.put(2);
    auto session = at.owner();
    CHECK(numbers(support::read(session)) == std::vector{2});
    at.sql("update outbox set due = 1, not_before = 1 where state = 2");
    at.put(3);
    CHECK(numbers(support::read(session)) == std::vector{3, 1});
    at.put(4);
    auto const last = support::read(session);
    REQUIRE(numbers(last) == std::vector{4});
    CHECK(last.read.records[0].sequence == 5);
}

TEST_CASE("a record that is read alone is on record before its payload is read") {
    sqlite_case at;
    at.put(1);
    at.put(2);
    auto session = at.owner();
    auto const reply =
        session.exchange({.read = support::only, .records = 10, .bytes = 1'000, .alone = true});
    CHECK(numbers(reply) == std::vector{1});
    CHECK(at.sql("select suspect from outbox_partition") == "1");
    expire(at);
    auto next = at.worker(2);
    auto const taken = next.acquire(everything);
    REQUIRE(taken.tenures.size() == 1);
    REQUIRE(taken.tenures[0].accused);
    CHECK(taken.tenures[0].accused->id == numbered(1));
    CHECK(taken.tenures[0].accused->deaths == 1);
    CHECK(taken.tenures[0].care.strikes == 1);
    CHECK(taken.tenures[0].care.left == 100);
    CHECK(at.sql("select state, deaths from outbox where sequence = 1") == "1 1");
}

TEST_CASE("a record that was settled is not accused, should its worker die later") {
    for (auto const what : {fate::retry, fate::follow}) {
        sqlite_case at;
        at.put(1);
        auto session = at.owner();
        REQUIRE(session.exchange({.read = support::only, .records = 1, .bytes = 1, .alone = true})
                    .read.records.size() == 1);
        support::settle(session, {{.sequence = 1, .what = what}});
        expire(at);
        auto next = at.worker(2);
        auto const taken = next.acquire(everything);
        REQUIRE(taken.tenures.size() == 1);
        CHECK_FALSE(taken.tenures[0].accused);
        CHECK(at.sql("select deaths from outbox") == "0");
    }
}

TEST_CASE("an overtaken worker's settlement changes nothing") {
    sqlite_case at;
    at.put(1);
    auto stalled = at.owner();
    REQUIRE(numbers(support::read(stalled)) == std::vector{1});
    expire(at);
    auto next = at.worker(2);
    REQUIRE(next.acquire(everything).tenures.size() == 1);
    auto const reply = support::settle(stalled, {{.sequence = 1, .what = fate::remove}});
    CHECK(reply.lost == std::vector<outbox::partition_number>{0});
    CHECK(at.sql("select count(*) from outbox") == "1");
    stalled.release(std::vector<outbox::ending>{{}});
    CHECK(at.sql("select owner is null from outbox_partition") == "0");
}

TEST_CASE("retrying keys are found without walking their records") {
    sqlite_case at;
    at.sql(
        "with recursive n(i) as (select 1 union all select i + 1 from n where i < 30000) "
        "insert into outbox (topic, payload, key, state, due) "
        "select 't', 'p', case i % 3 when 0 then null else 'k' || (i % 3) end, 1, "
        "case when i < 4 then 9e15 else 1 end from n");
    auto session = at.worker();
    // Each key's first record is not due, so nothing is; whatever comes behind.
    CHECK(session.acquire(everything).tenures.empty());
    at.put(1);
    auto const taken = session.acquire(everything);
    REQUIRE(taken.tenures.size() == 1);
    CHECK(taken.tenures[0].parked.size() == 3);
    for (auto const& one : taken.tenures[0].parked) CHECK(one.due_in > 1h);
}

TEST_CASE("a backlog larger than the limit of counting is an estimate, and close") {
    sqlite_case at;
    at.sql(
        "with recursive n(i) as (select 1 union all select i + 1 from n where i < 25000) "
        "insert into outbox (topic, payload) select 't', 'p' from n");
    auto const figures = at.storage.statistics();
    CHECK(figures.backlog == 25'000);
    CHECK(figures.backlog_is_estimate);
}

TEST_CASE("a missing file, folder or database is unavailable, and never made") {
    support::temporary_folder folder;
    auto const connect = [&](std::string const& path) {
        outbox::sqlite_storage storage{path};
        static_cast<void>(storage.connect(numbered(1), 1s));
    };
    auto const missing = (folder.path() / "none.db").string();
    CHECK(refusal([&] { connect(missing); }).code() == errc::unavailable);
    CHECK_FALSE(std::filesystem::exists(missing));
    CHECK(refusal([&] { connect((folder.path() / "no" / "none.db").string()); }).code() ==
          errc::unavailable);
    auto const text = (folder.path() / "text.db").string();
    std::ofstream{text} << std::string(5'000, 'x');
    CHECK(refusal([&] { connect(text); }).code() == errc::unavailable);
    CHECK(refusal([&] { connect(":memory:"); }).code() == errc::unsafe_setup);
}

TEST_CASE("a full disk is unavailable, and the message stays ready") {
    sqlite_case at;
    at.put(1);
    auto session = at.owner();
    REQUIRE(numbers(support::read(session)) == std::vector{1});
    // The nearest thing to a full disk that a limit of the process can make.
    rlimit before{};
    REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
    auto const ignored = std::signal(SIGXFSZ, SIG_IGN);
    rlimit const tiny{1, before.rlim_max};
    REQUIRE(setrlimit(RLIMIT_FSIZE, &tiny) == 0);
    auto const failure = refusal([&] {
        support::settle(session,
                        {{.sequence = 1, .what = fate::bury, .error = std::string(9'000, 'e')}});
    });
    setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, ignored);
    CHECK(failure.code() == errc::unavailable);
    CHECK(at.sql("select state from outbox") == "0");
    CHECK(at.sql("pragma integrity_check") == "ok");
}
