// SPDX-License-Identifier: MIT
//
// What holds of a storage when producers use it.
#pragma once

#include "outbox/testing/laws/storage_case.hpp"

namespace {

using namespace std::chrono_literals;

TEST_CASE("storage: what was rolled back leaves nothing, and the handle stays usable") {
    model at;
    at.storage().begin(at.own());
    at.storage().append(at.own(), std::vector{laws::draft_of(1)});
    at.storage().rollback(at.own());
    CHECK(at.storage().statistics().backlog == 0);
    laws::worker mine{at, 100};
    CHECK(mine.acquire().tenures.empty());
    laws::put(at, 2);
    REQUIRE(mine.acquire().tenures.size() == 1);
    CHECK(laws::numbers(mine.read()) == laws::list{2});
}

TEST_CASE("storage: nothing is stored outside a transaction, and the handle stays usable") {
    model at;
    CHECK(laws::refusal([&] { at.storage().append(at.own(), std::vector{laws::draft_of(1)}); }) ==
          outbox::errc::no_transaction);
    CHECK(at.storage().statistics().backlog == 0);
    laws::put(at, 2);
    CHECK(at.storage().statistics().backlog == 1);
}

TEST_CASE("storage: what is not committed is not read") {
    model at;
    at.storage().begin(at.own());
    at.storage().append(at.own(), std::vector{laws::draft_of(1)});
    laws::worker mine{at, 100};
    CHECK(mine.acquire().tenures.empty());
    at.storage().commit(at.own());
    CHECK(mine.acquire().tenures.size() == 1);
}

TEST_CASE("storage: messages are read in the order of the calls, with rising sequences") {
    model at;
    laws::put(at, {laws::draft_of(3), laws::draft_of(1), laws::draft_of(2)});
    at.storage().begin(at.own());
    for (int number : {6, 5, 4}) {
        at.storage().append(at.own(), std::vector{laws::draft_of(number)});
    }
    at.storage().commit(at.own());
    laws::worker mine{at, 100};
    mine.acquire();
    auto const reply = mine.read();
    CHECK(laws::numbers(reply) == laws::list{3, 1, 2, 6, 5, 4});
    CHECK(std::ranges::is_sorted(reply.read.records, {}, &outbox::record::sequence));
}

TEST_CASE("storage: many messages of one call keep their order") {
    model at;
    std::vector<outbox::draft> drafts;
    for (int number = 1; number <= 1'500; ++number) drafts.push_back(laws::draft_of(number));
    laws::put(at, drafts);
    laws::worker mine{at, 100};
    mine.acquire();
    laws::list read;
    for (int i = 0; i < 10 && read.size() < 1'500; ++i) {
        for (int const one : laws::numbers(mine.read(400))) read.push_back(one);
    }
    REQUIRE(read.size() == 1'500);
    CHECK(std::ranges::is_sorted(read));
}

TEST_CASE("storage: every byte of a payload, key, topic and header comes back") {
    model at;
    std::string bytes;
    for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
    outbox::draft full{.id = laws::numbered(1),
                       .topic = "tópic.\"'\\",
                       .key = "ключ'\\",
                       .headers = "a: b\na: c\n",
                       .payload = bytes};
    laws::put(at, {full});
    laws::put(at, {{.id = laws::numbered(2), .topic = "t", .key = "ключ'\\", .payload = ""}});
    laws::worker mine{at, 100};
    mine.acquire();
    auto const reply = mine.read();
    REQUIRE(reply.read.records.size() == 2);
    auto const& first = reply.read.records[0];
    CHECK(first.id == full.id);
    CHECK(first.topic == full.topic);
    CHECK(first.key == full.key);
    CHECK(first.headers == full.headers);
    CHECK(first.payload == full.payload);
    CHECK(first.state == outbox::record_state::ready);
    CHECK(first.attempts + first.deaths + first.generation == 0);
    CHECK(reply.read.records[1].payload.empty());
}

TEST_CASE("storage: an id of the caller's own is stored once, and refused with other content") {
    model at;
    auto mine = laws::draft_of(1, "k");
    mine.caller_chose_id = true;
    laws::put(at, {mine});
    laws::put(at, {mine});
    CHECK(at.storage().statistics().backlog == 1);
    auto other = mine;
    other.payload = "other";
    at.storage().begin(at.own());
    CHECK(laws::refusal([&] {
              at.storage().append(at.own(), std::vector{laws::draft_of(2), other});
          }) == outbox::errc::duplicate_id);
    at.storage().rollback(at.own());
    CHECK(at.storage().statistics().backlog == 1);

    laws::worker reader{at, 100};
    reader.acquire();
    reader.settle(laws::all_settled(reader.read(), laws::fate::remove));
    laws::put(at, {other});
    CHECK(at.storage().statistics().backlog == 1);
}

TEST_CASE("storage: a message that may not be delivered yet waits for its time") {
    model at;
    auto later = laws::draft_of(1);
    later.not_before = at.wall() + std::chrono::minutes{5};
    auto now = laws::draft_of(2);
    now.not_before = at.wall() - std::chrono::minutes{5};
    laws::put(at, {later, now});
    laws::put(at, 3);
    CHECK(at.storage().statistics().scheduled == 1);
    laws::worker mine{at, 100};
    mine.acquire();
    auto const first = mine.read();
    CHECK(laws::numbers(first) == laws::list{2, 3});
    mine.read(100, laws::all_settled(first, laws::fate::remove));
    laws::put(at, 4);
    at.elapse(std::chrono::minutes{6});
    mine.release();
    mine.acquire();
    CHECK(laws::numbers(mine.read()) == laws::list{4, 1});
}

TEST_CASE("storage: a transaction that commits late is read in its place, and never skipped") {
    model at;
    if constexpr (!model::concurrent) {
        SUCCEED("this storage has one writing transaction at a time");
    } else {
        at.storage().begin(at.own());
        at.storage().append(at.own(), std::vector{laws::draft_of(1, "k")});
        at.storage().begin(at.other());
        at.storage().append(at.other(), std::vector{laws::draft_of(2, "k")});
        at.storage().commit(at.other());
        laws::worker mine{at, 100};
        mine.acquire();
        auto const first = mine.read();
        CHECK(laws::numbers(first) == laws::list{2});
        CHECK(mine.read(100, laws::all_settled(first, laws::fate::remove)).read.records.empty());
        CHECK(mine.read().read.records.empty());
        at.storage().commit(at.own());
        laws::put(at, 3, "k");
        CHECK(laws::numbers(mine.read()) == laws::list{1, 3});

        // Across a clean hand-over, too.
        at.storage().begin(at.own());
        at.storage().append(at.own(), std::vector{laws::draft_of(4, "k")});
        at.storage().begin(at.other());
        at.storage().append(at.other(), std::vector{laws::draft_of(5, "k")});
        at.storage().commit(at.other());
        mine.read(100, {});
        mine.release();
        at.storage().commit(at.own());
        laws::worker next{at, 101};
        next.acquire();
        auto const all = laws::numbers(next.read());
        CHECK(std::ranges::count(all, 4) == 1);
        CHECK(std::ranges::count(all, 5) == 1);
        CHECK(std::ranges::find(all, 4) < std::ranges::find(all, 5));
    }
}

}  // namespace
