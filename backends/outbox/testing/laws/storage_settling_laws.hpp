// SPDX-License-Identifier: MIT
//
// What holds of a storage's reading and settling: each record once, in order, and each fate as
// settlement.hpp says.
#pragma once

#include "outbox/testing/laws/storage_case.hpp"

namespace {

using namespace std::chrono_literals;

TEST_CASE("storage: a record in hand is not read again, nor one that was settled") {
    model at;
    for (int number = 1; number <= 3; ++number) laws::put(at, number, "k");
    laws::worker mine{at, 100};
    mine.acquire();
    auto const first = mine.read(2);
    CHECK(laws::numbers(first) == laws::list{1, 2});
    CHECK(first.more);
    auto const rest = mine.read();
    CHECK(laws::numbers(rest) == laws::list{3});
    CHECK_FALSE(rest.more);
    CHECK(mine.read(100, laws::all_settled(first, laws::fate::remove)).read.records.empty());
    mine.settle(laws::all_settled(rest, laws::fate::stamp));
    CHECK(mine.read().read.records.empty());
    CHECK(at.storage().statistics().backlog == 0);
    mine.release();
    laws::worker next{at, 101};
    CHECK(next.acquire().tenures.empty());
}

TEST_CASE(
    "storage: a read that finds nothing says that there is no more, however little it asked") {
    model at;
    laws::put(at, 1, "k");
    laws::worker mine{at, 100};
    mine.acquire();
    CHECK(laws::numbers(mine.read(1)) == laws::list{1});
    CHECK_FALSE(mine.read(1).more);
    CHECK_FALSE(laws::read_alone(mine).more);
}

TEST_CASE("storage: a retrying record that is read alone does not hide the next one") {
    model at;
    laws::put(at, {laws::draft_of(1, "k"), laws::draft_of(2, "k")});
    laws::worker mine{at, 100};
    mine.acquire();
    auto const all = mine.read();
    mine.settle(laws::all_settled(all, laws::fate::follow));
    auto const partition = all.read.records.at(0).partition;
    auto const first = mine.read_due(partition, "k", true);
    CHECK(laws::numbers(first) == laws::list{1});
    CHECK(first.more);
    CHECK(laws::numbers(mine.read_due(partition, "k", true)) == laws::list{2});
    CHECK_FALSE(mine.read_due(partition, "k", true).more);
}

TEST_CASE(
    "storage: a limit of bytes that ends a read of retrying records says that there is more") {
    model at;
    laws::put(at, {laws::draft_of(1, "k"), laws::draft_of(2, "k")});
    laws::worker mine{at, 100};
    mine.acquire();
    mine.settle(laws::all_settled(mine.read(), laws::fate::follow));
    outbox::due_key const due{mine.held().at(0), "k"};
    auto const first =
        mine.exchange({.lease = laws::lease, .due_keys = {&due, 1}, .records = 100, .bytes = 1});
    CHECK(laws::numbers(first) == laws::list{1});
    CHECK(first.more);
}

TEST_CASE("storage: a record that must be read alone does not promise more to who may not") {
    model at;
    laws::put(at, {laws::draft_of(1, "k"), laws::draft_of(2, "k")});
    laws::worker dead{at, 100};
    dead.acquire();
    laws::read_alone(dead);
    at.elapse(laws::lease + 1s);
    laws::worker mine{at, 101};
    auto const taken = mine.acquire().tenures.at(0);
    REQUIRE(taken.accused);
    mine.settle({{.partition = taken.partition,
                  .sequence = taken.accused->sequence,
                  .what = laws::fate::retry}});
    outbox::due_key const due{taken.partition, "k"};
    auto const reply = mine.exchange(
        {.lease = laws::lease, .due_keys = {&due, 1}, .records = 1, .bytes = 1'000'000});
    CHECK(reply.read.records.empty());
    CHECK_FALSE(reply.more);
    // What stands behind it waits with it.
    mine.settle({laws::settled(mine.read().read.records.at(0), laws::fate::follow)});
    CHECK(mine.read_due(taken.partition, "k").read.records.empty());
}

TEST_CASE("storage: a limit of bytes ends a read after the record that reaches it") {
    model at;
    std::string const large(10'000, 'x');
    for (int number = 1; number <= 4; ++number) {
        laws::put(at, {{.id = laws::numbered(number), .topic = "t", .payload = large}});
    }
    laws::worker mine{at, 100};
    mine.acquire();
    auto const read = [&](std::int64_t bytes) {
        return mine.exchange(
            {.lease = laws::lease, .read = mine.held(), .records = 100, .bytes = bytes});
    };
    auto const first = read(15'000);
    CHECK(laws::numbers(first) == laws::list{1, 2});
    CHECK(first.more);
    CHECK(laws::numbers(read(1)) == laws::list{3});
    CHECK(laws::numbers(read(1'000'000)) == laws::list{4});
}

TEST_CASE("storage: what is handed back is read again by the same worker, in its place") {
    model at;
    for (int number = 1; number <= 3; ++number) laws::put(at, number, "k");
    laws::worker mine{at, 100};
    mine.acquire();
    auto const all = mine.read();
    std::vector<outbox::settlement> endings{
        laws::settled(all.read.records[0], laws::fate::remove),
        laws::settled(all.read.records[1], laws::fate::hand_back),
        laws::settled(all.read.records[2], laws::fate::hand_back)};
    mine.settle(endings);
    laws::put(at, 4, "k");
    CHECK(laws::numbers(mine.read()) == laws::list{2, 3, 4});
}

TEST_CASE("storage: what was in hand is readable by the next owner, with nothing counted") {
    model at;
    laws::put(at, {laws::draft_of(1), laws::draft_of(2)});
    laws::worker mine{at, 100};
    mine.acquire();
    mine.read();
    mine.release();
    laws::worker next{at, 101};
    next.acquire();
    auto const read = next.read();
    CHECK(laws::numbers(read) == laws::list{1, 2});
    CHECK(read.read.records.at(0).attempts == 0);
    CHECK(read.read.records.at(0).deaths == 0);
}

TEST_CASE("storage: a failed record waits with its followers, and comes back in order by its key") {
    model at;
    for (int number = 1; number <= 3; ++number) laws::put(at, number, "k");
    laws::worker mine{at, 100};
    mine.acquire();
    auto const all = mine.read();
    auto const partition = all.read.records.at(0).partition;
    auto failed = laws::settled(all.read.records[0], laws::fate::retry);
    failed.delay = 30s;
    mine.settle({failed, laws::settled(all.read.records[1], laws::fate::follow),
                 laws::settled(all.read.records[2], laws::fate::follow)});
    CHECK(at.storage().statistics().retrying == 3);
    laws::put(at, 4, "k");
    CHECK(laws::numbers(mine.read()) == laws::list{4});

    // Whoever takes the partition up learns which keys are parked, and until when.
    mine.release();
    laws::worker next{at, 101};
    auto const got = next.acquire();
    REQUIRE(got.tenures.size() == 1);
    REQUIRE(got.tenures[0].parked.size() == 1);
    CHECK(got.tenures[0].parked[0].key == "k");
    CHECK(got.tenures[0].parked[0].due_in > 0s);
    CHECK(got.tenures[0].parked[0].due_in <= 30s);
    auto const back = next.read_due(partition, "k");
    CHECK(laws::numbers(back) == laws::list{1, 2, 3});
    CHECK(back.read.records[0].attempts == 1);
    CHECK(back.read.records[0].state == outbox::record_state::retrying);
    CHECK(back.read.records[1].attempts == 0);
    CHECK(back.drained.empty());
    CHECK(next.read_due(partition, "k").drained.empty());
    next.settle({laws::settled(back.read.records[0], laws::fate::remove),
                 laws::settled(back.read.records[1], laws::fate::hand_back),
                 laws::settled(back.read.records[2], laws::fate::hand_back)});
    auto const rest = next.read_due(partition, "k");
    CHECK(laws::numbers(rest) == laws::list{2, 3});
    next.settle(laws::all_settled(rest, laws::fate::stamp));
    CHECK(next.read_due(partition, "k").drained == std::vector<std::string>{"k"});
    CHECK(at.storage().statistics().retrying == 0);
}

TEST_CASE("storage: a partition whose only work is a retrying record is acquired when it is due") {
    model at;
    laws::put(at, 1, "k");
    laws::worker mine{at, 100};
    mine.acquire();
    auto failed = laws::settled(mine.read().read.records.at(0), laws::fate::retry);
    failed.delay = 40s;
    mine.settle({failed});
    mine.release();
    laws::worker next{at, 101};
    CHECK(next.acquire().tenures.empty());
    at.elapse(45s);
    auto const got = next.acquire();
    REQUIRE(got.tenures.size() == 1);
    CHECK(got.tenures[0].parked.at(0).due_in == 0s);
}

TEST_CASE("storage: a followers' head that was settled by a dead worker leaves the rest awake") {
    model at;
    laws::put(at, {laws::draft_of(1, "k"), laws::draft_of(2, "k")});
    laws::worker mine{at, 100};
    mine.acquire();
    auto const all = mine.read();
    auto failed = laws::settled(all.read.records.at(0), laws::fate::retry);
    failed.delay = 40s;
    mine.settle({failed, laws::settled(all.read.records[1], laws::fate::follow)});
    auto const due = mine.read_due(failed.partition, "k");
    mine.settle({laws::settled(due.read.records.at(0), laws::fate::remove)});
    mine.release();
    laws::worker next{at, 101};
    REQUIRE(next.acquire().tenures.size() == 1);
    CHECK(laws::numbers(next.read_due(failed.partition, "k")) == laws::list{2});
}

TEST_CASE("storage: a scheduled record comes back in its own time, behind what is there") {
    model at;
    laws::put(at, {laws::draft_of(1, "k"), laws::draft_of(2, "k")});
    laws::worker mine{at, 100};
    mine.acquire();
    auto const all = mine.read();
    auto later = laws::settled(all.read.records.at(0), laws::fate::schedule);
    later.delay = 30s;
    mine.settle({later, laws::settled(all.read.records[1], laws::fate::remove)});
    CHECK(at.storage().statistics().scheduled == 1);
    laws::put(at, 3, "k");
    CHECK(laws::numbers(mine.read()) == laws::list{3});
    at.elapse(31s);
    CHECK(laws::numbers(mine.read()) == laws::list{1});
    CHECK(at.storage().statistics().scheduled == 0);
}

TEST_CASE("storage: a dead letter is kept with all that it had") {
    model at;
    outbox::draft full{.id = laws::numbered(7),
                       .topic = "topic",
                       .key = "k",
                       .headers = "a: b\n",
                       .payload = std::string_view{"\0x", 2}};
    laws::put(at, {full});
    laws::worker mine{at, 100};
    mine.acquire();
    mine.settle(laws::all_settled(mine.read(), laws::fate::bury));
    CHECK(at.storage().statistics().dead == 1);
    CHECK(at.storage().statistics().backlog == 0);
    auto const dead = at.storage().dead_letters({}, {}, 10);
    REQUIRE(dead.size() == 1);
    CHECK(dead[0].id == full.id);
    CHECK(dead[0].topic == full.topic);
    CHECK(dead[0].key == full.key);
    CHECK(dead[0].headers == full.headers);
    CHECK(dead[0].payload == full.payload);
    CHECK(dead[0].attempts == 1);
    CHECK(dead[0].generation == 0);
    CHECK(dead[0].last_error == "why");
    CHECK(dead[0].died_at >= dead[0].created_at);
}

TEST_CASE("storage: a dead letter blocks its key where it is asked to") {
    model at;
    laws::put(at, {laws::draft_of(1, "k"), laws::draft_of(2, "k")});
    laws::worker mine{at, 100};
    mine.acquire();
    auto const all = mine.read();
    auto const partition = all.read.records.at(0).partition;
    mine.settle({laws::settled(all.read.records[0], laws::fate::bury),
                 laws::settled(all.read.records[1], laws::fate::follow)});
    CHECK(mine.read_due(partition, "k", false, true).read.records.empty());
    CHECK(mine.read_due(partition, "k", false, true).drained.empty());
    mine.release();
    laws::worker next{at, 101};
    // What waits behind it is no work.
    auto const blocking =
        outbox::acquire_request{.lease = laws::lease, .most = 100, .dead_letters_block = true};
    CHECK(next.acquire(blocking).tenures.empty());
    laws::put(at, 3, "k");
    auto const got = next.acquire(blocking);
    REQUIRE(got.tenures.size() == 1);
    REQUIRE(got.tenures[0].parked.size() == 1);
    CHECK(got.tenures[0].parked[0].key == "k");
    CHECK(got.tenures[0].parked[0].blocked);
    next.release();
    laws::worker free{at, 102};
    auto const unblocked = free.acquire();
    REQUIRE(unblocked.tenures.size() == 1);
    CHECK_FALSE(unblocked.tenures[0].parked.at(0).blocked);
    CHECK(laws::numbers(free.read_due(partition, "k")) == laws::list{2});
}

TEST_CASE("storage: a dead letter blocks nothing before it") {
    model at;
    laws::put(at, {laws::draft_of(1, "k"), laws::draft_of(2, "k"), laws::draft_of(3, "k")});
    laws::worker mine{at, 100};
    mine.acquire();
    auto const all = mine.read();
    auto const partition = all.read.records.at(0).partition;
    mine.settle({laws::settled(all.read.records[0], laws::fate::follow),
                 laws::settled(all.read.records[1], laws::fate::bury),
                 laws::settled(all.read.records[2], laws::fate::follow)});
    mine.release();
    laws::worker next{at, 101};
    auto const got = next.acquire({.lease = laws::lease, .most = 100, .dead_letters_block = true});
    REQUIRE(got.tenures.size() == 1);
    CHECK_FALSE(got.tenures[0].parked.at(0).blocked);
    CHECK(laws::numbers(next.read_due(partition, "k", false, true)) == laws::list{1});
    next.settle({{.partition = partition,
                  .sequence = all.read.records[0].sequence,
                  .what = laws::fate::remove}});
    next.release();
    CHECK(next.acquire({.lease = laws::lease, .most = 100, .dead_letters_block = true})
              .tenures.empty());
}

TEST_CASE("storage: retrying and ready records are counted apart") {
    model at;
    for (int number = 1; number <= 3; ++number) laws::put(at, number, "k");
    laws::worker mine{at, 100};
    mine.acquire();
    auto const parked = mine.read();
    mine.settle(laws::all_settled(parked, laws::fate::follow));
    for (int number = 4; number <= 6; ++number) laws::put(at, number, "k");
    outbox::due_key const due{mine.held().at(0), "k"};
    auto const read = mine.exchange({.lease = laws::lease,
                                     .read = mine.held(),
                                     .due_keys = {&due, 1},
                                     .records = 2,
                                     .bytes = 1'000'000});
    CHECK(laws::numbers(read) == laws::list{1, 2, 4, 5});
    CHECK(read.more);
}

TEST_CASE("storage: a key that nothing parks is drained") {
    model at;
    laws::put(at, 1, "k");
    laws::worker mine{at, 100};
    mine.acquire();
    auto const partition = mine.read().read.records.at(0).partition;
    CHECK(mine.read_due(partition, "k").drained == std::vector<std::string>{"k"});
    CHECK(mine.read_due(partition, "never").drained == std::vector<std::string>{"never"});
}

TEST_CASE("storage: a settle of many records takes effect on each of them") {
    model at;
    std::vector<outbox::draft> drafts;
    for (int number = 0; number < 600; ++number) drafts.push_back(laws::draft_of(number));
    laws::put(at, drafts);
    laws::worker mine{at, 100};
    mine.acquire();
    auto const all = mine.read(1'000);
    REQUIRE(all.read.records.size() == 600);
    laws::fate const fates[]{laws::fate::remove, laws::fate::stamp, laws::fate::bury};
    std::vector<outbox::settlement> endings;
    for (std::size_t i = 0; i < 600; ++i) {
        endings.push_back(laws::settled(all.read.records[i], fates[i % 3]));
    }
    mine.settle(endings);
    CHECK(at.storage().statistics().backlog == 0);
    CHECK(at.storage().statistics().dead == 200);
    at.elapse(1s);
    CHECK(at.storage().purge_published(0s, 1'000) == 200);
}

}  // namespace
