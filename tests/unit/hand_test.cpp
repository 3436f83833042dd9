// SPDX-License-Identifier: MIT
//
// The rules of order inside a worker, and what it remembers: the hand, the evidence against
// messages, the memory of sends. No storage, no broker, no clock.
#include "outbox/hand.hpp"

#include <string>
#include <vector>

#include "outbox/evidence.hpp"
#include "outbox/memory_of_sends.hpp"
#include "outbox/testing/catch.hpp"

namespace {

using namespace std::chrono_literals;
using outbox::fate;
using outbox::record_state;

outbox::message_id numbered(std::int64_t number) {
    outbox::message_id id{};
    id.bytes[15] = static_cast<std::uint8_t>(number);
    return id;
}

struct playing {
    outbox::hand hand{};
    outbox::monotonic_time now{};

    void read(std::int64_t sequence, std::string_view key,
              record_state state = record_state::ready) {
        outbox::page page;
        outbox::record one{.sequence = sequence, .partition = 1, .state = state};
        one.id = numbered(sequence);
        one.key = page.keep(key);
        page.records.push_back(one);
        hand.take(std::move(page));
    }
    outbox::hand::slot send() {
        auto const at = hand.next().value();
        static_cast<void>(hand.mark_sent(at, now));
        return at;
    }
    /// Sequence and fate of what waits to be stored: "3 follow, 4 hand_back".
    [[nodiscard]] std::string settlements() const {
        static constexpr char const* names[] = {"remove",   "stamp", "retry",    "follow",
                                                "schedule", "bury",  "hand_back"};
        std::string all;
        for (auto const& one : hand.settlements()) {
            if (!all.empty()) all += ", ";
            all += std::to_string(one.sequence) + ' ' + names[static_cast<std::size_t>(one.what)];
        }
        return all;
    }
    [[nodiscard]] std::string due() {
        std::string all;
        hand.for_each_due(now, 100, [&](auto, std::string_view key, bool) { all += key; });
        return all;
    }
};

}  // namespace

TEST_CASE("keys do not wait for each other") {
    playing at;
    at.read(1, "a");
    at.read(2, "b");
    CHECK(at.hand[at.send()].id == numbered(1));
    CHECK(at.hand[at.send()].id == numbered(2));
    CHECK_FALSE(at.hand.next());
}

TEST_CASE("what is sent again goes before anything later of its key") {
    playing at;
    at.read(1, "a");
    at.read(2, "a");
    at.hand.again(at.send());
    CHECK(at.hand[at.send()].id == numbered(1));
}

TEST_CASE("what was put back is the next to be sent, before other keys") {
    playing at;
    at.read(1, "a");
    at.read(2, "b");
    at.hand.put_back(at.hand.next().value());
    CHECK(at.hand[at.send()].id == numbered(1));
    CHECK(at.hand[at.send()].id == numbered(2));
}

TEST_CASE("a dead letter lets its key go on only when it is stored") {
    playing at;
    at.read(1, "a");
    at.read(2, "a");
    at.hand.bury(at.send(), 1, "no", false);
    CHECK_FALSE(at.hand.next());
    at.hand.committed();
    CHECK(at.hand[at.send()].id == numbered(2));
}

TEST_CASE("a dead letter that blocks sends what waits in hand behind it") {
    playing at;
    at.read(1, "a");
    at.read(2, "a");
    at.hand.bury(at.send(), 1, "no", true);
    CHECK(at.settlements() == "1 bury, 2 follow");
    CHECK(at.hand.blocked("a"));
}

TEST_CASE("what is read of a parked key follows, and nothing of it is asked for before its time") {
    playing at;
    at.hand.park({.partition = 1, .key = "a", .due_in = 10ms}, at.now);
    at.read(5, "a");
    at.read(6, "b");
    CHECK(at.settlements() == "5 follow");
    CHECK(at.hand[at.send()].id == numbered(6));
    CHECK(at.due().empty());
    at.now += 10ms;
    CHECK(at.due() == "a");
}

TEST_CASE("when a retrying record fails again, those behind it go back unwritten") {
    playing at;
    at.hand.park({.partition = 1, .key = "a"}, at.now);
    at.read(1, "a", record_state::retrying);
    at.read(2, "a", record_state::retrying);
    at.hand.retry(at.send(), 2, 10ms, "no", at.now);
    CHECK(at.settlements() == "1 retry, 2 hand_back");
    CHECK(at.due().empty());
    at.hand.committed();
    at.now += 10ms;
    CHECK(at.due() == "a");
}

