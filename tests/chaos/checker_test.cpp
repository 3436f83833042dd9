// SPDX-License-Identifier: MIT
//
// The checker, held against histories: each wrong one is a good one with one thing broken, and must
// be flagged with exactly the verdicts that it deserves.
#include "chaos/checker.hpp"

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "chaos/made_histories.hpp"
#include "outbox/testing/catch.hpp"

namespace {

using namespace made;
using chaos::verdict;

std::set<std::string> flagged(history const& one) {
    std::set<std::string> all;
    auto const said = chaos::check(one);
    for (std::size_t i = 0; i < chaos::verdict_count; ++i) {
        auto const what = static_cast<verdict>(i);
        if (said.of(what).count > 0) all.emplace(to_string(what));
    }
    return all;
}

struct wrong_history {
    char const* what;
    std::set<std::string> deserved;
    std::function<void(history&)> break_it;
};

struct good_history {
    char const* what;
    std::function<void(history&)> change;
};

std::vector<wrong_history> const& wrong_ones() {
    static std::vector<wrong_history> const all{
        {"a committed message is nowhere", {"lost"}, [](auto& h) { take_from_stream(h, 3); }},
        {"the last of the stream is missing", {"lost"}, [](auto& h) { take_from_stream(h, 6); }},
        {"the stream is empty", {"lost"}, [](auto& h) { h.stream.clear(); }},
        {"one of unknown outcome has its row and is nowhere",
         {"lost"},
         [](auto& h) {
             h.ledger[2].end = ending::unknown;
             take_from_stream(h, 3);
         }},
        {"a committed message was never even sent",
         {"lost"},
         [](auto& h) {
             take_from_stream(h, 4);
             std::erase_if(*h.attempts, [](auto const& it) { return it.id == id(4); });
         }},
        {"a poisoned message is nowhere",
         {"lost"},
         [](auto& h) {
             poison(h, 2);
             h.dead.clear();
         }},
        {"a rolled-back message was delivered",
         {"phantom", "torn"},
         [](auto& h) { h.ledger[1].end = ending::rolled_back; }},
        {"a rolled-back message without a row was delivered",
         {"phantom"},
         [](auto& h) {
             h.ledger[1].end = ending::rolled_back;
             take_row(h, 2);
         }},
        {"one of unknown outcome without its row was delivered",
         {"phantom"},
         [](auto& h) {
             h.ledger[1].end = ending::unknown;
             take_row(h, 2);
         }},
        {"a message that nobody meant was delivered",
         {"phantom"},
         [](auto& h) {
             h.stream.push_back({.id = id(99), .key = "a", .sequence = 7, .at = 8 * second});
             send(h, 99, 7 * second);
         }},
        {"a message that nobody meant is a dead letter",
         {"phantom"},
         [](auto& h) { h.dead.push_back(id(99)); }},
        {"a rolled-back message is a dead letter",
         {"phantom", "buried"},
         [](auto& h) {
             roll_back(h, 2);
             h.dead.push_back(id(2));
         }},
        {"a rolled-back message still waits",
         {"phantom", "stuck"},
         [](auto& h) {
             roll_back(h, 2);
             h.pending.push_back(id(2));
         }},
        {"a rolled-back message was sent and did not arrive",
         {"phantom"},
         [](auto& h) {
             roll_back(h, 2);
             send(h, 2, 9 * second);
         }},
        {"two messages of a key changed places",
         {"reordered"},
         [](auto& h) { swap_in_stream(h, 0, 2); }},
        {"two keyless messages changed places",
         {"reordered"},
         [](auto& h) { swap_in_stream(h, 4, 5); }},
        {"a message overtook one that committed, although its own outcome is unknown",
         {"reordered"},
         [](auto& h) {
             h.ledger[2].end = ending::unknown;
             swap_in_stream(h, 0, 2);
         }},
        {"a copy repairs no order: the first one counts",
         {"reordered", "resent", "copied"},
         [](auto& h) {
             swap_in_stream(h, 0, 2);
             copy(h, 1, 9 * second);
             send(h, 3, 8 * second);
         }},
        {"a message lies in the stream twice within the window",
         {"copied"},
         [](auto& h) {
             fault_at(h, 7 * second, 7 * second);
             copy(h, 3, 9 * second);
             send(h, 3, 9 * second);
         }},
        {"a copy after the window came of no send",
         {"copied"},
         [](auto& h) { copy(h, 3, 300 * second); }},
        {"a delivery was sent by nobody",
         {"copied"},
         [](auto& h) {
             std::erase_if(*h.attempts, [](auto const& it) { return it.id == id(4); });
         }},
        {"a generation that no requeue gave",
         {"copied"},
         [](auto& h) { h.stream[0].generation = 1; }},
        {"a generation below zero", {"copied"}, [](auto& h) { h.stream[0].generation = -1; }},
        {"a copy of the same generation is not explained by a requeue",
         {"copied"},
         [](auto& h) {
             h.requeued.push_back(id(3));
             send(h, 3, 9 * second);
             copy(h, 3, 9 * second);
         }},
        {"a message was sent twice without a fault",
         {"resent"},
         [](auto& h) { send(h, 3, 9 * second); }},
        {"a message was sent twice in the same millisecond",
         {"resent"},
         [](auto& h) { send(h, 3, 3 * second); }},
        {"a fault before the first send explains no second one",
         {"resent"},
         [](auto& h) {
             h.aftermath = second;
             fault_at(h, 0, second);
             send(h, 3, 9 * second);
         }},
        {"a fault after the second send does not explain it",
         {"resent"},
         [](auto& h) {
             send(h, 3, 9 * second);
             fault_at(h, 10 * second, 11 * second);
         }},
        {"one requeue explains one more send, not two",
         {"resent"},
         [](auto& h) {
             h.requeued.push_back(id(3));
             send(h, 3, 9 * second);
             send(h, 3, 10 * second);
         }},
        {"one refusal explains one more send, not two",
         {"resent"},
         [](auto& h) {
             refuse(h, 3, 3 * second + 1);
             send(h, 3, 9 * second);
             send(h, 3, 10 * second);
         }},
        {"a refusal after the second send does not explain it",
         {"resent"},
         [](auto& h) {
             send(h, 3, 9 * second);
             refuse(h, 3, 10 * second);
         }},
        {"the refusal of another message explains nothing",
         {"resent"},
         [](auto& h) {
             refuse(h, 2, 3 * second + 1);
             send(h, 3, 9 * second);
         }},
        {"a message was refused that nobody had sent",
         {"malformed"},
         [](auto& h) { refuse(h, 3, second); }},
        {"a copy after the window whose send nothing explains",
         {"resent"},
         [](auto& h) {
             send(h, 3, 299 * second);
             copy(h, 3, 300 * second);
         }},
        {"other bytes were delivered", {"altered"}, [](auto& h) { h.stream[3].digest = 99; }},
        {"another key was delivered", {"altered"}, [](auto& h) { h.stream[3].key = "a"; }},
        {"a key was lost on the way", {"altered"}, [](auto& h) { h.stream[3].key = ""; }},
        {"the copy has other bytes than the first",
         {"altered"},
         [](auto& h) {
             fault_at(h, 3 * second, 4 * second);
             send(h, 3, 300 * second);
             copy(h, 3, 300 * second);
             h.stream.back().digest = 99;
         }},
        {"a good message is a dead letter",
         {"buried"},
         [](auto& h) {
             take_from_stream(h, 3);
             h.dead.push_back(id(3));
         }},
        {"a good message was delivered and buried",
         {"buried"},
         [](auto& h) { h.dead.push_back(id(3)); }},
        {"a message waits at the end",
         {"stuck"},
         [](auto& h) {
             take_from_stream(h, 6);
             h.pending.push_back(id(6));
         }},
        {"a message was delivered and waits none the less",
         {"stuck"},
         [](auto& h) { h.pending.push_back(id(6)); }},
        {"a committed message has no row", {"torn"}, [](auto& h) { take_row(h, 3); }},
        {"a row without an intention", {"torn"}, [](auto& h) { h.rows->push_back(id(99)); }},
        {"a rolled-back message left its row",
         {"torn"},
         [](auto& h) {
             roll_back(h, 3);
             h.rows->push_back(id(3));
         }},
        {"a message stands in the ledger twice",
         {"malformed"},
         [](auto& h) { h.ledger.push_back(h.ledger[0]); }},
        {"numbers of a key do not rise", {"malformed"}, [](auto& h) { h.ledger[5].number = 5; }},
        {"the stream's sequences do not rise",
         {"malformed"},
         [](auto& h) { h.stream[3].sequence = 3; }},
        {"nothing happened at all", {"malformed"}, [](auto& h) { h = history{}; }},
        {"a fault ends before it begins",
         {"malformed"},
         [](auto& h) { fault_at(h, 9 * second, 8 * second); }},
        {"a poisoned message was delivered",
         {"malformed"},
         [](auto& h) { h.ledger[3].poisoned = true; }},
    };
    return all;
}

std::vector<good_history> const& good_ones() {
    static std::vector<good_history> const all{
        {"everything once", [](auto&) {}},
        {"a rolled-back message is nowhere", [](auto& h) { roll_back(h, 3); }},
        {"one of unknown outcome was committed",
         [](auto& h) { h.ledger[2].end = ending::unknown; }},
        {"one of unknown outcome was not",
         [](auto& h) {
             roll_back(h, 3);
             h.ledger[2].end = ending::unknown;
         }},
        {"one of unknown outcome, and nobody looked for rows",
         [](auto& h) {
             roll_back(h, 3);
             h.ledger[2].end = ending::unknown;
             h.rows.reset();
         }},
        {"one of unknown outcome committed late",
         [](auto& h) {
             h.ledger[0].end = ending::unknown;
             swap_in_stream(h, 0, 2);
         }},
        {"messages of different keys changed places", [](auto& h) { swap_in_stream(h, 0, 1); }},
        {"messages of one key of two producers changed places",
         [](auto& h) {
             h.ledger[2].producer = 1;
             swap_in_stream(h, 0, 2);
         }},
        {"a number is reused by another producer",
         [](auto& h) {
             h.ledger[2].producer = 1;
             h.ledger[2].number = 1;
         }},
        {"a poisoned message is a dead letter", [](auto& h) { poison(h, 3); }},
        {"a poisoned message used up its attempts",
         [](auto& h) {
             poison(h, 3);
             send(h, 3, 7 * second);
             send(h, 3, 8 * second);
         }},
        {"a message was refused for its place and sent again, twice",
         [](auto& h) {
             refuse(h, 3, 3 * second + 1);
             send(h, 3, 3 * second + 2);
             refuse(h, 3, 3 * second + 2);
             send(h, 3, 3 * second + 3);
         }},
        {"a fault explains a second send, which the stream dropped",
         [](auto& h) {
             fault_at(h, 5 * second, 5 * second);
             send(h, 3, 9 * second);
         }},
        {"the aftermath of a fault explains a second send",
         [](auto& h) {
             fault_at(h, second, second);
             send(h, 3, 9 * second);
         }},
        {"a fault explains a copy after the window",
         [](auto& h) {
             fault_at(h, 5 * second, 5 * second);
             send(h, 3, 200 * second);
             copy(h, 3, 200 * second);
         }},
        {"a requeue explains a send and a copy",
         [](auto& h) {
             h.requeued.push_back(id(3));
             send(h, 3, 9 * second);
             copy(h, 3, 9 * second, 1);
         }},
        {"a copy of an old message comes behind newer ones of its key",
         [](auto& h) {
             fault_at(h, 5 * second, 5 * second);
             send(h, 1, 200 * second);
             copy(h, 1, 200 * second);
         }},
        {"the stream has gaps in its sequences", [](auto& h) { h.stream[5].sequence = 17; }},
        {"a message was sent in vain and later with success",
         [](auto& h) {
             fault_at(h, 0, 3 * second);
             send(h, 3, second);
         }},
        {"nobody wrote down the sends", [](auto& h) { h.attempts.reset(); }},
    };
    return all;
}

}  // namespace

