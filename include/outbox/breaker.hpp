// SPDX-License-Identifier: MIT
//
// Keeps a worker from hammering what is down: after a failure it waits, longer each time, then lets
// one probe through. Pure: time comes in as an argument.
#pragma once

#include <algorithm>
#include <cstdint>

#include "outbox/clock.hpp"
#include "outbox/retry.hpp"

namespace outbox {

class breaker {
public:
    breaker(duration low, duration high) : low_{low}, high_{high} {}

    /// True while nothing may be tried but, once `next_try` has come, a single probe.
    [[nodiscard]] bool open() const {
        return failures_ > 0;
    }
    [[nodiscard]] bool may_try(monotonic_time now) const {
        return failures_ == 0 || now >= probe_at_;
    }
    /// When something may be tried; in the past while it is closed.
    [[nodiscard]] monotonic_time next_try() const {
        return open() ? probe_at_ : monotonic_time::min();
    }

    /// Returns the wait until the next probe.
    duration fail(monotonic_time now, std::uint64_t random) {
        failures_ = std::min(failures_ + 1, 1'000);
        auto const wait = backoff(failures_, low_, high_, random);
        probe_at_ = now + wait;
        return wait;
    }
    /// Returns true when it was open.
    bool succeed() {
        bool const was_open = open();
        failures_ = 0;
        return was_open;
    }

private:
    duration low_;
    duration high_;
    monotonic_time probe_at_{};
    std::int32_t failures_{0};
};

}  // namespace outbox
