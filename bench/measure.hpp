// SPDX-License-Identifier: MIT
//
// What all measurements share: how long something took, and the middle of several figures.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <vector>

namespace bench {

[[nodiscard]] inline double median(std::vector<double> all) {
    std::sort(all.begin(), all.end());
    auto const middle = all.size() / 2;
    return all.size() % 2 == 1 ? all[middle] : (all[middle - 1] + all[middle]) / 2;
}

template <class Work>
double seconds(Work&& work) {
    auto const start = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace bench
