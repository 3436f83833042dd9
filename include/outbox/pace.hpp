// SPDX-License-Identifier: MIT
//
// How soon a worker looks again while each look brings a little. A look for a handful costs the
// database, and so those who produce, as much as one for a hundred: under a steady flow a worker
// rests between its looks for some times as long as one takes. Pure: time comes in as an argument.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>

#include "outbox/clock.hpp"

namespace outbox {

class pace {
public:
    /// So many looks in a row that brought little are a flow.
    static constexpr int flow = 8;
    /// A rest is so many times as long as the look before it, within bounds that nobody notices.
    static constexpr int rest_for_look = 4;
    static constexpr duration longest_rest = std::chrono::milliseconds{5};

    /// A look that took so long brought so many records of those it would have taken.
    void looked(std::size_t brought, std::size_t most, duration took, monotonic_time now) {
        bool const little = brought > 0 && brought < most / 4;
        in_a_row_ = little ? std::min(in_a_row_ + 1, flow) : 0;
        bool const flows = in_a_row_ == flow;
        until_ = flows ? now + std::min<duration>(rest_for_look * took, longest_rest) : now;
    }
    [[nodiscard]] bool rests(monotonic_time now) const {
        return now < until_;
    }
    [[nodiscard]] monotonic_time until() const {
        return until_;
    }

private:
    int in_a_row_{0};
    monotonic_time until_{};
};

}  // namespace outbox
