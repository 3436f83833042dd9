// SPDX-License-Identifier: MIT
//
// A storage whose session forgot the verb that settles and reads.
//
// says: a storage session needs `round_reply exchange(round_request const&)`
#include "outbox/concepts.hpp"

class session {
public:
    outbox::acquired acquire(outbox::acquire_request const&) {
        return {};
    }
#ifdef REPAIRED
    outbox::round_reply exchange(outbox::round_request const&) {
        return {};
    }
#endif
    void release(std::span<outbox::ending const>) {}
    [[nodiscard]] int descriptor() const {
        return -1;
    }
};

template <outbox::storage_session Session>
void work_with(Session&) {}

int main() {
    session mine;
    work_with(mine);
}
