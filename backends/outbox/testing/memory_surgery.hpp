// SPDX-License-Identifier: MIT
//
// What no caller of the memory storage can do, and a crash of a database can: a published message
// is as if it had never been settled.
#pragma once

#include <string>
#include <utility>

#include "outbox/storage/memory.hpp"

namespace outbox::testing {

struct memory_surgery {
    /// Returns whether the message was there, stamped.
    template <class Clock>
    static bool unpublish(basic_memory_storage<Clock>& of, message_id const& id,
                          record_state before) {
        auto& state = *of.state_;
        std::lock_guard const lock{state.mutex};
        auto node = state.published.extract(id);
        if (node.empty()) return false;
        auto message = std::move(node.mapped());
        message.head.state = before;
        message.in_hand = 0;
        message.due = state.clock.now();
        auto& p = state.all[static_cast<std::size_t>(message.head.partition)];
        auto const sequence = message.head.sequence;
        auto& home =
            before == record_state::ready ? p.ready : p.retrying[std::string{message.head.key}];
        home.emplace(sequence, std::move(message));
        return true;
    }
};

}  // namespace outbox::testing
