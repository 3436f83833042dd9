// SPDX-License-Identifier: MIT
//
// What holds of a storage when an operator looks into it: dead letters, requeue, replay, purge.
#pragma once

#include "outbox/testing/laws/storage_case.hpp"

namespace {

using namespace std::chrono_literals;

/// Messages 1 to `count`, all of them given this fate by a worker that then released.
inline void end_all(model& at, int count, laws::fate what, std::string_view key = {}) {
    for (int number = 1; number <= count; ++number) laws::put(at, number, key);
    laws::worker mine{at, 100};
    mine.acquire();
    mine.settle(laws::all_settled(mine.read(), what));
    mine.release();
}
inline laws::list ids_of(std::vector<outbox::dead_letter> const& letters) {
    laws::list all;
    for (auto const& one : letters) all.push_back(laws::number_of(one.id));
    return all;
}

TEST_CASE("storage: dead letters are listed by id, page by page, by topic, by id") {
    model at;
    end_all(at, 5, laws::fate::bury);
    CHECK(ids_of(at.storage().dead_letters({}, {}, 2)) == laws::list{1, 2});
    CHECK(ids_of(at.storage().dead_letters({}, laws::numbered(2), 10)) == laws::list{3, 4, 5});
    CHECK(ids_of(at.storage().dead_letters({.topic = "other"}, {}, 10)).empty());
    CHECK(ids_of(at.storage().dead_letters({.topic = "t"}, {}, 10)).size() == 5);
    CHECK(ids_of(at.storage().dead_letters({.id = laws::numbered(4)}, {}, 10)) == laws::list{4});
}

TEST_CASE("storage: a requeued message is a new delivery of the same one, and its owner is told") {
    model at;
    end_all(at, 2, laws::fate::bury, "k");
    laws::put(at, 3, "k");
    laws::worker mine{at, 100};
    mine.acquire();
    auto const third = mine.read();
    CHECK(laws::numbers(third) == laws::list{3});
    CHECK(at.storage().requeue({.id = laws::numbered(2)}, 10) == 1);
    CHECK(at.storage().requeue({}, 10) == 1);
    CHECK(at.storage().requeue({}, 10) == 0);
    auto const told = mine.read();
    REQUIRE(told.changed.size() == 1);
    CHECK(told.changed[0].key == "k");
    auto const partition = told.changed[0].partition;
    auto const back = mine.read_due(partition, "k");
    CHECK(laws::numbers(back) == laws::list{1, 2});
    CHECK(back.read.records[0].generation == 1);
    CHECK(back.read.records[0].attempts == 0);
    CHECK(mine.read().changed.empty());
    CHECK(at.storage().statistics().dead == 0);
}

TEST_CASE("storage: a discarded dead letter is gone, and its key is no longer blocked") {
    model at;
    end_all(at, 3, laws::fate::bury, "k");
    CHECK(at.storage().discard({}, 2) == 2);
    CHECK(at.storage().discard({.topic = "other"}, 10) == 0);
    CHECK(at.storage().statistics().dead == 1);
    CHECK(at.storage().discard({.id = laws::numbered(3)}, 10) == 1);
    CHECK(at.storage().dead_letters({}, {}, 10).empty());
}

TEST_CASE("storage: published messages are replayed by their time, with the same ids, in order") {
    model at;
    end_all(at, 5, laws::fate::stamp, "k");
    auto const now = at.wall();
    CHECK(at.storage()
              .replay({now + std::chrono::hours{1}, now + std::chrono::hours{2}}, {}, 10)
              .empty());
    outbox::time_range const today{now - std::chrono::hours{1}, now + std::chrono::hours{1}};
    auto const first = at.storage().replay(today, {}, 3);
    REQUIRE(first.size() == 3);
    auto const rest = at.storage().replay(today, first.back(), 3);
    CHECK(rest.size() == 2);
    CHECK(at.storage().statistics().retrying == 5);
    laws::worker mine{at, 101};
    auto const got = mine.acquire();
    REQUIRE(got.tenures.size() == 1);
    auto const back = mine.read_due(got.tenures[0].partition, "k");
    CHECK(laws::numbers(back) == laws::list{1, 2, 3, 4, 5});
    CHECK(back.read.records[0].generation == 0);
}

TEST_CASE("storage: purging takes what is old enough, and no more than it is told") {
    model at;
    end_all(at, 3, laws::fate::stamp);
    CHECK(at.storage().purge_published(std::chrono::hours{1}, 10) == 0);
    laws::put(at, 9);
    at.elapse(std::chrono::hours{2});
    CHECK(at.storage().purge_published(std::chrono::hours{1}, 2) == 2);
    CHECK(at.storage().purge_dead(std::chrono::hours{1}, 2) == 0);
    CHECK(at.storage().purge_published(std::chrono::hours{1}, 2) == 1);
    CHECK(at.storage().statistics().backlog == 1);
}

TEST_CASE("storage: purging dead letters spares the young and everything that is not dead") {
    model at;
    end_all(at, 2, laws::fate::bury);
    CHECK(at.storage().purge_dead(std::chrono::hours{1}, 10) == 0);
    laws::put(at, 9);
    at.elapse(std::chrono::hours{2});
    CHECK(at.storage().purge_dead(std::chrono::hours{1}, 1) == 1);
    CHECK(at.storage().purge_dead(std::chrono::hours{1}, 10) == 1);
    CHECK(at.storage().statistics().backlog == 1);
}

TEST_CASE("storage: figures add up") {
    model at;
    for (int number = 1; number <= 6; ++number) laws::put(at, number, "k" + std::to_string(number));
    CHECK(at.storage().statistics().backlog == 6);
    laws::worker mine{at, 100};
    mine.acquire();
    auto const all = mine.read();
    REQUIRE(all.read.records.size() == 6);
    auto later = laws::settled(all.read.records[2], laws::fate::schedule);
    later.delay = std::chrono::hours{1};
    mine.settle({laws::settled(all.read.records[0], laws::fate::remove),
                 laws::settled(all.read.records[1], laws::fate::retry), later,
                 laws::settled(all.read.records[3], laws::fate::bury),
                 laws::settled(all.read.records[4], laws::fate::stamp)});
    at.elapse(20s);
    auto const figures = at.storage().statistics();
    CHECK(figures.backlog == 3);
    CHECK_FALSE(figures.backlog_is_estimate);
    CHECK(figures.retrying == 1);
    CHECK(figures.scheduled == 1);
    CHECK(figures.dead == 1);
    CHECK(figures.oldest_age >= 20s);
    CHECK(figures.partitions_held == static_cast<std::int32_t>(mine.held().size()));
}

}  // namespace
