// SPDX-License-Identifier: MIT
//
// A slice of the simulation, small enough for every day; `./dev prove simulation` runs all of it.
// SIMULATION_SEEDS=N runs more seeds, SIMULATION_FIRST=N begins there.
#include <cstdlib>

#include "outbox/testing/catch.hpp"
#include "outbox/testing/shrink.hpp"
#include "simulation/exhaustive.hpp"
#include "simulation/seeds.hpp"

namespace {

namespace testing = outbox::testing;

std::uint64_t number_from(char const* variable, std::uint64_t otherwise) {
    auto const* text = std::getenv(variable);
    return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

simulated::sum few_seeds(std::uint64_t first, std::uint64_t count) {
    return simulated::run_seeds({.first = first, .count = count}, [](auto) {});
}

/// Each was wrong once; the faults that they draw have changed since, the topologies have not.
constexpr std::array<std::uint64_t, 5> remembered{176, 404, 476, 995, 1'309};

}  // namespace

TEST_CASE("the relay keeps its guarantees whatever goes wrong around it") {
    auto const all =
        few_seeds(number_from("SIMULATION_FIRST", 1), number_from("SIMULATION_SEEDS", 1'000));
    for (auto const& one : all.failures) {
        UNSCOPED_INFO("seed " << one.seed << ": " << one.violation);
    }
    CHECK(all.failures.empty());
    CHECK(all.calls > 0);
}

TEST_CASE("seeds that failed once are run for ever") {
    for (auto const seed : remembered) {
        testing::simulation one{testing::scenario_of(seed)};
        one.run();
        CHECK(one.violation().empty());
    }
}

TEST_CASE("the same seed tells the same story") {
    auto const first = few_seeds(1, 20);
    auto const second = few_seeds(1, 20);
    CHECK(first.hash == second.hash);
    CHECK(first.hash != few_seeds(2, 20).hash);
}

TEST_CASE("a story that is told by its plan is the story that was drawn") {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        auto told = testing::scenario_of(seed);
        testing::simulation drawn{told};
        drawn.run();
        told.plan = drawn.plan();
        testing::simulation planned{told};
        planned.run();
        CHECK(planned.log().hash() == drawn.log().hash());
    }
}

TEST_CASE("every single fault at every occasion of a small scenario") {
    simulated::exhaustion all{[](auto) {}};
    auto const& found = all.run(false);
    for (auto const& one : found.violations) UNSCOPED_INFO(one);
    CHECK(found.violations.empty());
    CHECK(found.singles > 200);
}
