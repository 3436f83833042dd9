// SPDX-License-Identifier: MIT
//
// Many seeds, one after the other or on several threads: what they came to in sum.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "outbox/testing/simulation.hpp"

namespace simulated {

namespace testing = outbox::testing;

struct sum {
    struct failure {
        std::uint64_t seed{0};
        std::string violation{};
    };

    std::uint64_t seeds{0};
    std::int64_t calls{0};
    outbox::duration simulated{0};
    std::uint64_t hash{0};  ///< of all, in whatever order they ended
    std::map<std::string, std::int64_t> marks{};
    std::map<std::string, std::int64_t> faults{};
    std::vector<failure> failures{};

    void add(std::uint64_t seed, testing::simulation const& one) {
        ++seeds;
        calls += one.calls();
        simulated += one.simulated();
        hash += one.log().hash();
        for (auto const& [what, count] : one.log().marks()) marks[std::string{what}] += count;
        for (auto const& fault : one.plan()) {
            ++faults[std::string{testing::kind_of(fault.what)->name}];
        }
        if (!one.violation().empty()) failures.push_back({seed, one.violation()});
    }
};

struct assignment {
    std::uint64_t first{1};
    std::uint64_t count{1'000};
    unsigned threads{1};
    bool calm{false};         ///< without faults
    bool until_first{false};  ///< no further than to the first failure
};

/// `progress` is told now and then how many are done.
inline sum run_seeds(assignment const& of, std::function<void(std::uint64_t)> const& progress) {
    sum all;
    std::mutex mutex;
    std::atomic<std::uint64_t> next{0};
    auto const work = [&] {
        for (auto at = next++; at < of.count; at = next++) {
            auto const seed = of.first + at;
            testing::simulation one{of.calm ? testing::calm_scenario_of(seed)
                                            : testing::scenario_of(seed)};
            one.run();
            std::lock_guard const lock{mutex};
            all.add(seed, one);
            if (of.until_first && !all.failures.empty()) next = of.count;
            if (all.seeds % 500 == 0) progress(all.seeds);
        }
    };
    std::vector<std::thread> others;
    for (unsigned i = 1; i < of.threads; ++i) others.emplace_back(work);
    work();
    for (auto& one : others) one.join();
    return all;
}

}  // namespace simulated
