// SPDX-License-Identifier: MIT
//
// How far one partition has been read, and how far that is final. Sequences become visible out of
// order, so a record may turn up below one that was read already. Pure: numbers in, numbers out.
//
// Everything above `low` that is not in hand is read by every look. What a look has read becomes
// a range. Once a transaction of our own got its id after that look, every transaction that can
// still bring a record into the range has a lower id (it got its id before it drew its number). A
// later look whose snapshot says that all those have ended has seen the last of them: the range is
// finished. `low` never passes a ready record in hand.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "outbox/record.hpp"

namespace outbox::postgres {

/// PostgreSQL's 64-bit transaction ids; they never wrap.
using transaction_id = std::uint64_t;

class progress {
public:
    explicit progress(sequence_number low) : finished_{low}, cursor_{low} {}

    /// Nothing at or below it is ready, nor can become so: what is stored, and where reading
    /// starts.
    [[nodiscard]] sequence_number low() const {
        if (ready_.empty()) return finished_;
        return std::min(finished_, *ready_.begin() - 1);
    }

    /// Records that were read and not settled.
    [[nodiscard]] std::set<sequence_number> const& ready() const {
        return ready_;
    }
    [[nodiscard]] std::map<sequence_number, std::string> const& retrying() const {
        return retrying_;
    }
    [[nodiscard]] bool in_hand(sequence_number sequence) const {
        return ready_.contains(sequence) || retrying_.contains(sequence);
    }
    /// The key of a retrying record in hand; nothing for a ready one.
    [[nodiscard]] std::optional<std::string_view> retrying_key(sequence_number sequence) const {
        auto const found = retrying_.find(sequence);
        if (found == retrying_.end()) return std::nullopt;
        return found->second;
    }

    void take_ready(sequence_number sequence) {
        ready_.insert(sequence);
    }
    void take_retrying(sequence_number sequence, std::string key) {
        retrying_.insert_or_assign(sequence, std::move(key));
    }
    void settle(sequence_number sequence) {
        ready_.erase(sequence);
        retrying_.erase(sequence);
    }
    /// It is readable again, so nothing at or above it is finished any more.
    void hand_back(sequence_number sequence) {
        retrying_.erase(sequence);
        if (ready_.erase(sequence) == 0 || sequence > finished_) return;
        bool const reopened = !ranges_.empty() && ranges_.front().bound == transaction_id{0};
        if (!reopened) ranges_.push_front({finished_, transaction_id{0}});
        finished_ = sequence - 1;
    }

    /// A transaction of ours got this id after all looks so far.
    void bound(transaction_id own) {
        for (auto one = ranges_.rbegin(); one != ranges_.rend() && !one->bound; ++one)
            one->bound = own;
        // Under one long transaction the ranges pile up: join the last ones, by the later bound.
        if (ranges_.size() > most_ranges) {
            auto const last = ranges_.back();
            ranges_.pop_back();
            ranges_.back() = last;
        }
    }

    /// A look has read everything visible above `low()` up to `covered` (nothing: all there is);
    /// the highest of it was `highest`. All transactions below `horizon` had ended. What it brought
    /// has been taken.
    void look(std::optional<sequence_number> covered, sequence_number highest,
              transaction_id horizon) {
        auto const reach = covered.value_or(std::numeric_limits<sequence_number>::max());
        while (!ranges_.empty()) {
            auto const& first = ranges_.front();
            if (first.high > reach || !first.bound || *first.bound > horizon) break;
            finished_ = std::max(finished_, first.high);
            ranges_.pop_front();
        }
        if (highest <= cursor_) return;
        cursor_ = highest;
        if (!ranges_.empty() && !ranges_.back().bound) {
            ranges_.back().high = highest;
        } else {
            ranges_.push_back({highest, std::nullopt});
        }
    }

private:
    static constexpr std::size_t most_ranges = 64;

    struct range {
        sequence_number high{0};
        std::optional<transaction_id> bound{};  ///< nothing: no id of ours came after it yet
    };

    sequence_number finished_;
    sequence_number cursor_;
    std::deque<range> ranges_{};
    std::set<sequence_number> ready_{};
    std::map<sequence_number, std::string> retrying_{};
};

}  // namespace outbox::postgres
