// SPDX-License-Identifier: MIT
//
// A small scenario with every single fault at every occasion, and with every pair of them: nothing
// is left to chance.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "outbox/testing/simulation.hpp"

namespace simulated {

namespace testing = outbox::testing;

/// Two workers, two keys, six messages.
inline testing::scenario canonical(testing::fault_plan plan) {
    using std::chrono::milliseconds;
    testing::scenario all{.seed = 7};
    all.settings.poll_interval = milliseconds{40};
    all.settings.batch_size = 4;
    all.settings.lease_duration = milliseconds{300};
    all.settings.backoff_min = milliseconds{5};
    all.settings.backoff_max = milliseconds{40};
    all.settings.probe_max = milliseconds{40};
    all.producers = 1;
    all.keys = 2;
    all.messages = 6;
    all.suffering = milliseconds{150};
    all.keyless = all.unordered = all.scheduled = all.rolled_back = 0;
    all.plan = std::move(plan);
    return all;
}

struct exhausted {
    std::int64_t singles{0};
    std::int64_t pairs{0};
    std::int64_t calls{0};
    std::vector<std::string> violations{};
};

class exhaustion {
public:
    /// `progress` is told now and then how many runs there were.
    explicit exhaustion(std::function<void(std::int64_t)> progress)
        : progress_{std::move(progress)} {}

    [[nodiscard]] exhausted const& run(bool pairs) {
        testing::fault_plan plan;
        for_each_next(plan, [&](auto const& single) {
            ++found_.singles;
            if (!pairs) return static_cast<void>(occasions_of(single));
            for_each_next(single, [&](auto const& pair) {
                ++found_.pairs;
                static_cast<void>(occasions_of(pair));
            });
        });
        return found_;
    }

private:
    /// Runs the plan, and then calls `visit` with the plan and each one more fault behind it.
    template <class Visit>
    void for_each_next(testing::fault_plan const& plan, Visit const& visit) {
        auto const occasions = occasions_of(plan);
        auto const from = plan.empty() ? 0 : plan.back().at;
        for (auto at = from; at < occasions.size(); ++at) {
            for (auto const& kind : testing::fault_kinds) {
                if (kind.where != occasions[at]) continue;
                auto longer = plan;
                longer.push_back({at + 1, kind.what});
                visit(longer);
            }
        }
    }
    std::vector<testing::occasion> occasions_of(testing::fault_plan const& plan) {
        testing::simulation one{canonical(plan)};
        one.run();
        found_.calls += one.calls();
        if (++runs_ % 1'000 == 0) progress_(runs_);
        if (!one.violation().empty()) {
            std::string told = one.violation() + ", with";
            for (auto const& fault : plan) {
                told += " [" + std::string{testing::kind_of(fault.what)->name} + " at occasion " +
                        std::to_string(fault.at) + "]";
            }
            found_.violations.push_back(std::move(told));
        }
        return one.occasions();
    }

    std::function<void(std::int64_t)> progress_;
    exhausted found_{};
    std::int64_t runs_{0};
};

}  // namespace simulated
