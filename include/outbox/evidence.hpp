// SPDX-License-Identifier: MIT
//
// What speaks against a message whose failure may just as well be the environment's: it was in
// flight each time the connection broke, or nothing took its topic while others were taken. Kept by
// name across retries and tenures, in memory alone: forgetting costs another try, never a message.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>

#include "outbox/message_id.hpp"
#include "outbox/settlement.hpp"

namespace outbox {

class evidence {
public:
    /// Breaks that a message may be in flight at, with others accepted in between, before it is
    /// sent alone.
    static constexpr std::int32_t breaks_forgiven = 3;

    /// Nothing took the topic of this message, sent as `token`. Returns whether that is its own
    /// fault: something that was sent after its first such failure has been accepted. What was
    /// held against it once is not held against it again.
    [[nodiscard]] bool unroutable(message_id const& id, attempt_token token,
                                  attempt_token latest_accepted) {
        auto& since = find(id).unroutable_since;
        if (since == 0) since = token;
        if (latest_accepted <= since) return false;
        since = std::max(token, latest_accepted);
        return true;
    }
    /// The connection broke while this message was in flight as `token`, and nothing else if
    /// `alone`. Returns whether that is its own fault. It happened again and again, while in
    /// between others were accepted; and now there was nothing else to blame.
    [[nodiscard]] bool broke_connection(message_id const& id, attempt_token token,
                                        attempt_token latest_accepted, bool alone) {
        auto& one = find(id);
        if (one.broken_since != 0 && latest_accepted <= one.broken_since) return false;
        one.broken_since = std::max(token, latest_accepted);
        if (one.breaks < breaks_forgiven) {
            ++one.breaks;
            return false;
        }
        return alone;
    }
    /// It may be what breaks the connection: whatever is in flight beside it would suffer, and
    /// would be under the same suspicion.
    [[nodiscard]] bool goes_alone(message_id const& id) const {
        if (against_.empty()) return false;
        auto const found = against_.find(id);
        return found != against_.end() && found->second.breaks >= breaks_forgiven;
    }
    [[nodiscard]] bool empty() const {
        return against_.empty();
    }
    void clear(message_id const& id) {
        if (!against_.empty()) against_.erase(id);
    }

private:
    static constexpr std::size_t remembered = 4'096;

    struct entry {
        attempt_token unroutable_since{0};
        attempt_token broken_since{0};
        std::int32_t breaks{0};
    };
    entry& find(message_id const& id) {
        if (against_.size() >= remembered && !against_.contains(id)) against_.clear();
        return against_[id];
    }

    std::map<message_id, entry> against_{};
};

}  // namespace outbox
