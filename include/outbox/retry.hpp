// SPDX-License-Identifier: MIT
//
// What a receipt means for a message: the rules, as pure functions.
#pragma once

#include <algorithm>
#include <cstdint>

#include "outbox/clock.hpp"
#include "outbox/options.hpp"
#include "outbox/settlement.hpp"

namespace outbox {

/// The wait after the n-th failure (n >= 1): `low` doubled n - 1 times, at most `high`, and of that
/// between one half and all, so that those who failed together do not come back together.
[[nodiscard]] constexpr duration backoff(std::int32_t failures, duration low, duration high,
                                         std::uint64_t random) {
    auto full = low;
    for (std::int32_t i = 1; i < failures && full < high; ++i) full *= 2;
    full = std::min(full, high);
    auto const half = full / 2;
    auto const spread = static_cast<std::uint64_t>((full - half).count()) + 1;
    return half + duration{static_cast<std::int64_t>(random % spread)};
}

enum class verdict : std::uint8_t {
    publish,  ///< settle it as published
    again,    ///< soon, with the same id; nobody's fault
    retry,    ///< counts as an attempt; wait, and try again
    bury,     ///< counts as an attempt, and was the last
    pause,    ///< the broker cannot be used: send nothing, count nothing
};

/// What to do about a message of `attempts` counted failures after this outcome. `others_pass`: a
/// message that was sent after this one has been accepted, so that the broker is not the cause.
[[nodiscard]] constexpr verdict judge(outcome what, std::int32_t attempts, bool others_pass,
                                      std::int32_t max_attempts) {
    auto const counted = attempts + 1 >= max_attempts ? verdict::bury : verdict::retry;
    switch (what) {
        case outcome::accepted: return verdict::publish;
        case outcome::refused: return verdict::bury;
        case outcome::rejected: return counted;
        case outcome::unroutable: return others_pass ? counted : verdict::pause;
        case outcome::unknown: return others_pass ? counted : verdict::again;
        case outcome::unavailable: return verdict::pause;
        case outcome::out_of_order: return verdict::again;
    }
    return verdict::pause;
}

}  // namespace outbox
