// SPDX-License-Identifier: MIT
//
// What holds of a storage when workers share it: leases, epochs, fences, care after a death.
#pragma once

#include "outbox/testing/laws/storage_case.hpp"

namespace {

using namespace std::chrono_literals;

TEST_CASE("storage: partitions with work are acquired, by one worker at a time") {
    model at;
    laws::worker first{at, 100};
    CHECK(first.acquire().tenures.empty());
    laws::put(at, 1, "k");
    auto const got = first.acquire();
    REQUIRE(got.tenures.size() == 1);
    CHECK(got.tenures[0].care.strikes == 0);
    CHECK_FALSE(got.tenures[0].accused);
    CHECK(got.tenures[0].parked.empty());
    CHECK(first.acquire().tenures.empty());
    laws::worker second{at, 101};
    auto const waiting = second.acquire();
    CHECK(waiting.tenures.empty());
    CHECK(waiting.waiting);
    CHECK(at.storage().statistics().partitions_held == 1);
}

TEST_CASE("storage: a released partition is free at once, under a higher epoch, with its caution") {
    model at;
    laws::put(at, 1);
    laws::worker first{at, 100};
    auto const epoch = first.acquire().tenures.at(0).epoch;
    CHECK(laws::numbers(first.read()) == laws::list{1});
    first.release({.strikes = 1, .left = 5, .reach = 3});
    CHECK(at.storage().statistics().partitions_held == 0);
    laws::worker second{at, 101};
    auto const got = second.acquire();
    REQUIRE(got.tenures.size() == 1);
    CHECK(got.tenures[0].epoch > epoch);
    CHECK(got.tenures[0].care.strikes == 1);
    CHECK(got.tenures[0].care.left == 5);
    CHECK(laws::numbers(second.read()) == laws::list{1});
}

TEST_CASE("storage: a lease that ran out is taken over with care, one's own without") {
    model at;
    laws::put(at, 1);
    laws::worker dead{at, 100};
    auto const epoch = dead.acquire().tenures.at(0).epoch;
    laws::worker next{at, 101};
    CHECK(next.acquire().tenures.empty());
    at.elapse(laws::lease + 1s);
    auto const taken = next.acquire();
    REQUIRE(taken.tenures.size() == 1);
    CHECK(taken.tenures[0].epoch > epoch);
    CHECK(taken.tenures[0].care.strikes == 1);
    CHECK(taken.tenures[0].care.left == laws::everything.reach);
    CHECK(taken.tenures[0].care.reach == laws::everything.careful_reach);

    laws::worker again{at, 101};
    auto const back = again.acquire();
    REQUIRE(back.tenures.size() == 1);
    CHECK(back.tenures[0].epoch > taken.tenures[0].epoch);
    CHECK(back.tenures[0].care.strikes == 1);
    at.elapse(laws::lease + 1s);
    laws::worker after{at, 101};
    CHECK(after.acquire().tenures.at(0).care.strikes == 1);
}

TEST_CASE("storage: a renewed lease does not run out") {
    model at;
    laws::put(at, 1);
    laws::worker mine{at, 100};
    mine.acquire();
    at.elapse(laws::lease - 20s);
    outbox::renewal const renewed{mine.held()[0], {.strikes = 0, .left = 0, .reach = 4}};
    CHECK(mine.exchange({.renewals = {&renewed, 1}, .lease = laws::lease}).lost.empty());
    at.elapse(laws::lease - 20s);
    laws::worker other{at, 101};
    CHECK(other.acquire().tenures.empty());
    at.elapse(30s);
    CHECK(other.acquire().tenures.at(0).care.left == 4);
}

TEST_CASE("storage: an overtaken worker changes nothing, whichever way it tries, and is told") {
    auto const way =
        GENERATE(values<std::string>({"remove", "stamp", "retry", "bury", "follow", "schedule",
                                      "hand back", "renew", "read", "read a key", "release"}));
    CAPTURE(way);
    model at;
    laws::put(at, 1, "k");
    laws::worker stale{at, 100};
    stale.acquire();
    auto const read = stale.read();
    at.elapse(laws::lease + 1s);
    laws::worker next{at, 101};
    next.acquire();

    std::map<std::string, laws::fate> const fates{
        {"remove", laws::fate::remove},      {"stamp", laws::fate::stamp},
        {"retry", laws::fate::retry},        {"bury", laws::fate::bury},
        {"follow", laws::fate::follow},      {"schedule", laws::fate::schedule},
        {"hand back", laws::fate::hand_back}};
    auto const held = stale.held();
    if (auto const what = fates.find(way); what != fates.end()) {
        CHECK(stale.settle(laws::all_settled(read, what->second)).lost == held);
    } else if (way == "renew") {
        outbox::renewal const renewed{held.at(0), {.strikes = 7, .left = 7, .reach = 7}};
        CHECK(stale.exchange({.renewals = {&renewed, 1}, .lease = laws::lease}).lost == held);
    } else if (way == "release") {
        stale.release({.strikes = 7, .left = 7, .reach = 7});
    } else {
        auto const reply = way == "read" ? stale.read() : stale.read_due(held.at(0), "k");
        CHECK(reply.lost == held);
        CHECK(reply.read.records.empty());
    }

    auto const figures = at.storage().statistics();
    CHECK(figures.backlog == 1);
    CHECK(figures.dead + figures.retrying + figures.scheduled == 0);
    CHECK(figures.partitions_held == 1);
    CHECK(laws::numbers(next.read()) == laws::list{1});
    at.elapse(laws::lease + 1s);
    laws::worker after{at, 102};
    auto const care = after.acquire().tenures.at(0).care;
    CHECK(care.strikes == 2);
    CHECK(care.left == laws::everything.careful_reach);
}

TEST_CASE("storage: the first settle after a take-over reports the partition as lost") {
    model at;
    laws::put(at, 1);
    laws::worker stale{at, 100};
    stale.acquire();
    auto const read = stale.read();
    at.elapse(laws::lease + 1s);
    laws::worker next{at, 101};
    next.acquire();
    auto const reply = stale.settle(laws::all_settled(read, laws::fate::remove));
    CHECK(reply.lost == stale.held());
    CHECK(at.storage().statistics().backlog == 1);
}

TEST_CASE("storage: what is lost of a call does not keep the rest from being settled") {
    model at;
    for (int number = 1; number <= 40; ++number)
        laws::put(at, number, "k" + std::to_string(number));
    laws::worker stale{at, 100};
    stale.acquire();
    auto const read = stale.read();
    REQUIRE(read.read.records.size() == 40);
    // The same worker by another session takes one of its own back, under a new epoch.
    laws::worker shadow{at, 100};
    shadow.acquire({.lease = laws::lease, .most = 1, .reach = 1, .careful_reach = 1});
    REQUIRE(shadow.held().size() == 1);
    auto const reply = stale.settle(laws::all_settled(read, laws::fate::remove));
    CHECK(reply.lost == shadow.held());
    auto const kept =
        std::ranges::count(read.read.records, shadow.held()[0], &outbox::record::partition);
    CHECK(at.storage().statistics().backlog == kept);
}

/// Of so many keys that there is work in next to all partitions.
void put_everywhere(model& at) {
    std::vector<std::string> keys;
    std::vector<outbox::draft> drafts;
    for (int number = 0; number < 400; ++number) keys.push_back("k" + std::to_string(number));
    for (int number = 0; number < 400; ++number) {
        drafts.push_back(laws::draft_of(number, keys[static_cast<std::size_t>(number)]));
    }
    laws::put(at, drafts);
}

TEST_CASE("storage: who holds more than a fair share hears that others wait") {
    model at;
    put_everywhere(at);
    laws::worker first{at, 100};
    auto const all = first.acquire().tenures.size();
    CHECK(all <= model::partitions);
    auto const share = (model::partitions + 1) / 2;
    laws::worker second{at, 101};
    auto const waiting = second.acquire();
    CHECK(waiting.tenures.size() <= share);
    if (!waiting.tenures.empty()) return;
    CHECK(waiting.waiting);
    CHECK(first.read(1).wanted.size() == (all > share ? all - share : 0));
    first.release();
    CHECK(second.acquire().tenures.size() == all);
}

TEST_CASE("storage: who holds less than a fair share asks for what it lacks") {
    model at;
    put_everywhere(at);
    laws::worker first{at, 100};
    auto const all = first.acquire().tenures.size();
    CHECK(all <= model::partitions);
    auto const share = model::partitions / 3;
    if (share < 2) return;
    REQUIRE(all > 2 * share);
    std::vector<outbox::renewal> all_but_two;
    for (auto const one : first.held()) all_but_two.push_back({one, {}});
    all_but_two.resize(all - 2);
    at.elapse(laws::lease - 20s);
    first.exchange({.renewals = all_but_two, .lease = laws::lease});
    at.elapse(30s);

    laws::worker second{at, 101};
    laws::worker third{at, 102};
    for (auto* const one : {&second, &third}) {
        auto const taken = one->acquire({.lease = laws::lease, .most = 1});
        CHECK(taken.tenures.size() == 1);
        CHECK_FALSE(taken.waiting);
    }
    CHECK(first.read(1).wanted.empty());
    // Once, however often it asks.
    for (int i = 0; i < 2; ++i) {
        auto const asked = second.acquire();
        CHECK(asked.tenures.empty());
        CHECK(asked.waiting);
        CHECK(first.read(1).wanted.size() == share - 1);
    }
}

TEST_CASE("storage: `most` limits what is acquired") {
    model at;
    for (int number = 1; number <= 20; ++number)
        laws::put(at, number, "k" + std::to_string(number));
    laws::worker mine{at, 100};
    CHECK(mine.acquire({.lease = laws::lease, .most = 1}).tenures.size() == 1);
}

TEST_CASE("storage: a record that was alone in flight when its worker died is accused") {
    model at;
    laws::put(at, {laws::draft_of(1, "k"), laws::draft_of(2, "k")});
    laws::worker first{at, 100};
    first.acquire();
    CHECK(laws::numbers(laws::read_alone(first)) == laws::list{1});
    at.elapse(laws::lease + 1s);

    laws::worker second{at, 101};
    auto const taken = second.acquire();
    REQUIRE(taken.tenures.size() == 1);
    auto const& accused = taken.tenures[0].accused;
    REQUIRE(accused);
    CHECK(laws::number_of(accused->id) == 1);
    CHECK(accused->deaths == 1);
    CHECK(accused->key == "k");
    REQUIRE(taken.tenures[0].parked.size() == 1);
    CHECK(taken.tenures[0].parked[0].key == "k");
    // In hand of the new owner, who settles it without having seen it.
    auto const partition = taken.tenures[0].partition;
    second.settle(
        {{.partition = partition, .sequence = accused->sequence, .what = laws::fate::retry}});
    CHECK(second.read_due(partition, "k").read.records.empty());
    CHECK(laws::numbers(second.read_due(partition, "k", true)) == laws::list{1});
    at.elapse(laws::lease + 1s);

    laws::worker third{at, 102};
    auto const again = third.acquire();
    REQUIRE(again.tenures.size() == 1);
    CHECK(again.tenures[0].care.strikes == 2);
    REQUIRE(again.tenures[0].accused);
    CHECK(again.tenures[0].accused->deaths == 2);
    CHECK(again.tenures[0].accused->buried_lately == 0);
}

TEST_CASE("storage: an accusation tells how many were buried in the last hour for worker deaths") {
    model at;
    // All of one key, so that they share a partition. The first dies of its own failures.
    for (int number = 1; number <= 4; ++number) laws::put(at, number, "k");
    laws::worker before{at, 99};
    before.acquire();
    before.settle(laws::all_settled(laws::read_alone(before), laws::fate::bury));
    before.release();
    int life = 100;
    // Takes one alone, and dies.
    auto const die = [&] {
        laws::worker one{at, life++};
        one.acquire();
        laws::read_alone(one);
        at.elapse(laws::lease + 1s);
    };
    // How many the next one is told of; it buries what was accused.
    auto const told = [&] {
        laws::worker one{at, life++};
        auto const taken = one.acquire();
        REQUIRE(taken.tenures.size() == 1);
        auto const accused = taken.tenures[0].accused;
        REQUIRE(accused);
        one.settle({{.partition = taken.tenures[0].partition,
                     .sequence = accused->sequence,
                     .what = laws::fate::bury,
                     .attempts = accused->attempts}});
        one.release();
        return accused->buried_lately;
    };
    die();
    CHECK(told() == 0);
    die();
    CHECK(told() == 1);
    at.elapse(1h);
    die();
    CHECK(told() == 0);
}

TEST_CASE("storage: whose record was settled or released is accused of nothing") {
    model at;
    laws::put(at, 1, "k");
    laws::put(at, 2, "k");
    laws::worker first{at, 100};
    first.acquire();
    auto const read = laws::read_alone(first);
    CHECK(laws::numbers(read) == laws::list{1});
    first.settle(laws::all_settled(read, laws::fate::remove));
    at.elapse(laws::lease + 1s);
    laws::worker second{at, 101};
    CHECK_FALSE(second.acquire().tenures.at(0).accused);
    CHECK(laws::numbers(laws::read_alone(second)) == laws::list{2});
    second.release();
    laws::worker third{at, 102};
    CHECK_FALSE(third.acquire().tenures.at(0).accused);
}

}  // namespace
