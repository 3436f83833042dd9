// SPDX-License-Identifier: MIT
//
// What one round of a worker did, and whether the next one may follow at once.
#pragma once

#include <cstddef>

namespace outbox {

/// What one round did.
struct round_summary {
    std::size_t acquired{0};
    std::size_t read{0};
    std::size_t sent{0};
    std::size_t accepted{0};
    std::size_t failed{0};
    std::size_t settled{0};
    std::size_t released{0};
    std::size_t purged{0};
    std::size_t noticed{0};   ///< keys that an operator changed
    std::size_t searched{0};  ///< reads that brought nothing yet, and go on from there

    [[nodiscard]] bool progress() const {
        return acquired + read + sent + accepted + failed + settled + released + purged + noticed +
                   searched >
               0;
    }
};

}  // namespace outbox
