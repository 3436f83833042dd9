// SPDX-License-Identifier: MIT
//
// How far one partition has been read, and how far that is final. Sequences become visible out of
// order, so a record may turn up below one that was read already. Pure: numbers in, numbers out.
//
// Everything above `read_from` that is not in hand is read by every look. What a look has read
// becomes a range. Once a transaction of our own got its id after that look, every transaction that
// can still bring a record into the range has a lower id (it got its id before it drew its number).
// A look whose snapshot says that all those have ended has seen the last of them: the range is
// finished. That is a later look, or, where nobody else was writing, the one that made the range.
// Under a transaction that stays open for long no range is finished. But nobody else can still
// bring a record into what was read while it had its id: while none of those that were open at the
// last look has ended, the next one may begin behind it. `low` never passes a ready record in hand.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "outbox/record.hpp"
#include "outbox/storage/postgres_binary.hpp"

namespace outbox::postgres {

/// PostgreSQL's 64-bit transaction ids; they never wrap.
using transaction_id = std::uint64_t;

/// What a look could see: all transactions below `horizon` had ended, and of those below `next` all
/// but the open ones.
struct sight {
    transaction_id horizon{0};
    transaction_id next{0};
    std::vector<transaction_id> open{};
};

class progress {
public:
    explicit progress(sequence_number low) : finished_{low}, cursor_{low} {}

    /// Nothing at or below it is ready but what is in hand, nor can become so: where a look starts.
    [[nodiscard]] sequence_number read_from() const {
        return finished_;
    }
    /// How far it was read, once: the highest number that a look brought.
    [[nodiscard]] sequence_number front() const {
        return cursor_;
    }
    /// Should the next transaction of our own get exactly this id, nobody else wrote since the last
    /// look, nor while it looked: then the next one may start at `from`.
    struct quiet_start {
        sequence_number from{0};
        transaction_id own{0};
    };
    [[nodiscard]] std::optional<quiet_start> quiet() const {
        if (ranges_.size() != 1 || ranges_.front().bound || ranges_.front().horizon == outdated)
            return std::nullopt;
        return quiet_start{ranges_.front().high, ranges_.front().horizon};
    }
    /// Nothing at or below `from` is ready but what is in hand, nor can become so while none of
    /// these transactions has ended.
    struct open_start {
        sequence_number from{0};
        std::vector<transaction_id> const& open;
    };
    [[nodiscard]] std::optional<open_start> behind_open() const {
        if (swept_ <= finished_) return std::nullopt;
        return open_start{swept_, open_};
    }
    /// Nothing at or below it is ready, nor can become so: what is stored, for the next owner.
    [[nodiscard]] sequence_number low() const {
        if (ready_.empty()) return finished_;
        return std::min(finished_, ready_.front().sequence - 1);
    }

    /// A record that was read and not settled.
    struct taken {
        sequence_number sequence{0};
        row_place place{};
    };
    [[nodiscard]] std::vector<taken> const& ready() const {
        return ready_;
    }
    [[nodiscard]] std::map<sequence_number, std::string> const& retrying() const {
        return retrying_;
    }
    [[nodiscard]] taken const* find_ready(sequence_number sequence) const {
        auto const found = std::ranges::lower_bound(ready_, sequence, {}, &taken::sequence);
        return found == ready_.end() || found->sequence != sequence ? nullptr : &*found;
    }
    [[nodiscard]] bool holds_ready(sequence_number sequence) const {
        return find_ready(sequence) != nullptr;
    }
    [[nodiscard]] bool in_hand(sequence_number sequence) const {
        return holds_ready(sequence) || retrying_.contains(sequence);
    }
    /// The key of a retrying record in hand; nothing for a ready one.
    [[nodiscard]] std::optional<std::string_view> retrying_key(sequence_number sequence) const {
        auto const found = retrying_.find(sequence);
        if (found == retrying_.end()) return std::nullopt;
        return found->second;
    }

