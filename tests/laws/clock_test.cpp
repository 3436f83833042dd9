// SPDX-License-Identifier: MIT
//
// The laws of a clock, run by both clocks.
#include <atomic>
#include <thread>

#include "outbox/testing/laws/clock_laws.hpp"

namespace {

using namespace std::chrono_literals;
using outbox::testing::laws::check_clock;

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
