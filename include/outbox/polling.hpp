// SPDX-License-Identifier: MIT
//
// When a worker looks for work: at once after a commit in its process; soon, and ever more slowly,
// after a hint that somebody may commit; and every poll interval in any case. Being told by other
// processes is for quiet times. Pure: time comes in as an argument.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "outbox/clock.hpp"

namespace outbox {

class polling {
public:
    explicit polling(duration interval) : interval_{interval} {}

    /// After a hint: 1, 2, 4 … 64 ms, then the interval. A producer that commits by other means
    /// than our guard does so within milliseconds, or takes its time.
    static constexpr duration first_step = std::chrono::milliseconds{1};
    static constexpr duration last_step = std::chrono::milliseconds{64};

    void hint(monotonic_time now) {
        step_ = first_step;
        next_ = std::min(next_, now + step_);
    }
    /// Others are about to give something back: look again sooner than usual.
    void hurry(monotonic_time at) {
        next_ = std::min(next_, at);
    }
    /// True when it is time to look; the next time is set.
    [[nodiscard]] bool is_due(monotonic_time now) {
        if (now < next_) return false;
        auto wait = interval_;
        if (step_ > duration::zero()) {
            step_ = step_ < last_step ? 2 * step_ : duration::zero();
            if (step_ > duration::zero()) wait = std::min(wait, step_);
        }
        next_ = now + wait;
        return true;
    }
    [[nodiscard]] monotonic_time next() const {
        return next_;
    }

private:
    duration interval_;
    duration step_{0};
    monotonic_time next_{};
};

/// How many announcements a worker listens to: a few at once, and in the long run so many a second
/// as cost producers nothing that they would notice. Beyond that it looks by itself.
class announcements {
public:
    static constexpr std::int64_t at_once = 16;
    static constexpr duration each = std::chrono::milliseconds{2};

    void hear(std::size_t count, monotonic_time now) {
        forgotten_at_ = std::max(forgotten_at_, now) + static_cast<std::int64_t>(count) * each;
    }
    [[nodiscard]] bool too_many(monotonic_time now) const {
        return forgotten_at_ > now + at_once * each;
    }

private:
    monotonic_time forgotten_at_{};
};

}  // namespace outbox
