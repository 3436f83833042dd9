// SPDX-License-Identifier: MIT
//
// The relay under everything that can go wrong, thousands of times, each time another way; a seed
// that fails is named and tells the same story again. SIMULATION_SEEDS=N runs more of them,
// SIMULATION_FIRST=N begins there.
#include <cstdlib>
#include <iostream>

#include "support/catch.hpp"
#include "support/simulation/run.hpp"

namespace {

using namespace std::chrono_literals;

std::uint64_t number_from(char const* variable, std::uint64_t otherwise) {
    auto const* text = std::getenv(variable);
    return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

outbox::options settings_of(simulation::chance& random) {
    outbox::options settings;
    settings.poll_interval = std::chrono::milliseconds{20 + random.below(200)};
    settings.batch_size = static_cast<std::int32_t>(1 + random.below(12));
    settings.lease_duration = std::chrono::milliseconds{400 + random.below(800)};
    settings.max_attempts = static_cast<std::int32_t>(2 + random.below(4));
    settings.backoff_min = 5ms;
    settings.backoff_max = 100ms;
    settings.probe_max = 100ms;
    if (random.in_thousand(300)) settings.on_dead_letter = outbox::after_dead_letter::block;
    return settings;
}

/// Each kind of fault is off in every other run: some stories need calm elsewhere.
simulation::faults faults_of(simulation::chance& random) {
    auto const sometimes = [&](std::int64_t most) {
        return random.in_thousand(500) ? 1 + random.below(most) : 0;
    };
    return {.contention = sometimes(100),
            .fails_before = sometimes(20),
            .fails_after = sometimes(20),
            .stalls = sometimes(10),
            .slow = sometimes(100),
            .lost = sometimes(50),
            .doubtful = sometimes(50),
            .twice = sometimes(100),
            .breaks = sometimes(50),
            .kills = sometimes(3),
            .outages = sometimes(150),
            .stops = sometimes(100),
            .operators = sometimes(500),
            .poisons = sometimes(200)};
}

/// What went wrong, or nothing.
std::string story(std::uint64_t seed, std::map<std::string, int>& hits) {
    simulation::chance random{seed};
    auto const settings = settings_of(random);
    simulation::run at{seed ^ 0x5eed, settings, faults_of(random)};
    at.suffer(700);
    at.heal();
    bool const drained = at.drain(120s);
    at.judge();
    if (drained && at.all().violation.empty()) {
        at.idle(5s);
        auto const rounds = at.idle(20s);
        auto const fair = 4 * (20s / settings.poll_interval + 20) * 2;
        at.all().require(rounds <= fair, "idle workers took " + std::to_string(rounds) + " rounds");
    }
    for (auto const& [what, count] : at.all().hits) hits[what] += count;
    return at.all().violation;
}

}  // namespace

TEST_CASE("the relay keeps its guarantees whatever goes wrong around it") {
    auto const first = number_from("SIMULATION_FIRST", 1);
    auto const count = number_from("SIMULATION_SEEDS", 1'000);
    std::map<std::string, int> hits;
    std::map<std::string, int> wrong;
    for (auto seed = first; seed < first + count; ++seed) {
        auto const failed = story(seed, hits);
        if (failed.empty()) continue;
        if (++wrong[failed.substr(0, failed.find(": message"))] <= 3) {
            UNSCOPED_INFO("seed " << seed << ": " << failed);
        }
    }
    if (std::getenv("SIMULATION_HITS") != nullptr) {
        for (auto const& [what, times] : hits) std::cout << times << ' ' << what << '\n';
        for (auto const& [what, times] : wrong) std::cout << times << " WRONG " << what << '\n';
    }
    CHECK(wrong.empty());
}

TEST_CASE("the same seed tells the same story") {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        std::map<std::string, int> first;
        std::map<std::string, int> second;
        CHECK(story(seed, first) == story(seed, second));
        CHECK(first == second);
    }
}
