// SPDX-License-Identifier: MIT
//
// What a look at the table can see: which transactions had ended, and which of those that had not
// are likely to stay. Pure: numbers in, numbers out.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <vector>

#include "outbox/record.hpp"

namespace outbox::postgres {

/// PostgreSQL's 64-bit transaction ids; they never wrap.
using transaction_id = std::uint64_t;

/// All transactions below `horizon` had ended, and of those below `next` all but the open ones.
struct sight {
    transaction_id horizon{0};
    transaction_id next{0};
    std::vector<transaction_id> open{};  ///< sorted
    /// The open ones below it are taken to stay open.
    transaction_id recent{std::numeric_limits<transaction_id>::max()};
    /// Numbers up to it had been drawn by the time of the look.
    sequence_number head{0};

    /// Whether one that an earlier look saw open had ended.
    [[nodiscard]] bool has_ended(transaction_id one) const {
        return !std::ranges::binary_search(open, one);
    }
};

/// Remembers who was open at the last looks: who still is after several is taken to stay.
class lasting_transactions {
public:
    /// The lowest of those that are open now and may end soon.
    [[nodiscard]] transaction_id recent(std::vector<transaction_id> const& open) {
        looks_.push_back(open);
        if (looks_.size() > looks_to_last) looks_.pop_front();
        auto const& then = looks_.front();
        for (auto const one : open) {
            if (looks_.size() < looks_to_last || !std::ranges::binary_search(then, one)) return one;
        }
        return std::numeric_limits<transaction_id>::max();
    }

private:
    /// Under load a look comes every few milliseconds, and the transactions of producers end by the
    /// next one or two.
    static constexpr std::size_t looks_to_last = 8;

    std::deque<std::vector<transaction_id>> looks_{};
};

}  // namespace outbox::postgres
