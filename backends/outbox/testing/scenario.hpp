// SPDX-License-Identifier: MIT
//
// What a simulated run begins with: who takes part, what they want, what may go wrong. Drawn from a
// seed, or written by hand.
#pragma once

#include <optional>

#include "outbox/options.hpp"
#include "outbox/testing/faults.hpp"

namespace outbox::testing {

struct scenario {
    std::uint64_t seed{0};
    options settings{};
    int workers{2};
    int producers{2};
    int keys{4};                                  ///< beside messages without a key
    int messages{30};                             ///< enqueued while things go wrong
    duration suffering{std::chrono::seconds{2}};  ///< for so long at the least
    std::int64_t keyless{300};                    ///< of a thousand messages
    std::int64_t unordered{150};
    std::int64_t scheduled{50};
    std::int64_t poisoned{0};
    std::int64_t rolled_back{100};  ///< of a thousand transactions
    duration published_retention{std::chrono::hours{1}};
    fault_weights weights{};
    /// Instead of the weights.
    std::optional<fault_plan> plan{};
};

/// Small topologies, short leases: much happens in little time. In every other run no message is
/// poisoned, and none may die.
[[nodiscard]] inline scenario scenario_of(std::uint64_t seed) {
    using std::chrono::milliseconds;
    chance random{seed * 0x2545F4914F6CDD1DU + 1};
    scenario all{.seed = seed};
    auto& settings = all.settings;
    settings.poll_interval = milliseconds{20 + random.below(200)};
    settings.batch_size = static_cast<std::int32_t>(1 + random.below(12));
    settings.lease_duration = milliseconds{400 + random.below(800)};
    settings.backoff_min = milliseconds{5};
    settings.backoff_max = milliseconds{100};
    settings.probe_max = milliseconds{100};
    if (random.in_thousand(200)) settings.batch_bytes = 1'024;
    if (random.in_thousand(300)) settings.on_dead_letter = after_dead_letter::block;
    all.workers = static_cast<int>(1 + random.below(3));
    all.producers = static_cast<int>(1 + random.below(3));
    all.keys = static_cast<int>(1 + random.below(4));
    all.messages = static_cast<int>(5 + random.below(25));
    all.suffering = milliseconds{500 + random.below(1'500)};
    all.weights = swarm(random);
    if (random.in_thousand(500)) {
        all.poisoned = 1 + random.below(200);
        settings.max_attempts = static_cast<std::int32_t>(2 + random.below(4));
        settings.max_deaths = static_cast<std::int32_t>(1 + random.below(3));
        // What waits for its hour is not delivered when the run ends.
        settings.burials_an_hour = 1'000;
    }
    if (random.in_thousand(200)) all.published_retention = std::chrono::seconds{1};
    if (random.in_thousand(300)) {
        // One order, much of it in flight at once. Nothing passes what is stuck there, so that
        // nobody could tell a message that nothing takes from a broker that takes nothing.
        all.poisoned = 0;
        settings.max_attempts = options{}.max_attempts;
        settings.max_deaths = options{}.max_deaths;
        all.keys = 1;
        all.keyless = random.in_thousand(500) ? 1'000 : 0;
        all.unordered = 0;
        all.scheduled = 0;
        all.messages = static_cast<int>(30 + random.below(40));
        settings.batch_size = static_cast<std::int32_t>(4 + random.below(12));
    }
    return all;
}

/// The same people, and nothing goes wrong.
[[nodiscard]] inline scenario calm_scenario_of(std::uint64_t seed) {
    auto all = scenario_of(seed);
    all.weights = {};
    all.poisoned = 0;
    return all;
}

}  // namespace outbox::testing
