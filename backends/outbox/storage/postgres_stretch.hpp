// SPDX-License-Identifier: MIT
//
// How much a look may go through anew at once: dead rows cost what the server's memory and disk
// make of them, and an exchange must not take long. Pure.
#pragma once

#include <algorithm>
#include <chrono>

#include "outbox/clock.hpp"
#include "outbox/record.hpp"

namespace outbox::postgres {

class stretch {
public:
    /// So many numbers, of all partitions.
    [[nodiscard]] sequence_number numbers() const {
        return numbers_;
    }
    /// A look went through all of it, in this time.
    void walked(duration took) {
        if (took < quick) numbers_ = std::min(2 * numbers_, most);
        if (took > slow) numbers_ = std::max(numbers_ / 2, least);
    }
    /// What comes next may lie elsewhere.
    void ended() {
        numbers_ = std::min(numbers_, first);
    }

private:
    static constexpr duration quick = std::chrono::milliseconds{50};
    static constexpr duration slow = std::chrono::milliseconds{200};
    static constexpr sequence_number least = 4'096;
    /// Some three thousand pages of rows of a few hundred bytes: half a second of a slow disk.
    static constexpr sequence_number first = 65'536;
    static constexpr sequence_number most = sequence_number{1} << 40;

    sequence_number numbers_{first};
};

}  // namespace outbox::postgres