TEST_CASE("every history that is wrong on purpose is flagged for what is wrong with it") {
    CHECK(wrong_ones().size() >= 30);
    for (auto const& one : wrong_ones()) {
        auto broken = good();
        one.break_it(broken);
        INFO(one.what);
        CHECK(flagged(broken) == one.deserved);
    }
}

TEST_CASE("every good history passes") {
    CHECK(good_ones().size() >= 15);
    for (auto const& one : good_ones()) {
        auto fine = good();
        one.change(fine);
        INFO(one.what);
        CHECK(flagged(fine).empty());
    }
}

TEST_CASE(
    "a report counts every finding, shows the first ones, and tells how faults were got over") {
    auto one = good();
    for (std::uint8_t n = 1; n <= 6; ++n) one.dead.push_back(id(n));
    fault_at(one, 0, 2 * second);
    fault_at(one, 0, 2'500);
    fault_at(one, 9 * second, 10 * second);
    auto const said = chaos::check(one);
    CHECK_FALSE(said.clean());
    CHECK(said.of(verdict::buried).count == 6);
    CHECK(said.of(verdict::buried).examples.size() == chaos::finding::shown);
    CHECK(said.committed == 6);
    CHECK(said.delivered == 6);
    auto const& kills = said.recoveries.at("kill");
    CHECK(kills.faults == 3);
    CHECK(kills.followed == 2);
    CHECK(kills.waits == std::vector<chaos::moment>{1, 501});
}
