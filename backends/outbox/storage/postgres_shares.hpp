// SPDX-License-Identifier: MIT
//
// How a read is divided among the partitions. Records created one after the other lie on the same
// pages, and those of one partition far apart. So partitions with a backlog advance side by side:
// what is read and removed together then lies together, and each page is gone through once. Pure:
// numbers in, numbers out.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "outbox/record.hpp"

namespace outbox::postgres {

/// As migrations/postgres/0001 creates them.
inline constexpr std::int64_t partitions_of_a_table = 64;

/// At most how many records a read of `limit` takes of each partition, whose `fronts` say how far
/// it has been read; nothing for one without a backlog, which gives what little it has. Who lags
/// behind the middle by so many numbers lags by a 64th of that in records, as far as these are
/// spread evenly, and catches up. Yet nobody waits for another one's backlog: each advances by half
/// a fair share at least, and none takes more than two.
[[nodiscard]] inline std::vector<std::int64_t> divide_read(
    std::int64_t limit, std::vector<std::optional<sequence_number>> const& fronts) {
    std::vector<sequence_number> behind;
    for (auto const& front : fronts) {
        if (front) behind.push_back(*front);
    }
    std::vector<std::int64_t> shares(fronts.size(), limit);
    if (behind.empty()) return shares;
    auto const count = static_cast<std::int64_t>(behind.size());
    auto const share = (limit + count - 1) / count;
    auto const middle = behind.begin() + count / 2;
    std::ranges::nth_element(behind, middle);
    for (std::size_t i = 0; i < fronts.size(); ++i) {
        if (!fronts[i]) continue;
        auto const lag = (*middle - *fronts[i]) / partitions_of_a_table;
        shares[i] = std::clamp(share + lag, (share + 1) / 2, 2 * share);
    }
    return shares;
}

}  // namespace outbox::postgres
