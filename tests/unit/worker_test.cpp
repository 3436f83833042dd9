// SPDX-License-Identifier: MIT
//
// Workers: how they wake, share the work, and stop.
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "outbox/testing/catch.hpp"
#include "support/shop.hpp"

namespace {

using namespace std::chrono_literals;
using support::market;
using support::shop;

outbox::options quick() {
    outbox::options settings;
    settings.lease_duration = 1s;
    settings.poll_interval = 100ms;
    settings.backoff_min = 10ms;
    settings.probe_max = 100ms;
    return settings;
}

/// Moves a manual clock on until it is dropped.
class moving_time {
public:
    explicit moving_time(outbox::manual_clock clock)
        : thread_{[this, clock]() mutable {
              while (!ended_) {
                  clock.advance(1ms);
                  std::this_thread::yield();
              }
          }} {}
    moving_time(moving_time const&) = delete;
    moving_time& operator=(moving_time const&) = delete;
    ~moving_time() {
        ended_ = true;
        thread_.join();
    }

private:
    std::atomic<bool> ended_{false};
    std::thread thread_;
};

/// Where a call hangs until it is let go.
class gate {
public:
    void pass() {
        std::unique_lock lock{mutex_};
        ++waiting_;
        changed_.notify_all();
        changed_.wait(lock, [&] { return open_; });
    }
    void await_someone() {
        std::unique_lock lock{mutex_};
        changed_.wait(lock, [&] { return waiting_ > 0; });
    }
    void open() {
        std::lock_guard const lock{mutex_};
        open_ = true;
        changed_.notify_all();
    }

private:
    std::mutex mutex_{};
    std::condition_variable changed_{};
    int waiting_{0};
    bool open_{false};
};

}  // namespace

TEST_CASE("no notification is lost, however many come at once") {
    outbox::wakeup signal;
    std::atomic<int> asked{0};
    std::atomic<int> answered{0};
    constexpr int rounds = 30'000;
    std::thread waiter{[&] {
        while (answered < rounds) {
            answered = asked.load();
            if (answered < rounds) signal.wait(-1ns);
        }
    }};
    std::thread noise{[&] {
        while (answered < rounds) signal.notify();
    }};
    for (int round = 1; round <= rounds; ++round) {
        asked = round;
        signal.notify();
        if (round % 20 == 0) {
            while (answered < round) std::this_thread::yield();
        }
    }
    waiter.join();
    noise.join();
    CHECK(answered == rounds);
}

TEST_CASE("a worker wakes at once when a unit of work commits, though no time passes") {
    market all;
    shop at{all, quick()};
    auto worker = at.box.start_worker();
    for (std::uint64_t i = 1; i <= 100; ++i) {
        at.place("x");
        while (all.broker.count() < i) std::this_thread::yield();
    }
    CHECK(all.clock.now() == outbox::monotonic_time{});
    CHECK(worker.stop(1h).clean());
}

TEST_CASE("a notification finds what was committed by other means, though no time passes") {
    market all;
    shop at{all, quick()};
    auto worker = at.box.start_worker();
    at.place("1");
    while (all.broker.count() < 1) std::this_thread::yield();
    auto transaction = all.storage.begin_transaction();
    at.box.create_message(transaction, "t", "2");
    transaction.commit();
    while (all.broker.count() < 2) {
        at.box.notify_workers();
        std::this_thread::yield();
    }
    CHECK(all.clock.now() == outbox::monotonic_time{});
    CHECK(worker.stop(1h).clean());
}

TEST_CASE("a broker that answers nothing for ten minutes costs no attempt") {
    market all;
    shop at{all, quick()};
    for (auto const* text : {"1", "2", "3"}) at.place(text, "a");
    all.broker.be_silent(true);
    auto worker = at.box.make_worker();
    while (all.clock.now() < outbox::monotonic_time{10min}) {
        worker.step();
        all.clock.advance(10ms);
    }
    CHECK(all.storage.statistics().dead == 0);
    CHECK(at.box.stats().broker_down);
    all.broker.be_silent(false);
    while (all.storage.statistics().backlog > 0) {
        worker.step();
        all.clock.advance(10ms);
    }
    auto const sent = all.payloads();
    CHECK(sent.find_first_not_of('1') == sent.find('2'));
    CHECK(sent.find_first_not_of('2', sent.find('2')) == sent.find('3'));
    CHECK(all.storage.statistics().dead == 0);
}

TEST_CASE("an idle worker rests until its poll interval is over") {
    market all;
    shop at{all, quick()};
    auto worker = at.box.start_worker();
    at.place("x");
    while (all.broker.count() < 1) std::this_thread::yield();
    for (int i = 0; i < 1'000; ++i) {
        all.clock.advance(1ms);
        std::this_thread::yield();
    }
    CHECK(worker.stop(1h).clean());
    // Ten polls, a release, and what the message took.
    CHECK(at.storage.calls() <= 20);
}

