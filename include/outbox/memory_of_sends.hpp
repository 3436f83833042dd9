// SPDX-License-Identifier: MIT
//
// What a worker still knows of messages that were on their way when it lost its storage session.
// When such a record is read again, an acknowledged one is settled instead of sent, and one that is
// still in flight is awaited instead of sent twice. A replay of what was accepted less than a lease
// ago may be taken for the delivery that it repeats.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "outbox/record.hpp"
#include "outbox/settlement.hpp"

namespace outbox {

class memory_of_sends {
public:
    struct sending {
        message_id id{};
        std::int32_t generation{0};
        attempt_token token{0};
        monotonic_time sent_at{};
        bool accepted{false};
    };

    [[nodiscard]] bool empty() const {
        return known_.empty();
    }
    void remember(sending const& one) {
        known_.push_back(one);
    }
    /// A receipt for an attempt of an earlier tenure: unless it was accepted, it is as if never
    /// sent.
    void answer(attempt_token token, bool accepted) {
        if (known_.empty()) return;
        if (accepted) {
            for (auto& one : known_) one.accepted = one.accepted || one.token == token;
        } else {
            std::erase_if(known_,
                          [&](sending const& one) { return one.token == token && !one.accepted; });
        }
    }
    /// The attempt of this record, forgotten here from now on.
    [[nodiscard]] std::optional<sending> recall(record const& of) {
        if (known_.empty()) return std::nullopt;
        auto const found = std::ranges::find_if(known_, [&](sending const& one) {
            return one.id == of.id && one.generation == of.generation;
        });
        if (found == known_.end()) return std::nullopt;
        auto const recalled = *found;
        known_.erase(found);
        return recalled;
    }
    /// The channel broke: what was not accepted by now never will be.
    void forget_unaccepted() {
        std::erase_if(known_, [](sending const& one) { return !one.accepted; });
    }
    /// After its lease, another worker may have settled it long ago.
    void forget_before(monotonic_time sent_at) {
        std::erase_if(known_, [&](sending const& one) { return one.sent_at < sent_at; });
    }

private:
    std::vector<sending> known_{};
};

}  // namespace outbox