TEST_CASE("nothing is flagged behind a ready record that is still under way") {
    // Should the worker die now, flagged ones would be read before the one in flight.
    playing at;
    at.read(1, "a");
    auto const first = at.send();
    at.hand.park({.partition = 1, .key = "a"}, at.now);
    at.read(2, "a");
    at.read(3, "a");
    CHECK(at.settlements().empty());

    SECTION("it lands, and they follow") {
        at.hand.publish(first, fate::remove);
        CHECK(at.settlements() == "1 remove, 2 follow, 3 follow");
    }
    SECTION("nobody knows, and it follows as the first of them") {
        at.hand.again(first);
        CHECK(at.settlements() == "1 follow, 2 follow, 3 follow");
    }
    SECTION("it fails, and they follow") {
        at.hand.retry(first, 1, 10ms, "no", at.now);
        CHECK(at.settlements() == "1 retry, 2 follow, 3 follow");
    }
    SECTION("it dies, and they follow when that is stored") {
        at.hand.bury(first, 1, "no", false);
        CHECK(at.settlements() == "1 bury");
        at.hand.committed();
        CHECK(at.settlements() == "2 follow, 3 follow");
    }
}

TEST_CASE("a key that is drained lets new records pass") {
    playing at;
    at.hand.park({.partition = 1, .key = "a"}, at.now);
    at.hand.drained("a");
    at.read(5, "a");
    CHECK(at.hand[at.send()].id == numbered(5));
}

TEST_CASE("a scheduled record is stored as such and does not hold up its key") {
    playing at;
    outbox::page page;
    page.records.push_back({.sequence = 1, .partition = 1, .remaining = 5s});
    at.hand.take(std::move(page));
    at.read(2, "");
    CHECK(at.settlements() == "1 schedule");
    CHECK(at.hand[at.send()].id == numbered(2));
}

TEST_CASE("a key with too many followers keeps its partition from being read") {
    playing at;
    at.hand.park({.partition = 1, .key = "a"}, at.now);
    for (std::int64_t i = 1; i <= outbox::hand::follower_limit; ++i) {
        CHECK_FALSE(at.hand.paused(1));
        at.read(i, "a");
    }
    CHECK(at.hand.paused(1));
    at.hand.committed();
    at.hand.drained("a");
    CHECK_FALSE(at.hand.paused(1));
}

TEST_CASE("a receipt for an attempt that is over finds nothing") {
    playing at;
    at.read(1, "a");
    auto const first = at.send();
    auto const token = at.hand.token(first);
    at.hand.again(first);
    CHECK_FALSE(at.hand.find(token));
    CHECK(at.send() == first);
    CHECK_FALSE(at.hand.find(token));
    CHECK(at.hand.find(at.hand.token(first)) == first);
}

TEST_CASE("an attempt of an earlier tenure is found by its own token") {
    playing at;
    at.read(1, "a");
    auto const at_first = at.hand.next().value();
    at.hand.adopt(at_first, 77, at.now);
    CHECK(at.hand.find(77) == at_first);
    CHECK(at.hand.in_flight() == 1);
    at.hand.publish(at_first, fate::remove);
    CHECK_FALSE(at.hand.find(77));
    CHECK(at.hand.in_flight() == 0);
}

TEST_CASE("what has been in flight for longest is known, whatever lands before it") {
    playing at;
    auto const begin = at.now;
    std::vector<outbox::hand::slot> sent;
    for (std::int64_t i = 1; i <= 4; ++i) {
        at.read(i, std::to_string(i));
        sent.push_back(at.send());
        at.now += 1ms;
    }
    CHECK_FALSE(at.hand.overdue(begin - 1ms));
    at.hand.publish(sent[1], fate::remove);
    CHECK(at.hand.overdue(begin) == sent[0]);
    at.hand.publish(sent[0], fate::remove);
    CHECK(at.hand.oldest_sent() == begin + 2ms);
    at.hand.again(sent[2]);
    CHECK(at.hand.overdue(at.now) == sent[3]);
    at.hand.publish(sent[3], fate::remove);
    CHECK_FALSE(at.hand.oldest_sent());
}

TEST_CASE("a partition is held until all that is decided of it is stored") {
    playing at;
    CHECK_FALSE(at.hand.holds(1));
    at.read(1, "a");
    at.read(2, "b");
    at.hand.publish(at.send(), fate::remove);
    CHECK(at.hand.size() == 2);
    CHECK(at.hand.decided() == 1);
    CHECK_FALSE(at.hand.all_sent());
    static_cast<void>(at.send());
    CHECK(at.hand.all_sent());
    at.hand.hand_back(1);
    at.hand.committed();
    CHECK(at.hand.holds(1));
    at.hand.drop(1, [](auto) {});
    CHECK_FALSE(at.hand.holds(1));

    at.hand.settle_unread({.partition = 1, .sequence = 3, .what = fate::retry});
    CHECK(at.hand.holds(1));
    CHECK_FALSE(at.hand.holds(2));
    at.hand.committed();
    CHECK_FALSE(at.hand.holds(1));
}