    void take_ready(sequence_number sequence, row_place place = {}) {
        auto const at = std::ranges::lower_bound(ready_, sequence, {}, &taken::sequence);
        ready_.insert(at, {sequence, place});
    }
    void take_retrying(sequence_number sequence, std::string key) {
        retrying_.insert_or_assign(sequence, std::move(key));
    }
    void settle(sequence_number sequence) {
        erase_ready(sequence);
        retrying_.erase(sequence);
    }
    /// It is readable again, so nothing at or above it is finished before another look.
    void hand_back(sequence_number sequence) {
        retrying_.erase(sequence);
        if (!erase_ready(sequence)) return;
        swept_ = 0;
        for (auto& one : ranges_) {
            if (one.high >= sequence) one.horizon = outdated;
        }
        if (sequence > finished_) return;
        bool const reopened = !ranges_.empty() && ranges_.front().bound == any_look;
        if (!reopened) ranges_.push_front({finished_, any_look, outdated});
        finished_ = sequence - 1;
    }

    /// A transaction of ours got this id after all looks so far.
    void bound(transaction_id own) {
        for (auto one = ranges_.rbegin(); one != ranges_.rend() && !one->bound; ++one)
            one->bound = own;
        while (!ranges_.empty() && ranges_.front().bound <= ranges_.front().horizon) pop_finished();
        // Under one long transaction the ranges pile up: join the last ones, by the later bound.
        if (ranges_.size() > most_ranges) {
            auto const last = ranges_.back();
            ranges_.pop_back();
            ranges_.back() = last;
        }
    }

    /// A look has read everything visible above `read_from()` up to `covered` (nothing: all there
    /// is), or from `behind_open` on; the highest of it was `highest`. What it brought has been
    /// taken. `seen` is of a moment before it: what had ended then, has ended for the look.
    void look(std::optional<sequence_number> covered, sequence_number highest, sight const& seen) {
        auto const reach = covered.value_or(std::numeric_limits<sequence_number>::max());
        while (!ranges_.empty()) {
            auto const& first = ranges_.front();
            if (first.high > reach || !first.bound || *first.bound > seen.horizon) break;
            pop_finished();
        }
        note_open(reach, seen);
        bool const open = !ranges_.empty() && !ranges_.back().bound;
        if (open && reach >= ranges_.back().high) ranges_.back().horizon = seen.horizon;
        if (highest <= cursor_) return;
        cursor_ = highest;
        if (open) {
            ranges_.back().high = highest;
        } else {
            ranges_.push_back({highest, std::nullopt, seen.horizon});
        }
    }

private:
    static constexpr std::size_t most_ranges = 64;
    /// With more of them, one has ended by the next look.
    static constexpr std::size_t most_open = 32;
    /// The bound of what was handed back; lower than all real ones.
    static constexpr transaction_id any_look = 1;
    /// The horizon of a look that something was taken out of again; lower than all real ones.
    static constexpr transaction_id outdated = 0;

    struct range {
        sequence_number high{0};
        std::optional<transaction_id> bound{};  ///< nothing: no id of ours came after it yet
        transaction_id horizon{outdated};       ///< of the look that reached its end
    };

    bool erase_ready(sequence_number sequence) {
        auto const found = std::ranges::lower_bound(ready_, sequence, {}, &taken::sequence);
        if (found == ready_.end() || found->sequence != sequence) return false;
        ready_.erase(found);
        return true;
    }
    /// Who may still bring something into a range has an id below its bound. Ranges that wait for
    /// the same transactions become one; those that others are still writing to are left out.
    void note_open(sequence_number reach, sight const& seen) {
        swept_ = 0;
        open_.clear();
        auto const is_swept = [&](range const& one, transaction_id listed) {
            return one.high <= reach && one.bound && *one.bound <= listed;
        };
        if (ranges_.empty() || !is_swept(ranges_.front(), seen.next)) return;
        auto next_open = seen.next;
        for (auto const one : seen.open) {
            if (one < *ranges_.front().bound) {
                open_.push_back(one);
            } else {
                next_open = std::min(next_open, one);
            }
        }
        while (ranges_.size() > 1 && is_swept(ranges_[1], next_open)) ranges_.pop_front();
        if (open_.size() <= most_open) swept_ = ranges_.front().high;
    }
    void pop_finished() {
        finished_ = std::max(finished_, ranges_.front().high);
        ranges_.pop_front();
    }

    sequence_number finished_;
    sequence_number cursor_;
    std::deque<range> ranges_{};
    sequence_number swept_{0};            ///< read, but for what `open_` may still bring; or 0
    std::vector<transaction_id> open_{};  ///< at the last look
    std::vector<taken> ready_{};          ///< sorted
    std::map<sequence_number, std::string> retrying_{};
};

}  // namespace outbox::postgres
