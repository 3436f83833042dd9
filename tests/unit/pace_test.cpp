// SPDX-License-Identifier: MIT
//
// When a worker rests between looks: under a steady flow, and never for long.
#include "outbox/pace.hpp"

#include "outbox/testing/catch.hpp"

namespace {

using namespace std::chrono_literals;

struct looking {
    outbox::pace of{};
    outbox::monotonic_time now{1h};

    void look(std::size_t brought, outbox::duration took = 1ms) {
        now += took;
        of.looked(brought, 100, took, now);
    }
    /// How long it rests from now on.
    outbox::duration rest() const {
        return of.rests(now) ? of.until() - now : 0ms;
    }
};

}  // namespace

TEST_CASE("a few looks that bring little are no flow") {
    looking some;
    for (int i = 1; i < outbox::pace::flow; ++i) some.look(1);
    CHECK(some.rest() == 0ms);
    some.look(1);
    CHECK(some.rest() == 4ms);
}

TEST_CASE("a rest is a multiple of what a look takes, and has an end") {
    looking some;
    for (int i = 0; i < outbox::pace::flow; ++i) some.look(1);
    some.look(1, 100us);
    CHECK(some.rest() == 400us);
    some.look(1, 1s);
    CHECK(some.rest() == outbox::pace::longest_rest);
    some.look(1, 0us);
    CHECK(some.rest() == 0ms);
}

TEST_CASE("a look that brings nothing, or much, ends the rests") {
    auto const brought = GENERATE(std::size_t{0}, std::size_t{25}, std::size_t{100});
    looking some;
    for (int i = 0; i < outbox::pace::flow; ++i) some.look(24);
    REQUIRE(some.rest() > 0ms);
    some.look(brought);
    CHECK(some.rest() == 0ms);
    some.look(24);
    CHECK(some.rest() == 0ms);
}