TEST_CASE("a key whose line was swept is as new, and others keep their place") {
    playing at;
    at.read(1, "kept");
    for (std::int64_t i = 2; i <= 5'000; ++i) {
        at.read(i, std::to_string(i));
        if (i == 2) CHECK(at.hand[at.send()].id == numbered(1));
        at.hand.publish(at.send(), fate::remove);
        at.hand.committed();
    }
    at.read(5'001, "kept");
    CHECK_FALSE(at.hand.next());
    at.read(5'002, "2");
    CHECK(at.hand[at.send()].sequence == 5'002);
}

TEST_CASE("a partition that is lost leaves nothing in hand") {
    playing at;
    at.read(1, "a");
    at.read(2, "a");
    static_cast<void>(at.send());
    at.hand.park({.partition = 1, .key = "z"}, at.now);
    at.hand.drop(1, [](auto) {});
    CHECK(at.hand.empty());
    CHECK(at.hand.in_flight() == 0);
    CHECK(at.due().empty());
    CHECK_FALSE(at.hand.next());
}

TEST_CASE("a topic that nothing takes is a message's own fault once others were taken since") {
    outbox::evidence against;
    CHECK_FALSE(against.unroutable(numbered(1), 5, 4));
    CHECK_FALSE(against.unroutable(numbered(1), 6, 4));
    CHECK(against.unroutable(numbered(1), 8, 7));
    CHECK_FALSE(against.unroutable(numbered(1), 9, 7));
    // One acceptance speaks against it once, also when it came before the failure was heard of.
    CHECK(against.unroutable(numbered(1), 10, 12));
    CHECK_FALSE(against.unroutable(numbered(1), 14, 12));
}

TEST_CASE("what was in flight when the connection broke is blamed only when it was alone") {
    outbox::evidence against;
    outbox::attempt_token token = 0;
    for (int i = 0; i < outbox::evidence::breaks_forgiven; ++i) {
        CHECK_FALSE(against.goes_alone(numbered(1)));
        ++token;
        CHECK_FALSE(against.broke_connection(numbered(1), 2 * token, 2 * token - 1, false));
    }
    CHECK(against.goes_alone(numbered(1)));
    CHECK_FALSE(against.broke_connection(numbered(1), 100, 99, false));
    CHECK(against.broke_connection(numbered(1), 102, 101, true));
    // Nothing was accepted since: the broker may be what breaks.
    CHECK_FALSE(against.broke_connection(numbered(1), 104, 101, true));
    CHECK(against.broke_connection(numbered(1), 106, 108, true));
    CHECK_FALSE(against.broke_connection(numbered(1), 110, 108, true));
    against.clear(numbered(1));
    CHECK_FALSE(against.goes_alone(numbered(1)));
}

TEST_CASE("a worker recalls what it sent before it lost its session") {
    outbox::memory_of_sends earlier;
    outbox::record one{};
    one.id = numbered(1);
    earlier.remember({.id = one.id, .token = 7, .sent_at = outbox::monotonic_time{1s}});
    outbox::record requeued = one;
    requeued.generation = 1;
    CHECK_FALSE(earlier.recall(requeued));

    SECTION("still under way") {
        auto const known = earlier.recall(one);
        REQUIRE(known);
        CHECK_FALSE(known->accepted);
        CHECK_FALSE(earlier.recall(one));
    }
    SECTION("accepted meanwhile") {
        earlier.answer(7, true);
        earlier.forget_unaccepted();
        CHECK(earlier.recall(one)->accepted);
    }
    SECTION("failed meanwhile") {
        earlier.answer(7, false);
        CHECK_FALSE(earlier.recall(one));
    }
    SECTION("the channel broke") {
        earlier.forget_unaccepted();
        CHECK_FALSE(earlier.recall(one));
    }
    SECTION("its lease is over") {
        earlier.forget_before(outbox::monotonic_time{2s});
        CHECK_FALSE(earlier.recall(one));
    }
}

TEST_CASE("what was sent before is linked to nothing, nor anything to it") {
    playing at;
    at.read(1, "new");
    at.read(2, "new");
    auto const first = at.send();
    auto const second = at.hand.linkable(first);
    REQUIRE(second);
    CHECK(at.hand[*second].sequence == 2);

    at.read(3, "old");
    at.read(4, "old");
    at.hand.again(at.send());
    CHECK_FALSE(at.hand.linkable(at.send()));

    at.hand.link(*second);
    static_cast<void>(at.hand.mark_sent(*second, at.now));
    at.read(5, "new");
    CHECK(at.hand.linkable(*second));
    // The chain breaks: its second goes back to its place.
    at.hand.keep_answer(*second, {outbox::outcome::unknown, {}, false});
    CHECK_FALSE(at.hand.linkable(*second));
    at.hand.keep_answer(first, {outbox::outcome::unknown, {}, false});
    CHECK(at.hand.all_answered(first));
    at.hand.unlink(
        first, [](auto) {}, [](auto, auto const&) {});
    at.hand.publish(first, fate::remove);
    auto const again = at.send();
    CHECK(at.hand[again].sequence == 2);
    CHECK_FALSE(at.hand.linkable(again));
}
