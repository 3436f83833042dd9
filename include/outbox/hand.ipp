// SPDX-License-Identifier: MIT
//
// The longer verbs of the hand: taking a page in, and letting go of what was stored or lost.
#pragma once

#include "outbox/hand.hpp"

namespace outbox {

inline void hand::take(page&& read) {
    if (read.records.empty()) return;
    auto const from = pages_.insert(pages_.end(), {.memory = std::move(read)});
    for (auto const& one : from->memory.records) {
        if (one.remaining > duration::zero() && one.state == record_state::ready) {
            settle_unread(
                {one.partition, one.sequence, fate::schedule, one.attempts, one.remaining, {}});
            continue;
        }
        auto& of = line_of(one.partition, one.key);
        if (of.parked && one.state == record_state::ready && !has_unresolved_ready(of)) {
            follow(of, one);
            continue;
        }
        auto& at = allocate();
        at.what = &one;
        at.memory = from;
        at.of = &of;
        at.bytes = static_cast<std::int64_t>(one.size_bytes());
        bytes_ += at.bytes;
        ++from->open;
        ++of.part->open;
        of.waiting.push_back(at);
        offer(of);
    }
    if (from->open == 0) pages_.erase(from);
}

inline hand::held& hand::allocate() {
    if (free_.empty()) {
        slots_.push_back(std::make_unique<held>());
        slots_.back()->number = slots_.size() - 1;
        free_.push_front(*slots_.back());
    }
    ++used_;
    return free_.pop_front();
}

inline void hand::release(slot at) {
    bytes_ -= at->bytes;
    --at->of->part->open;
    if (--at->memory->open == 0) pages_.erase(at->memory);
    at->of = nullptr;
    at->token = 0;
    at->decided = fate::hand_back;
    at->repeated = false;
    at->link = false;
    at->answer.reset();
    free_.push_front(*at);
    --used_;
}

inline std::optional<hand::slot> hand::find(attempt_token token) const {
    auto const number = token & slot_mask;
    if (number < slots_.size()) {
        auto const at = slots_[number].get();
        if (at->flying && at->token == token) return at;
    }
    return find_adopted(token);
}

inline std::optional<hand::slot> hand::find_adopted(attempt_token token) const {
    if (adopted_.empty()) return std::nullopt;
    auto const found = adopted_.find(token);
    return found == adopted_.end() ? std::nullopt : std::optional{found->second};
}

inline void hand::land(slot at) {
    if (!at->flying) return;
    at->flying = false;
    flying_.remove(*at);
    if (!adopted_.empty()) adopted_.erase(at->token);
    --in_flight_;
}

inline std::int32_t hand::in_flight_of(partition_number partition) const {
    std::int32_t count = 0;
    for_each_in_flight([&](slot at) { count += at->what->partition == partition ? 1 : 0; });
    return count;
}

inline void hand::publish(slot at, fate what) {
    settle(at, what);
    auto& of = *at->of;
    if (of.head != at) return;
    if (!of.linked.empty()) {
        of.head = &of.linked.pop_front();
        return;
    }
    of.busy = false;
    of.breaking = false;
    advance(of);
}

inline void hand::retry(slot at, std::int32_t attempts, duration delay, std::string error,
                        monotonic_time now) {
    auto& of = *at->of;
    auto& stored = settle(at, fate::retry);
    stored.attempts = attempts;
    stored.delay = delay;
    stored.error = std::move(error);
    set_parked(of);
    of.due = now + delay;
    of.uncommitted = true;
    send_behind(of);
}

inline void hand::bury(slot at, std::int32_t attempts, std::string error, bool block) {
    auto& of = *at->of;
    auto& stored = settle(at, fate::bury);
    stored.attempts = attempts;
    stored.error = std::move(error);
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
    auto& of = found->second;
    if (of.part == nullptr || of.partition != partition) of.part = &shares_[partition];
    of.partition = partition;
    if (std::exchange(of.idle, false)) --idle_lines_;
    return of;
}

inline void hand::adopt(slot at, attempt_token token, monotonic_time sent_at) {
    adopted_[token] = at;
    at->token = token;
    at->sent_at = sent_at;
    at->flying = true;
    ++in_flight_;
    flying_.push_front(*at);
}

inline void hand::send_behind(line& of) {
    of.waiting.drain([&](held& one) {
        bool const ready = one.what->state == record_state::ready;
        settle(&one, ready ? fate::follow : fate::hand_back);
        if (ready && ++of.followers == follower_limit) ++of.part->hot;
    });
}

inline settlement& hand::settle(slot at, fate what) {
    land(at);
    at->decided = what;
    ++at->of->dependents;
    ++decided_;
    settled_.push_back(*at);
    auto& one = settlements_.emplace_back();
    one.partition = at->what->partition;
    one.sequence = at->what->sequence;
    one.what = what;
    return one;
}

inline void hand::committed() {
    // What lands makes its line advance, which may add settlements: those are not stored yet.
    settlements_.clear();
    decided_ = 0;
    for (auto const partition : unread_) --shares_.at(partition).open;
    unread_.clear();
    settled_.drain([&](held& one) {
        auto& of = *one.of;
        // Only a retry or a burial is waited for.
        bool const awaited =
            of.uncommitted && (one.decided == fate::retry || one.decided == fate::bury);
        --of.dependents;
        release(&one);
        if (awaited) {
            of.uncommitted = false;
            of.busy = false;
            advance(of);
        }
        forget_if_done(of);
    });
}

inline void hand::drained(std::string_view key) {
    auto const found = lines_.find(key);
    if (found == lines_.end()) return;
    auto& of = found->second;
    if (!of.parked || !is_quiet(of)) return;
    if (of.followers >= follower_limit) --of.part->hot;
    of.parked = false;
    of.blocked = false;
    of.suspect = false;
    of.followers = 0;
    parked_.erase(of.number);
    forget_if_done(of);
}

inline void hand::hand_back(partition_number partition) {
    for (auto& [name, of] : lines_) {
        if (of.partition != partition || of.waiting.empty()) continue;
        of.waiting.drain([&](held& one) { settle(&one, fate::hand_back); });
    }
}

inline void hand::forget_if_done(line& of) {
    if (of.dependents > 0 || of.busy || of.offered || of.parked || of.uncommitted ||
        !of.waiting.empty() || of.idle)
        return;
    of.idle = true;
    // A key that comes back soon finds its line. Swept when most of them are idle, so that this
    // looks at no line more than a few times for each that it forgets.
    if (++idle_lines_ < lines_.size() / 2 + 1'024) return;
    idle_lines_ = 0;
    std::erase_if(lines_, [](auto const& entry) { return entry.second.idle; });
}

inline void hand::clear() noexcept {
    slots_.clear();
    pages_.clear();
    free_ = {};
    flying_ = {};
    lines_.clear();
    shares_.clear();
    parked_.clear();
    sendable_ = {};
    adopted_.clear();
    settlements_.clear();
    settled_ = {};
    unread_.clear();
    used_ = 0;
    decided_ = 0;
    in_flight_ = 0;
    idle_lines_ = 0;
    bytes_ = 0;
}

template <class Visit>
void hand::drop(partition_number partition, Visit&& visit) {
    auto const is_of = [&](settlement const& one) { return one.partition == partition; };
    std::erase_if(settlements_, is_of);
    std::erase(unread_, partition);
    settled_.remove_if([&](held const& one) {
        bool const dropped = one.of->partition == partition;
        if (dropped) --decided_;
        return dropped;
    });
    for (auto const& one : slots_) {
        if (one->of == nullptr || one->of->partition != partition) continue;
        visit(one.get());
        land(one.get());
        release(one.get());
    }
    sendable_.remove_if([&](line const& of) { return of.partition == partition; });
    std::erase_if(parked_, [&](auto const& entry) { return entry.second->partition == partition; });
    std::erase_if(lines_, [&](auto const& entry) {
        if (entry.second.partition != partition) return false;
        if (entry.second.idle) --idle_lines_;
        return true;
    });
    shares_.erase(partition);
}

}  // namespace outbox
