// SPDX-License-Identifier: MIT
//
// Time, and the only place that waits. Nothing else in the library reads a clock or sleeps, so a
// test that brings a `manual_clock` decides what time it is.
#pragma once

#include <algorithm>
#include <chrono>
#include <memory>
#include <mutex>
#include <vector>

#include "outbox/wakeup.hpp"

namespace outbox {

using duration = std::chrono::microseconds;

/// A moment on the monotonic clock of this process: for deadlines.
struct monotonic_clock {
    using duration = std::chrono::microseconds;
    using rep = duration::rep;
    using period = duration::period;
    using time_point = std::chrono::time_point<monotonic_clock>;
    static constexpr bool is_steady = true;
};
using monotonic_time = monotonic_clock::time_point;

/// A moment of civil time, UTC.
using wall_time = std::chrono::sys_time<std::chrono::microseconds>;

/// The machine's clocks.
class system_clock {
public:
    [[nodiscard]] monotonic_time now() const noexcept {
        return monotonic_time{std::chrono::duration_cast<duration>(
            std::chrono::steady_clock::now().time_since_epoch())};
    }
    [[nodiscard]] wall_time wall() const noexcept {
        return std::chrono::time_point_cast<duration>(std::chrono::system_clock::now());
    }
    /// Returns at `until`, when `signal` is notified, or when `also` becomes readable.
    void wait(wakeup& signal, monotonic_time until, int also = -1) const noexcept {
        auto const left = std::max(until - now(), duration::zero());
        signal.wait(std::min<duration>(left, std::chrono::hours{24}), also);
    }
};

/// A clock that moves when told to. Copies share the same time. Thread-safe.
class manual_clock {
public:
    [[nodiscard]] monotonic_time now() const {
        std::lock_guard const lock{shared_->mutex};
        return monotonic_time{shared_->elapsed};
    }
    [[nodiscard]] wall_time wall() const {
        std::lock_guard const lock{shared_->mutex};
        return epoch + shared_->elapsed;
    }
    /// Moves the time forward and ends the waits that this makes due.
    void advance(duration by) {
        std::lock_guard const lock{shared_->mutex};
        shared_->elapsed += by;
        for (auto* signal : shared_->waiting) signal->notify();
    }
    void wait(wakeup& signal, monotonic_time until, int also = -1) const {
        {
            std::lock_guard const lock{shared_->mutex};
            if (monotonic_time{shared_->elapsed} >= until) return;
            shared_->waiting.push_back(&signal);
        }
        signal.wait(std::chrono::nanoseconds{-1}, also);
        std::lock_guard const lock{shared_->mutex};
        std::erase(shared_->waiting, &signal);
    }

private:
    // 2024-01-01: a date that a person recognises in a failing test.
    static constexpr wall_time epoch{std::chrono::seconds{1'704'067'200}};

    struct state {
        std::mutex mutex{};
        duration elapsed{0};
        std::vector<wakeup*> waiting{};
    };
    std::shared_ptr<state> shared_{std::make_shared<state>()};
};

}  // namespace outbox
