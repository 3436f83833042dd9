// SPDX-License-Identifier: MIT
//
// What a session has read and not settled yet. Nearly always it comes in order of its numbers and
// goes in that order, too.
#pragma once

#include <algorithm>
#include <deque>
#include <iterator>

#include "outbox/record.hpp"

namespace outbox::sqlite {

class sequences_in_hand {
public:
    /// False when it is there already.
    bool add(sequence_number one) {
        if (all_.empty() || all_.back() < one) {
            all_.push_back(one);
            return true;
        }
        auto const at = std::ranges::lower_bound(all_, one);
        if (*at == one) return false;
        all_.insert(at, one);
        return true;
    }
    /// False when it is not there.
    bool remove(sequence_number one) {
        if (all_.empty()) return false;
        if (all_.front() == one) {
            all_.pop_front();
            return true;
        }
        auto const at = std::ranges::lower_bound(all_, one);
        if (at == all_.end() || *at != one) return false;
        all_.erase(at);
        return true;
    }
    void clear() {
        all_.clear();
    }
    [[nodiscard]] bool contains(sequence_number one) const {
        return std::ranges::binary_search(all_, one);
    }
    /// The last of the numbers that follow `one`, which is there, without a gap.
    [[nodiscard]] sequence_number end_of_run(sequence_number one) const {
        auto at = std::ranges::lower_bound(all_, one);
        while (std::next(at) != all_.end() && *std::next(at) == *at + 1) ++at;
        return *at;
    }

private:
    std::deque<sequence_number> all_{};  ///< sorted
};

}  // namespace outbox::sqlite
