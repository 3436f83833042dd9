// SPDX-License-Identifier: MIT
//
// What a message costs must not depend on how many wait, on who else works, or on dead rows.
#include "goals/flat.hpp"

#include <iterator>

namespace bench::goals {

family flat_family(std::shared_ptr<servers> const& on, load const& wanted) {
    family all{.name = "flat"};
    for (auto& part : {flat_backlog(on, wanted), flat_workers(on, wanted),
                       flat_troubled_keys(on, wanted), flat_horizon(on, wanted)}) {
        std::ranges::copy(part.goals, std::back_inserter(all.goals));
        std::ranges::copy(part.measurements, std::back_inserter(all.measurements));
    }
    return all;
}

}  // namespace bench::goals
