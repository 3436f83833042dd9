// SPDX-License-Identifier: MIT
//
// The laws of a clock, run by both clocks.
#include <atomic>
#include <thread>

#include "outbox/concepts.hpp"
#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;

template <outbox::clock Clock>
void check_clock(Clock clock) {
    auto const before = clock.now();
    auto const wall = clock.wall();
    CHECK(clock.now() >= before);
    CHECK(clock.wall() >= wall);

    // A wait that is due already ends at once, and so does one that was notified before it began.
    outbox::wakeup signal;
    clock.wait(signal, before, -1);
    signal.notify();
    clock.wait(signal, before + 1h, -1);

    // A notification from another thread ends it.
    std::atomic<bool> ended{false};
    std::thread waiting{[&] {
        clock.wait(signal, before + 1h, -1);
        ended = true;
    }};
    while (!ended) {
        signal.notify();
        std::this_thread::yield();
    }
    waiting.join();

    // And so does a descriptor that becomes readable.
    outbox::wakeup other;
    int pipe_ends[2]{};
    REQUIRE(::pipe(pipe_ends) == 0);
    REQUIRE(::write(pipe_ends[1], "x", 1) == 1);
    clock.wait(other, before + 1h, pipe_ends[0]);
    ::close(pipe_ends[0]);
    ::close(pipe_ends[1]);
}

}  // namespace

TEST_CASE("clock: the system clock never goes back, and its waits end when they should") {
    check_clock(outbox::system_clock{});
}

TEST_CASE("clock: the manual clock never goes back, and its waits end when they should") {
    check_clock(outbox::manual_clock{});
}

TEST_CASE("clock: the manual clock moves when told to, in all its copies, and ends waits") {
    outbox::manual_clock clock;
    auto copy = clock;
    auto const before = copy.now();
    auto const wall = copy.wall();
    outbox::wakeup signal;
    std::atomic<bool> ended{false};
    std::thread waiting{[&] {
        while (copy.now() < before + 10s) copy.wait(signal, before + 10s, -1);
        ended = true;
    }};
    clock.advance(5s);
    CHECK(copy.now() == before + 5s);
    CHECK(copy.wall() == wall + 5s);
    CHECK_FALSE(ended);
    clock.advance(5s);
    waiting.join();
    CHECK(ended);
}
