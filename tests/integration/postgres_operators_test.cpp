// SPDX-License-Identifier: MIT
//
// Operators at work beside a worker on a real PostgreSQL, and what a take-over finds.
#include "outbox/testing/catch.hpp"
#include "support/postgres_case.hpp"

using namespace std::chrono_literals;
using outbox::fate;
using outbox::settlement;
using support::numbered;
using support::numbers;
using support::postgres_case;
using support::read;

namespace {

/// Reads a partition and settles all that was read as `what` says.
void settle_all(outbox::postgres_storage::session& session, outbox::partition_number partition,
                settlement what) {
    std::vector<settlement> all;
    for (auto const& one : read(session, partition).read.records) {
        what.partition = one.partition;
        what.sequence = one.sequence;
        all.push_back(what);
    }
    static_cast<void>(session.exchange({.settlements = all}));
}

outbox::round_reply due(outbox::postgres_storage::session& session,
                        outbox::partition_number partition, std::string_view key, bool alone,
                        bool dead_letters_block = false,
                        std::vector<settlement> const& settled = {}) {
    outbox::due_key const one{partition, key};
    return session.exchange({.settlements = settled,
                             .due_keys = {&one, 1},
                             .records = 100,
                             .bytes = 1'000'000,
                             .alone = alone,
                             .dead_letters_block = dead_letters_block});
}

}  // namespace

TEST_CASE("a dead letter is listed whole, requeued with a new generation, and its owner is told") {
    postgres_case at;
    auto const k = at.partition_of("k");
    outbox::draft const one{
        .id = numbered(1), .topic = "t", .key = "k", .headers = "a: b\n", .payload = "p\0q"};
    at.storage.begin(at.sql.handle());
    at.storage.append(at.sql.handle(), {&one, 1});
    at.storage.commit(at.sql.handle());
    auto session = at.worker();
    REQUIRE(session.acquire(support::everything).tenures.size() == 1);
    settle_all(session, k, {.what = fate::bury, .attempts = 5, .error = "no such stream"});
    auto const letters = at.storage.dead_letters({}, std::nullopt, 10);
    REQUIRE(letters.size() == 1);
    CHECK(letters[0].id == numbered(1));
    CHECK(letters[0].key == "k");
    CHECK(letters[0].headers == "a: b\n");
    CHECK(letters[0].attempts == 5);
    CHECK(letters[0].last_error == "no such stream");
    CHECK(letters[0].died_at >= letters[0].created_at);
    CHECK(at.storage.dead_letters({.topic = "other"}, std::nullopt, 10).empty());
    CHECK(at.storage.dead_letters({}, numbered(1), 10).empty());

    CHECK(at.storage.requeue({.id = numbered(9)}, 10) == 0);
    CHECK(at.storage.requeue({.topic = "t"}, 10) == 1);
    auto const reply = read(session, k);
    REQUIRE(reply.changed.size() == 1);
    CHECK(reply.changed[0].key == "k");
    CHECK(read(session, k).changed.empty());
    auto const again = due(session, k, "k", false);
    REQUIRE(again.read.records.size() == 1);
    CHECK(again.read.records[0].generation == 1);
    CHECK(again.read.records[0].attempts == 0);
    CHECK(again.drained.empty());
    std::vector const gone{support::removal(again.read.records[0])};
    CHECK(due(session, k, "k", false, false, gone).drained == std::vector<std::string>{"k"});
}

TEST_CASE("what was published is replayed with the same ids, page by page") {
    postgres_case at;
    for (std::uint8_t i = 1; i <= 5; ++i) at.put(i, "");
    auto session = at.worker();
    REQUIRE(session.acquire(support::everything).tenures.size() == 1);
    settle_all(session, 0, {.what = fate::stamp});
    CHECK(at.storage.statistics().backlog == 0);
    outbox::time_range const always{{}, outbox::wall_time{1'000'000h}};
    CHECK(at.storage.replay({{}, outbox::wall_time{1h}}, std::nullopt, 10).empty());
    auto const first = at.storage.replay(always, std::nullopt, 3);
    CHECK(first == std::vector{numbered(1), numbered(2), numbered(3)});
    CHECK(at.storage.replay(always, first.back(), 3) == std::vector{numbered(4), numbered(5)});
    CHECK(numbers(due(session, 0, "", false)) == std::vector{1, 2, 3, 4, 5});
}

TEST_CASE("purging takes what is old enough, so many at a time") {
    postgres_case at;
    for (std::uint8_t i = 1; i <= 6; ++i) at.put(i, "");
    at.run(
        "update outbox set state = 4, published_at = clock_timestamp() - interval '1 hour' "
        "where sequence <= 3");
    at.run(
        "update outbox set state = 3, died_at = clock_timestamp() - interval '1 hour' "
        "where sequence > 3");
    CHECK(at.storage.purge_published(2h, 10) == 0);
    CHECK(at.storage.purge_published(30min, 2) == 2);
    CHECK(at.storage.purge_published(30min, 2) == 1);
    CHECK(at.storage.purge_dead(2h, 10) == 0);
    CHECK(at.storage.purge_dead(30min, 10) == 3);
    CHECK(at.run("select count(*) from outbox") == "0");
}

