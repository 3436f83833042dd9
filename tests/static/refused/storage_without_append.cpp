// SPDX-License-Identifier: MIT
//
// A storage that hides the verb that stores messages.
//
// says: a storage needs `append(transaction, std::span<draft const>)`
#include "outbox/storage/memory.hpp"

class storage : public outbox::memory_storage {
#ifndef REPAIRED
public:
    void append() = delete;
#endif
};

template <outbox::storage Storage>
void keep_in(Storage&) {}

int main() {
    storage mine;
    keep_in(mine);
}
