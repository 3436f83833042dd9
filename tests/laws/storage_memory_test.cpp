// SPDX-License-Identifier: MIT
#include "outbox/storage/memory.hpp"

#include "outbox/testing/laws/storage_case.hpp"

namespace {

struct model {
    using storage_type = outbox::memory_storage;
    static constexpr bool concurrent = false;
    static constexpr std::size_t partitions = storage_type::partitions;
    static constexpr int random_sequences = 20'000;

    outbox::manual_clock clock{};
    storage_type all{clock};
    storage_type::connection first{};
    storage_type::connection second{};

    storage_type& storage() {
        return all;
    }
    storage_type::connection& own() {
        return first;
    }
    storage_type::connection& other() {
        return second;
    }
    void elapse(outbox::duration time) {
        clock.advance(time);
    }
    outbox::wall_time wall() {
        return clock.wall();
    }
};

}  // namespace

#include "outbox/testing/laws/storage_laws.hpp"