TEST_CASE("figures are exact while they are small, and say when they are not") {
    postgres_case at;
    for (std::uint8_t i = 1; i <= 4; ++i) at.put(i, "");
    at.run("update outbox set state = sequence - 1 where sequence > 1");
    auto const figures = at.storage.statistics();
    CHECK(figures.backlog == 3);
    CHECK_FALSE(figures.backlog_is_estimate);
    CHECK(figures.retrying == 1);
    CHECK(figures.scheduled == 1);
    CHECK(figures.dead == 1);
    CHECK(figures.oldest_age > 0s);
    at.run("insert into outbox (topic, payload) select 't', 'p' from generate_series(1, 30000)");
    auto const many = at.storage.statistics();
    CHECK(many.backlog_is_estimate);
    CHECK(many.backlog > 30'000);
    CHECK(many.backlog < 31'000);
}

TEST_CASE("a record that was alone in flight when its worker died is accused, and read alone") {
    postgres_case at;
    auto const k = at.partition_of("k");
    at.put(1, "k");
    at.put(2, "k");
    {
        auto session = at.worker(200);
        REQUIRE(session.acquire(support::everything).tenures.size() == 1);
        auto const reply =
            session.exchange({.read = {&k, 1}, .records = 100, .bytes = 1'000'000, .alone = true});
        REQUIRE(numbers(reply) == std::vector{1});
        CHECK(reply.read.records[0].payload == "p");
        CHECK(at.run("select suspect from outbox_partition where suspect is not null") == "1");
    }
    at.run("update outbox_partition set lease_until = clock_timestamp()");
    auto next = at.worker(201);
    auto const taken = next.acquire(support::everything);
    REQUIRE(taken.tenures.size() == 1);
    auto const& mine = taken.tenures[0];
    REQUIRE(mine.accused);
    CHECK(mine.accused->id == numbered(1));
    CHECK(mine.accused->deaths == 1);
    CHECK(mine.care == outbox::caution{.strikes = 1, .left = 9, .reach = 1});
    REQUIRE(mine.parked.size() == 1);
    std::vector const back{
        settlement{.partition = k, .sequence = 1, .what = fate::retry, .attempts = 0}};
    CHECK(due(next, k, "k", false, false, back).read.records.empty());
    auto const alone = due(next, k, "k", true);
    CHECK(numbers(alone) == std::vector{1});
    std::vector const removed{support::removal(alone.read.records[0])};
    static_cast<void>(next.exchange({.settlements = removed}));
    CHECK(at.run("select count(*) from outbox_partition where suspect is not null") == "0");
}

TEST_CASE("a dead letter holds its key where dead letters block, until it is discarded") {
    postgres_case at;
    auto const k = at.partition_of("k");
    for (std::uint8_t i = 1; i <= 2; ++i) at.put(i, "k");
    at.run("update outbox set state = 3 where sequence = 1");
    at.run("update outbox set state = 1 where sequence = 2");
    auto blocking = support::everything;
    blocking.dead_letters_block = true;
    auto session = at.worker();
    CHECK(session.acquire(blocking).tenures.empty());
    auto const taken = session.acquire(support::everything);
    REQUIRE(taken.tenures.size() == 1);
    CHECK(due(session, k, "k", false, true).read.records.empty());
    CHECK(at.storage.discard({}, 10) == 1);
    auto const reply = due(session, k, "k", false, true);
    REQUIRE(reply.changed.size() == 1);
    CHECK_FALSE(reply.changed[0].blocked);
    CHECK(numbers(reply) == std::vector{2});
}

TEST_CASE("a second worker gets its share when the first holds more, and asks for it") {
    postgres_case at;
    at.run(
        "insert into outbox (topic, payload, key) select 't', 'p', n::text "
        "from generate_series(1, 1000) n");
    auto first = at.worker(200);
    CHECK(first.acquire(support::everything).tenures.size() == 63);
    auto second = at.worker(201);
    auto const asked = second.acquire(support::everything);
    CHECK(asked.tenures.empty());
    CHECK(asked.waiting);
    std::vector<outbox::partition_number> all(63);
    for (std::size_t i = 0; i < all.size(); ++i)
        all[i] = static_cast<outbox::partition_number>(i + 1);
    auto const reply = first.exchange({.read = all, .records = 0});
    CHECK(reply.wanted.size() == 63 - 32);
    std::vector<outbox::ending> endings;
    for (auto const one : reply.wanted) endings.push_back({.partition = one});
    first.release(endings);
    CHECK(second.acquire(support::everything).tenures.size() == 31);
    CHECK(first.acquire(support::everything).tenures.empty());
}
