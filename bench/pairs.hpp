// SPDX-License-Identifier: MIT
//
// The pairs of storage and broker that are measured, as far as they are built. Servers are private
// ones, started at first use and stopped at the end.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "measure.hpp"

namespace bench {

struct pair {
    std::string name{};
    std::function<figures(load const&)> measure{};
};

[[nodiscard]] std::vector<pair> pairs();

}  // namespace bench
