// SPDX-License-Identifier: MIT
//
// What can go wrong, where, and how often. Each policy call is a numbered occasion; a plan says at
// which of them something happens. A run that draws its faults by chance writes such a plan, so
// that it can be told again with fewer of them.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "outbox/testing/stage.hpp"

namespace outbox::testing {

enum class fault : std::uint8_t {
    none,
    contention,    // of a call to the storage
    fails_before,  // the request is lost
    fails_after,   // the answer is lost
    straggles,     // given up by the worker, and done by the storage later
    slow_call,
    stalls_before,  // the worker's process stands still, beyond its lease perhaps
    stalls_after,
    killed_before,
    killed_after,
    lands_late,  // of a message that is sent
    receipt_lost,
    doubtful_landed,
    doubtful_gone,
    receipt_twice,
    channel_broke,
    rejected,
    killed_sending,
    storage_down,     // at any time
    storage_crashed,  // what was not yet durable is forgotten
    broker_down,
    broker_swallows,
    broker_unready,
    broker_routeless,
    worker_stops,
    operator_acts,
    clock_jumps,  // civil time; nothing may depend on it
};

/// Where a fault can strike.
enum class occasion : std::uint8_t { storage_call, sending, tick };

struct fault_kind {
    fault what;
    occasion where;
    std::string_view name;
    std::int64_t most;  ///< in a thousand occasions, in a run that is rich in it
};

inline constexpr std::array fault_kinds{
    fault_kind{fault::contention, occasion::storage_call, "contention", 100},
    fault_kind{fault::fails_before, occasion::storage_call, "request lost", 20},
    fault_kind{fault::fails_after, occasion::storage_call, "answer lost", 20},
    fault_kind{fault::straggles, occasion::storage_call, "request straggles", 20},
    fault_kind{fault::slow_call, occasion::storage_call, "slow answer", 30},
    fault_kind{fault::stalls_before, occasion::storage_call, "stall before a call", 10},
    fault_kind{fault::stalls_after, occasion::storage_call, "stall after a call", 10},
    fault_kind{fault::killed_before, occasion::storage_call, "kill before a call", 4},
    fault_kind{fault::killed_after, occasion::storage_call, "kill after a call", 4},
    fault_kind{fault::lands_late, occasion::sending, "copy lands late", 150},
    fault_kind{fault::receipt_lost, occasion::sending, "receipt lost", 50},
    fault_kind{fault::doubtful_landed, occasion::sending, "in doubt, and landed", 30},
    fault_kind{fault::doubtful_gone, occasion::sending, "in doubt, and gone", 30},
    fault_kind{fault::receipt_twice, occasion::sending, "receipt comes twice", 100},
    fault_kind{fault::channel_broke, occasion::sending, "channel breaks", 50},
    fault_kind{fault::rejected, occasion::sending, "rejected once", 40},
    fault_kind{fault::killed_sending, occasion::sending, "kill after a send", 8},
    fault_kind{fault::storage_down, occasion::tick, "storage down", 60},
    fault_kind{fault::storage_crashed, occasion::tick, "storage crash", 80},
    fault_kind{fault::broker_down, occasion::tick, "broker down", 60},
    fault_kind{fault::broker_swallows, occasion::tick, "broker swallows", 40},
    fault_kind{fault::broker_unready, occasion::tick, "broker refuses all", 40},
    fault_kind{fault::broker_routeless, occasion::tick, "broker routes nothing", 40},
    fault_kind{fault::worker_stops, occasion::tick, "worker stops", 80},
    fault_kind{fault::operator_acts, occasion::tick, "operator acts", 150},
    fault_kind{fault::clock_jumps, occasion::tick, "civil clock jumps", 60},
};

[[nodiscard]] constexpr fault_kind const* kind_of(fault what) {
    for (auto const& one : fault_kinds) {
        if (one.what == what) return &one;
    }
    return nullptr;
}

/// In a thousand occasions, by the order of `fault_kinds`.
using fault_weights = std::array<std::int64_t, fault_kinds.size()>;

/// Each kind is off in every other run: some stories need calm elsewhere.
[[nodiscard]] inline fault_weights swarm(chance& random) {
    fault_weights weights{};
    for (std::size_t i = 0; i < weights.size(); ++i) {
        if (random.in_thousand(500)) weights[i] = 1 + random.below(fault_kinds[i].most);
    }
    return weights;
}

struct planned_fault {
    std::uint64_t at{0};  ///< the number of the occasion
    fault what{fault::none};

    friend bool operator==(planned_fault const&, planned_fault const&) = default;
};
using fault_plan = std::vector<planned_fault>;

/// Decides what happens at each occasion: by weights until they are taken away, or by a plan.
class fortune {
public:
    fortune(std::uint64_t seed, fault_weights const& weights)
        : seed_{seed}, random_{seed}, weights_{weights} {}
    fortune(std::uint64_t seed, fault_plan plan)
        : seed_{seed}, random_{seed}, given_{true}, plan_{std::move(plan)} {}

    [[nodiscard]] fault strike(occasion where) {
        if (calm_) return fault::none;
        occasions_.push_back(where);
        auto const number = occasions_.size();
        if (given_) {
            while (next_ < plan_.size() && plan_[next_].at < number) ++next_;
            if (next_ == plan_.size() || plan_[next_].at != number) return fault::none;
            auto const* kind = kind_of(plan_[next_].what);
            return kind != nullptr && kind->where == where ? kind->what : fault::none;
        }
        auto left = random_.below(1'000);
        for (std::size_t i = 0; i < weights_.size(); ++i) {
            if (fault_kinds[i].where != where) continue;
            left -= weights_[i];
            if (left >= 0) continue;
            plan_.push_back({number, fault_kinds[i].what});
            return fault_kinds[i].what;
        }
        return fault::none;
    }
    /// Sizes of what strikes now: the same for this occasion, whatever struck before.
    [[nodiscard]] chance sizes() const {
        return chance{seed_ ^ (occasions_.size() * 0x9E3779B97F4A7C15U)};
    }
    /// From now on nothing strikes.
    void heal() {
        calm_ = true;
    }
    /// All that there were, in order, until the healing.
    [[nodiscard]] std::vector<occasion> const& occasions() const {
        return occasions_;
    }
    /// What struck, or was to strike.
    [[nodiscard]] fault_plan const& plan() const {
        return plan_;
    }

private:
    std::uint64_t seed_;
    chance random_;
    fault_weights weights_{};
    bool given_{false};
    bool calm_{false};
    fault_plan plan_{};
    std::size_t next_{0};
    std::vector<occasion> occasions_{};
};

}  // namespace outbox::testing
