// SPDX-License-Identifier: MIT
//
// The longer verbs of the hand: taking a page in, and letting go of what was stored or lost.
#pragma once

#include "outbox/hand.hpp"

namespace outbox {

inline void hand::take(page&& read) {
    if (read.records.empty()) return;
    auto const memory = std::make_shared<page>(std::move(read));
    for (auto const& one : memory->records) {
        if (one.remaining > duration::zero() && one.state == record_state::ready) {
            settlements_.push_back(
                {one.partition, one.sequence, fate::schedule, one.attempts, one.remaining, {}});
            settled_slots_.push_back(no_slot);
            continue;
        }
        auto& of = line_of(one.partition, one.key);
        if (of.parked && one.state == record_state::ready && !has_unresolved_ready(of)) {
            follow(of, one);
            continue;
        }
        auto const at = allocate();
        slots_[at].what = one;
        slots_[at].memory = memory;
        slots_[at].of = &of;
        bytes_ += static_cast<std::int64_t>(one.size_bytes());
        of.waiting.push_back(at);
        offer(of);
    }
}

inline void hand::publish(slot at, fate what) {
    settle(at, {.what = what});
    auto& of = *slots_[at].of;
    if (of.head != at) return;
    if (!of.linked.empty()) {
        of.head = of.linked.front();
        of.linked.pop_front();
        return;
    }
    of.busy = false;
    of.breaking = false;
    advance(of);
}

inline void hand::retry(slot at, std::int32_t attempts, duration delay, std::string error,
                        monotonic_time now) {
    auto& of = *slots_[at].of;
    settle(at,
           {.what = fate::retry, .attempts = attempts, .delay = delay, .error = std::move(error)});
    set_parked(of);
    of.due = now + delay;
    of.uncommitted = true;
    send_behind(of);
}

inline void hand::bury(slot at, std::int32_t attempts, std::string error, bool block) {
    auto& of = *slots_[at].of;
    settle(at, {.what = fate::bury, .attempts = attempts, .error = std::move(error)});
    of.uncommitted = true;
    if (!block) return;
    set_parked(of);
    of.blocked = true;
    send_behind(of);
}

inline void hand::park(parked_key const& key, monotonic_time now) {
    auto& of = line_of(key.partition, key.key);
    set_parked(of);
    of.blocked = key.blocked;
    of.due = now + key.due_in;
    // What is in flight was sent before the operator spoke. Later ones are flagged only when it
    // has landed, lest they get in front of it.
    advance(of);
}

inline std::optional<monotonic_time> hand::next_due() const {
    std::optional<monotonic_time> first;
    for (auto const& [number, of] : parked_) {
        if (is_quiet(*of) && (!first || of->due < *first)) first = of->due;
    }
    return first;
}

inline hand::line& hand::line_of(partition_number partition, std::string_view key) {
    auto found = lines_.find(key);
    if (found == lines_.end()) {
        found = lines_.emplace(key, line{}).first;
        found->second.key = found->first;
        found->second.number = ++lines_made_;
    }
    found->second.partition = partition;
    return found->second;
}

inline void hand::adopt(slot at, attempt_token token, monotonic_time sent_at) {
    adopted_[token] = at;
    slots_[at].token = token;
    slots_[at].sent_at = sent_at;
    slots_[at].flying = true;
    ++in_flight_;
    sent_.push_front({sent_at, token});
}

inline std::optional<monotonic_time> hand::oldest_sent() {
    while (!sent_.empty() && !find(sent_.front().token)) sent_.pop_front();
    if (sent_.empty()) return std::nullopt;
    return sent_.front().at;
}

inline std::optional<hand::slot> hand::overdue(monotonic_time before) {
    auto const sent = oldest_sent();
    if (!sent || *sent > before) return std::nullopt;
    return find(sent_.front().token);
}

inline void hand::send_behind(line& of) {
    for (auto const at : std::exchange(of.waiting, {})) {
        bool const ready = slots_[at].what.state == record_state::ready;
        settle(at, {.what = ready ? fate::follow : fate::hand_back});
        if (ready && ++of.followers == follower_limit) ++hot_[of.partition];
    }
}

inline void hand::settle(slot at, settlement one) {
    land(at);
    auto& from = slots_[at];
    one.partition = from.what.partition;
    one.sequence = from.what.sequence;
    from.published = one.what == fate::remove || one.what == fate::stamp;
    ++from.of->dependents;
    settlements_.push_back(std::move(one));
    settled_slots_.push_back(at);
}

inline void hand::committed() {
    // What lands makes its line advance, which may add settlements: those are not stored yet.
    std::swap(settlements_, stored_);
    std::swap(settled_slots_, stored_slots_);
    for (std::size_t i = 0; i < stored_.size(); ++i) {
        auto const at = stored_slots_[i];
        if (at == no_slot) continue;
        auto& of = *slots_[at].of;
        --of.dependents;
        if (stored_[i].what == fate::retry || stored_[i].what == fate::bury) {
            of.uncommitted = false;
            of.busy = false;
        }
        release(at);
        advance(of);
        forget_if_done(of);
    }
    stored_.clear();
    stored_slots_.clear();
}

inline void hand::drained(std::string_view key) {
    auto const found = lines_.find(key);
    if (found == lines_.end()) return;
    auto& of = found->second;
    if (!of.parked || !is_quiet(of)) return;
    if (of.followers >= follower_limit) --hot_[of.partition];
    of.parked = false;
    of.blocked = false;
    of.suspect = false;
    of.followers = 0;
    parked_.erase(of.number);
    forget_if_done(of);
}

inline bool hand::holds(partition_number partition) const {
    for (auto const& one : settlements_) {
        if (one.partition == partition) return true;
    }
    for (auto const& one : slots_) {
        if (one.of != nullptr && one.of->partition == partition) return true;
    }
    return false;
}

inline void hand::hand_back(partition_number partition) {
    for (auto& [name, of] : lines_) {
        if (of.partition != partition || of.waiting.empty()) continue;
        for (auto const at : std::exchange(of.waiting, {})) settle(at, {.what = fate::hand_back});
    }
}

inline void hand::forget_if_done(line& of) {
    auto const done = [](line const& one) {
        return !one.busy && !one.offered && !one.parked && !one.uncommitted &&
               one.dependents == 0 && one.waiting.empty();
    };
    if (!done(of)) return;
    // Swept now and then: a key that comes back soon finds its line.
    ++idle_lines_;
    if (idle_lines_ < lines_.size() / 2 + 1'024) return;
    idle_lines_ = 0;
    std::erase_if(lines_, [&](auto const& entry) { return done(entry.second); });
}

inline void hand::clear() noexcept {
    slots_.clear();
    free_.clear();
    lines_.clear();
    parked_.clear();
    sendable_.clear();
    sent_.clear();
    adopted_.clear();
    hot_.clear();
    settlements_.clear();
    settled_slots_.clear();
    stored_.clear();
    stored_slots_.clear();
    used_ = 0;
    in_flight_ = 0;
    idle_lines_ = 0;
    bytes_ = 0;
}

template <class Visit>
void hand::drop(partition_number partition, Visit&& visit) {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < settlements_.size(); ++i) {
        if (settlements_[i].partition == partition) continue;
        if (kept != i) {
            settlements_[kept] = std::move(settlements_[i]);
            settled_slots_[kept] = settled_slots_[i];
        }
        ++kept;
    }
    settlements_.resize(kept);
    settled_slots_.resize(kept);
    for (slot at = 0; at < slots_.size(); ++at) {
        if (slots_[at].of == nullptr || slots_[at].of->partition != partition) continue;
        visit(at);
        land(at);
        release(at);
    }
    std::erase_if(sendable_, [&](line const* of) { return of->partition == partition; });
    std::erase_if(parked_, [&](auto const& entry) { return entry.second->partition == partition; });
    std::erase_if(lines_, [&](auto const& entry) { return entry.second.partition == partition; });
    hot_.erase(partition);
}

}  // namespace outbox
