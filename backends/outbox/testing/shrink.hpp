// SPDX-License-Identifier: MIT
//
// From a long story that ends badly to a short one that ends in the same way: fewer faults first,
// then fewer who take part.
#pragma once

#include <string>
#include <utility>

#include "outbox/testing/simulation.hpp"

namespace outbox::testing {

class shrinking {
public:
    /// `failing` must break something.
    explicit shrinking(scenario const& failing) : best_{failing} {
        simulation first{failing};
        first.run();
        guarantee_ = guarantee_of(first.violation());
        if (!best_.plan) best_.plan = first.plan();
    }
    /// The shortest that was found.
    [[nodiscard]] scenario const& run() {
        for (bool smaller = true; smaller;) {
            smaller = drop_faults();
            smaller = drop_people() || smaller;
        }
        return best_;
    }

private:
    static std::string guarantee_of(std::string const& violation) {
        return violation.substr(0, violation.find(':'));
    }
    bool accept(scenario const& candidate) {
        simulation one{candidate};
        one.run();
        if (one.violation().empty() || guarantee_of(one.violation()) != guarantee_) return false;
        best_ = candidate;
        return true;
    }
    /// In ever smaller pieces (Zeller's delta debugging).
    bool drop_faults() {
        bool dropped = false;
        for (auto piece = best_.plan->size(); piece > 0; piece /= 2) {
            for (std::size_t from = 0; from < best_.plan->size();) {
                fault_plan fewer;
                for (std::size_t i = 0; i < best_.plan->size(); ++i) {
                    if (i < from || i >= from + piece) fewer.push_back((*best_.plan)[i]);
                }
                auto candidate = best_;
                candidate.plan = std::move(fewer);
                if (accept(candidate)) {
                    dropped = true;
                } else {
                    from += piece;
                }
            }
        }
        return dropped;
    }
    template <class Number>
    bool lower(Number scenario::*what, Number least) {
        bool lowered = false;
        while (best_.*what > least) {
            auto candidate = best_;
            candidate.*what = std::max(least, static_cast<Number>(best_.*what / 2));
            if (!accept(candidate)) {
                candidate.*what = best_.*what - 1;
                if (!accept(candidate)) break;
            }
            lowered = true;
        }
        return lowered;
    }
    bool drop_people() {
        bool lowered = lower(&scenario::messages, 1);
        lowered = lower(&scenario::workers, 1) || lowered;
        lowered = lower(&scenario::producers, 1) || lowered;
        lowered = lower(&scenario::keys, 1) || lowered;
        for (auto const share : {&scenario::poisoned, &scenario::scheduled, &scenario::unordered,
                                 &scenario::keyless, &scenario::rolled_back}) {
            if (best_.*share == 0) continue;
            auto candidate = best_;
            candidate.*share = 0;
            lowered = accept(candidate) || lowered;
        }
        return lowered;
    }

    scenario best_;
    std::string guarantee_{};
};

}  // namespace outbox::testing
