// SPDX-License-Identifier: MIT
//
// The laws of a clock: call this from a test case, with a clock of yours.
#pragma once

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "outbox/concepts.hpp"
#include "outbox/testing/catch.hpp"

namespace outbox::testing::laws {

/// A waiting thread may be notified without end, so a clock that never hears it hangs here.
template <outbox::clock Clock>
void check_clock(Clock clock) {
    using namespace std::chrono_literals;
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

}  // namespace outbox::testing::laws
