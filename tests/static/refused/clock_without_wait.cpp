// SPDX-License-Identifier: MIT
//
// A clock that tells time and cannot wait.
//
// says: a clock needs `wait(wakeup&, monotonic_time until, int also)`
#include "outbox/concepts.hpp"

class clock_of_a_tower {
public:
    [[nodiscard]] outbox::monotonic_time now() const {
        return {};
    }
    [[nodiscard]] outbox::wall_time wall() const {
        return {};
    }
#ifdef REPAIRED
    void wait(outbox::wakeup&, outbox::monotonic_time, int) const {}
#endif
};

template <outbox::clock Clock>
void wait_by(Clock const&) {}

int main() {
    wait_by(clock_of_a_tower{});
}