TEST_CASE("stop keeps its deadline though the storage hangs, and no call follows") {
    market all;
    gate door;
    std::atomic<int> events_after{0};
    std::atomic<bool> stopped{false};
    auto const watch = [&](auto const& /*event*/) { events_after += stopped ? 1 : 0; };
    std::optional<shop<decltype(watch)>> at{std::in_place, all, quick(), watch};
    auto const storage = at->storage;
    {
        auto worker = at->box.start_worker();
        at->storage.after([&](std::string_view verb) {
            if (verb == "acquire") door.pass();
        });
        at->place("x");
        door.await_someone();
        moving_time const time{all.clock};
        auto const before = all.clock.now();
        static_cast<void>(worker.stop(200ms));
        stopped = true;
        CHECK(all.clock.now() - before >= 200ms);
    }
    at.reset();
    auto const calls = storage.calls();
    door.open();
    while (!storage.is_last_copy()) std::this_thread::yield();
    CHECK(storage.calls() == calls);
    CHECK(events_after == 0);
    CHECK(all.payloads().empty());
}

TEST_CASE("stop gives back everything at once") {
    market all;
    shop first{all, quick()};
    shop second{all, quick()};
    first.place("1", "a");
    auto worker = first.box.start_worker();
    while (all.broker.count() < 1) std::this_thread::yield();
    CHECK(worker.stop(1h).clean());
    CHECK(all.storage.statistics().partitions_held == 0);
    second.place("2", "a");
    auto next = second.box.make_worker();
    CHECK(next.drain(0s));
    CHECK(all.payloads() == "12");
}

TEST_CASE("stop of a worker on the caller's thread waits for no clock that nobody moves") {
    market all;
    shop at{all, quick()};
    all.broker.be_silent(true);
    at.place("1");
    auto worker = at.box.make_worker();
    worker.step();
    CHECK(worker.stop(1h).clean());
    CHECK(all.storage.statistics().partitions_held == 0);
}

TEST_CASE("stop lists the leases that a lost session left behind") {
    market all;
    shop at{all, quick()};
    at.place("1", "a");
    auto worker = at.box.make_worker();
    worker.step();
    REQUIRE(all.storage.statistics().partitions_held == 1);
    at.storage.before([](std::string_view) {
        throw outbox::error{outbox::errc::unavailable, "gone"};
    });
    auto const report = worker.stop(1h);
    CHECK(report.held.size() == 1);
    CHECK(worker.stop(1h).held.size() == 1);
}

TEST_CASE("a worker that was stopped does nothing more") {
    market all;
    shop at{all, quick()};
    auto worker = at.box.make_worker();
    worker.stop(1h);
    at.place("1");
    CHECK_FALSE(worker.step().progress());
    worker.start();
    CHECK(all.payloads().empty());
}

TEST_CASE("a hint is followed by polls that grow rarer, until the usual interval") {
    outbox::polling polls{500ms};
    outbox::monotonic_time now{};
    CHECK(polls.is_due(now));
    polls.hint(now);
    std::vector<std::int64_t> waits;
    for (int i = 0; i < 9; ++i) {
        waits.push_back((polls.next() - now) / 1ms);
        now = polls.next();
        CHECK(polls.is_due(now));
        CHECK_FALSE(polls.is_due(now));
    }
    CHECK(waits == std::vector<std::int64_t>{1, 2, 4, 8, 16, 32, 64, 500, 500});
}

TEST_CASE("announcements are too many when they come faster than they are forgotten") {
    outbox::announcements heard;
    outbox::monotonic_time now{};
    now += 1h;
    heard.hear(outbox::announcements::at_once, now);
    CHECK_FALSE(heard.too_many(now));
    heard.hear(1, now);
    CHECK(heard.too_many(now));
    now += outbox::announcements::each;
    CHECK_FALSE(heard.too_many(now));
    for (int i = 0; i < 1'000; ++i) {
        now += outbox::announcements::each;
        heard.hear(1, now);
        CHECK_FALSE(heard.too_many(now));
    }
}

TEST_CASE("what was committed by other means is found within milliseconds of its hint") {
    market all;
    auto settings = quick();
    settings.poll_interval = 1h;
    shop at{all, settings};
    auto worker = at.box.start_worker();
    while (at.storage.calls("acquire") < 1) std::this_thread::yield();
    auto transaction = all.storage.begin_transaction();
    at.box.create_message(transaction, "t", "1");
    all.clock.advance(20ms);
    transaction.commit();
    auto const committed = all.clock.now();
    {
        moving_time const time{all.clock};
        while (all.broker.count() < 1) std::this_thread::yield();
    }
    CHECK(all.clock.now() - committed < 1min);
    CHECK(worker.stop(1h).clean());
}

TEST_CASE("two workers come to hold as many partitions each") {
    market all;
    shop first{all, quick()};
    shop second{all, quick()};
    auto one = first.box.make_worker();
    auto two = second.box.make_worker();
    auto const produce = [&] {
        for (char key = 'a'; key <= 'z'; ++key) first.place("x", std::string{key});
        first.place("x");
    };
    produce();
    one.step();
    CHECK(first.box.stats().partitions_held_here == 8);
    int rounds = 0;
    while (second.box.stats().partitions_held_here < 4 && ++rounds < 200) {
        produce();
        two.step();
        one.step();
        all.clock.advance(10ms);
    }
    CHECK(first.box.stats().partitions_held_here == 4);
    CHECK(second.box.stats().partitions_held_here == 4);
}

TEST_CASE("an idle worker gives its partitions back") {
    market all;
    shop at{all, quick()};
    at.place("1", "a");
    auto worker = at.box.make_worker();
    worker.step();
    CHECK(all.storage.statistics().partitions_held == 1);
    at.run(worker, 10, 100ms);
    CHECK(all.storage.statistics().partitions_held == 0);
}
