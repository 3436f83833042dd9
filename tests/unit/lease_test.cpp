// SPDX-License-Identifier: MIT
//
// What a lease allows, and what a death over it leaves behind: the relay on doubles.
#include <algorithm>
#include <deque>
#include <utility>

#include "outbox/testing/catch.hpp"
#include "support/shop.hpp"

namespace {

using namespace std::chrono_literals;
using outbox::outcome;
using support::market;
using support::quick;
using support::shop;
using failure = outbox::memory_broker::failure;

/// A worker's life: until `killed` is set, or it had time enough. Returns whether it died.
bool live(market& all, outbox::options const& settings, bool& killed) {
    shop at{all, settings};
    auto worker = at.box.make_worker();
    at.storage.before([&](std::string_view) {
        if (killed) throw outbox::error{outbox::errc::unavailable, "dead"};
    });
    for (int i = 0; i < 300 && !killed; ++i) {
        worker.drain(1s);
        all.clock.advance(10ms);
    }
    worker.stop(0s);
    all.clock.advance(2s);
    return std::exchange(killed, false);
}

}  // namespace

TEST_CASE("a worker whose lease ran out sends nothing more, and another one takes over") {
    market all;
    shop first{all, quick()};
    shop second{all, quick()};
    auto stale = first.box.make_worker();
    auto next = second.box.make_worker();
    all.broker.fail_next(1, outcome::rejected);
    first.place("1", "k");
    first.storage.after([&](std::string_view verb) {
        // It stalls between reading and sending.
        if (verb == "exchange") all.clock.advance(2s);
    });
    stale.step();
    CHECK(all.payloads().empty());
    first.storage.after({});
    first.place("2", "k");
    second.run(next, 3, 10ms);
    CHECK(all.payloads() == "12");
    first.run(stale, 3, 10ms);
    CHECK(all.payloads() == "12");
}

TEST_CASE("a lease counts from before the call that brought it, less a publish timeout") {
    market all;
    shop at{all, quick()};
    std::deque<std::string_view> slow{};
    at.storage.after([&](std::string_view verb) {
        if (slow.empty() || verb != slow.front()) return;
        slow.pop_front();
        all.clock.advance(400ms);
    });
    auto worker = at.box.make_worker();
    SECTION("when it was acquired") {
        at.place("1");
        slow = {"acquire", "exchange"};  // acquired at 0 ms, told at 400 ms, read at 800 ms
        worker.step();
        CHECK(all.broker.count() == 0);
    }
    SECTION("when it was renewed") {
        at.place("1");
        worker.step();
        all.clock.advance(510ms);
        at.place("2");
        slow = {"exchange"};  // renewed at 510 ms, told and read at 910 ms
        worker.step();
        CHECK(all.payloads() == "12");
        at.place("3");
        slow = {"exchange"};  // read at 1,310 ms
        worker.step();
        CHECK(all.payloads() == "12");
    }
}

TEST_CASE("the caution after a death outlives a clean stop that read nothing") {
    market all;
    std::vector<std::int32_t> strikes;
    auto const live = [&](auto const& before_call, outbox::duration patience) {
        shop at{all, quick(), outbox::observers{[&](outbox::event::partition_acquired const& one) {
                    strikes.push_back(one.strikes);
                }}};
        at.storage.before(before_call);
        auto worker = at.box.make_worker();
        worker.step();
        worker.stop(patience);
    };
    auto const read_nothing = [](std::string_view verb) {
        if (verb == "exchange") throw outbox::error{outbox::errc::contention, "scripted"};
    };
    auto const be_dead = [](std::string_view verb) {
        if (verb != "connect" && verb != "acquire") {
            throw outbox::error{outbox::errc::unavailable, "dead"};
        }
    };
    shop{all, quick()}.place("1");
    live(be_dead, 0s);
    all.clock.advance(2s);
    live(read_nothing, 1s);
    live(read_nothing, 1s);
    CHECK(strikes == std::vector{0, 1, 1});
}

TEST_CASE("a message that kills its worker is buried, and its batch mates are delivered") {
    market all;
    auto settings = quick();
    settings.backoff_max = 20ms;
    bool killed = false;
    all.broker.answer_with([&](outbox::record const& one) {
        killed = killed || one.payload == "killer";
        return killed ? std::optional{failure{outcome::unknown, "dead"}} : std::nullopt;
    });
    int deaths = 0;
    {
        shop at{all, settings};
        for (int i = 0; i < 20; ++i) {
            at.place(i == 7 ? "killer" : "m" + std::to_string(i), "k" + std::to_string(i % 10));
        }
    }
    shop watch{all, settings};
    while (watch.box.stats().storage.backlog > 0 && deaths < 20) {
        deaths += live(all, settings, killed) ? 1 : 0;
    }
    CHECK(deaths == 5);  // to suspect, to be careful, and three that count
    REQUIRE(watch.box.dead_letters().size() == 1);
    CHECK(watch.box.dead_letters()[0].payload == "killer");
    CHECK(watch.box.dead_letters()[0].deaths == 3);
    auto const copies = all.broker.delivered();
    for (int i = 0; i < 20; ++i) {
        auto const arrived = std::ranges::any_of(
            copies, [&](auto const& one) { return one.payload == "m" + std::to_string(i); });
        CHECK((arrived || i == 7));
    }
}

TEST_CASE("messages that kill their worker and may not be buried let their neighbours through") {
    market all;
    auto settings = quick();
    settings.backoff_max = 20ms;
    settings.burials_an_hour = 0;
    bool killed = false;
    all.broker.answer_with([&](outbox::record const& one) {
        killed = killed || one.payload == "killer";
        return killed ? std::optional{failure{outcome::unknown, "dead"}} : std::nullopt;
    });
    {
        shop at{all, settings};
        for (int i = 0; i < 200; ++i) {
            at.place(i == 21 || i == 42 || i == 63 ? "killer" : "m", "k" + std::to_string(i % 20));
        }
    }
    // Behind the killers wait eight of key 1, seven of key 2 and six of key 3. All killers are due
    // again whenever a worker takes over.
    constexpr std::int64_t held_up = 3 + 8 + 7 + 6;
    shop watch{all, settings};
    int deaths = 0;
    auto const waiting = [&] { return watch.box.stats().storage.backlog; };
    while (waiting() > held_up && deaths < 100) {
        deaths += live(all, settings, killed) ? 1 : 0;
    }
    CHECK(waiting() == held_up);
    CHECK(watch.box.dead_letters().empty());
    CHECK(deaths < 100);
}
