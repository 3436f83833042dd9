// SPDX-License-Identifier: MIT
//
// How far one partition has been read, and how far that is final. Sequences become visible out of
// order, so a record may turn up below one that was read already. Pure: numbers in, numbers out.
//
// Everything above where a look begins that is not in hand is read by it, up to where it ends. What
// was read, or is known to have been drawn, becomes a range. Once a transaction of our own got its
// id after that (the range's bound), every transaction that can still bring a record into the range
// has a lower id: it got its id before it drew its number. A look whose snapshot says that all
// those have ended has seen the last of them: the range is finished, as far as the look went. That
// is a later look, or, where nobody else was writing, the one that made the range. Under a
// transaction that stays open no range is finished. But nobody else can bring a record into what
// was read while it had its id: while none of those that were open at the last look has ended, the
// next one may begin behind it. When one ends, what it may have added to is gone through anew, a
// stretch at a time, since all that was delivered meanwhile lies there as dead rows. `low` never
// passes a ready record in hand.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <iterator>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "outbox/record.hpp"
#include "outbox/storage/postgres_binary.hpp"
#include "outbox/storage/postgres_sight.hpp"

namespace outbox::postgres {

class progress {
public:
    /// Nothing at or below `low` is ready, nor can become so. Numbers up to `head` had been drawn
    /// before a transaction of our own got `own` as its id.
    explicit progress(sequence_number low, sequence_number head = 0, transaction_id own = 0)
        : finished_{low}, cursor_{low} {
        if (head > low) ranges_.push_back({head, own, outdated});
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
    /// The next look, other than a quiet start: it begins at `behind` while none of `open` has
    /// ended, else at `below`, or, where that would be too far, it does not take place.
    struct span {
        sequence_number below{0};
        sequence_number behind{0};
        std::span<transaction_id const> open{};
        bool else_passes{false};  ///< it does not take place then, and `pass_over` is to be called
        std::optional<sequence_number> reach{};  ///< where it ends at the latest
    };
    /// `stretch`: how many numbers it may go through anew. `returned`: the lowest record that is
    /// handed back before the look.
    [[nodiscard]] span next_look(sequence_number stretch,
                                 std::optional<sequence_number> returned = {}) const {
        auto const highest = returned ? *returned - 1 : std::numeric_limits<sequence_number>::max();
        span next{.below = std::min(finished_, highest),
                  .behind = std::min(begin(), highest),
                  .open = open_};
        next.else_passes = next.behind - next.below > stretch;
        if (bounded_to() - next.behind > stretch) next.reach = next.behind + stretch;
        return next;
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
        split(sequence - 1);
        swept_ = std::min(swept_, sequence - 1);
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

    /// A look has read everything visible from where it began up to `covered` (nothing: all there
    /// is); the highest of it was `highest`. What it brought has been taken.
    void look(std::optional<sequence_number> covered, sequence_number highest, sight const& seen) {
        auto const reach = covered.value_or(std::numeric_limits<sequence_number>::max());
        split(reach);
        while (!ranges_.empty()) {
            auto const& first = ranges_.front();
            if (first.high > reach || !first.bound || *first.bound > seen.horizon) break;
            pop_finished();
        }
        join_alike(reach, seen);
        note_open(reach, seen);
        bool const open = !ranges_.empty() && !ranges_.back().bound;
        if (open && reach >= ranges_.back().high) ranges_.back().horizon = seen.horizon;
        cursor_ = std::max(cursor_, highest);
        if (highest > known_to()) {
            if (open) {
                ranges_.back().high = highest;
            } else {
                ranges_.push_back({highest, std::nullopt, seen.horizon});
            }
        }
        // A backlog gets its bound before it is read, and is finished by the look that reads it.
        if (covered && seen.head > known_to() && *covered >= known_to())
            ranges_.push_back({seen.head, std::nullopt, outdated});
    }

    /// The look did not take place, since one that was open had ended.
    void pass_over(sight const& seen) {
        auto const ended =
            std::ranges::find_if(open_, [&](transaction_id one) { return seen.has_ended(one); });
        if (ended == open_.end()) return;
        auto const bound = sweep(swept_, *ended);
        open_.erase(std::ranges::lower_bound(open_, bound), open_.end());
    }

private:
    static constexpr std::size_t most_ranges = 64;
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
    [[nodiscard]] sequence_number begin() const {
        return std::max(finished_, swept_);
    }
    [[nodiscard]] sequence_number known_to() const {
        return ranges_.empty() ? finished_ : ranges_.back().high;
    }
    /// What may be gone through anew, and is remembered as far as that got, ends here.
    [[nodiscard]] sequence_number bounded_to() const {
        auto const last =
            std::ranges::find_if(ranges_.rbegin(), ranges_.rend(),
                                 [](range const& one) { return one.bound.has_value(); });
        return last == ranges_.rend() ? finished_ : last->high;
    }
    /// A range that `at` lies in becomes two.
    void split(sequence_number at) {
        auto const found = std::ranges::upper_bound(ranges_, at, {}, &range::high);
        if (found == ranges_.end() || !found->bound) return;
        auto const low = found == ranges_.begin() ? finished_ : std::prev(found)->high;
        if (at > low) ranges_.insert(found, {at, found->bound, outdated});
    }
    /// Ranges that wait for the same transactions become one.
    void join_alike(sequence_number reach, sight const& seen) {
        for (std::size_t i = 0; i + 1 < ranges_.size();) {
            auto const& later = ranges_[i + 1];
            if (later.high > reach || !later.bound || *later.bound > seen.next) return;
            auto const between = std::ranges::lower_bound(seen.open, *ranges_[i].bound);
            if (between != seen.open.end() && *between < *later.bound) {
                ++i;
                continue;
            }
            ranges_[i + 1].horizon = outdated;
            ranges_.erase(ranges_.begin() + static_cast<std::ptrdiff_t>(i));
        }
    }
    /// Who may still bring something into a range has an id below its bound. Those that others are
    /// writing to are left out, since the next look goes there again; yet who goes through a range
    /// anew goes on where it ended, whoever is open.
    void note_open(sequence_number reach, sight const& seen) {
        bool const anew = reach < bounded_to();
        auto const bound = sweep(reach, anew ? seen.next : std::min(seen.next, seen.recent));
        open_.assign(seen.open.begin(), std::ranges::lower_bound(seen.open, bound));
    }
    /// Ranges up to `reach` were looked at, and who may bring something into one is known as far as
    /// that has an id below `listed`. The bound of the last one that this leaves.
    transaction_id sweep(sequence_number reach, transaction_id listed) {
        swept_ = 0;
        transaction_id bound = 0;
        for (auto const& one : ranges_) {
            if (one.high > reach || !one.bound || *one.bound > listed) break;
            swept_ = one.high;
            bound = *one.bound;
        }
        return bound;
    }
    void pop_finished() {
        finished_ = std::max(finished_, ranges_.front().high);
        ranges_.pop_front();
    }

    sequence_number finished_;
    sequence_number cursor_;
    std::deque<range> ranges_{};
    sequence_number swept_{0};            ///< read, but for what `open_` may still bring; or 0
    std::vector<transaction_id> open_{};  ///< at the last look, sorted
    std::vector<taken> ready_{};          ///< sorted
    std::map<sequence_number, std::string> retrying_{};
};

}  // namespace outbox::postgres
