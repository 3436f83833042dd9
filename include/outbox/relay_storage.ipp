// SPDX-License-Identifier: MIT
//
// The storage's half of a round: settle, renew, read; what the answer means; giving partitions
// back.
#pragma once

#include "outbox/relay.hpp"

namespace outbox {

template <class Parts>
void relay<Parts>::exchange(bool may_read) {
    if (tenures_.empty()) return;
    auto const at = now();
    auto const next = plan(at, may_read);
    if (next.empty()) return;
    std::vector<due_key> due;
    for (auto const& [partition, key] : next.due_names) due.push_back({partition, key});
    round_request const request{
        .settlements = hand_.settlements(),
        .renewals = next.renewals,
        .lease = lease(),
        .read = next.read,
        .due_keys = due,
        .records = std::min(next.room, settings().batch_size),
        .bytes = std::max<std::int64_t>(settings().batch_bytes - hand_.bytes(), 1),
        .alone = next.alone,
        .promote = !next.read.empty(),
        .dead_letters_block = dead_letters_block()};
    round_reply reply;
    try {
        reply = session().exchange(request);
    } catch (error const& failure) {
        return storage_failed(failure.code(), failure.what());
    }
    storage_answered();
    if (!next.read.empty()) {
        auto const answered = now();
        pace_.looked(reply.read.records.size(), static_cast<std::size_t>(request.records),
                     answered - at, answered);
    }
    // The lease counts from before the call, as this worker's own clock saw it.
    for (auto const& one : next.renewals) {
        auto& mine = tenures_.at(one.partition);
        mine.deadline = at + lease() - publish_timeout();
        mine.renew_at = at + lease() / 2;
        mine.stored_care = one.care;
    }
    apply(next, reply);
}

template <class Parts>
auto relay<Parts>::plan(monotonic_time at, bool may_read) -> round_plan {
    round_plan next;
    auto const by_tenures = allowed();
    next.alone = by_tenures.alone;
    // While receipts are still coming in, settlements wait until there is a batch of them; and for
    // the next look, if it is soon.
    bool const rests = pace_.rests(at) && may_read && !stopping_;
    auto const decided = static_cast<std::int32_t>(hand_.settlements().size());
    next.settle = decided > 0 && ((hand_.in_flight() == 0 && !rests) || !may_read || stopping_ ||
                                  decided >= settings().batch_size);
    // What is decided is settled before the read, and makes room for it.
    next.room = capacity(by_tenures) - static_cast<std::int32_t>(hand_.size() - hand_.decided());
    if (may_read && may_send(at) && next.room > 0 && (!next.alone || hand_.size() == 0) &&
        hand_.bytes() < settings().batch_bytes) {
        // A probe is as often a new record as one that failed: the latter alone may be what is
        // wrong. Where what kills workers is sought it is mostly a new one: while some of these are
        // due again whenever a worker starts, their neighbours must get through before the next one
        // kills it, too.
        bool const fresh = by_tenures.sought ? random_.random() % neighbours_for_suspect != 0
                                             : probing() && random_.random() % 2 == 0;
        if (!fresh) plan_due_keys(next, at);
        if (!rests && (!probing() || next.due_names.empty())) plan_reading(next);
        if (fresh && next.read.empty()) plan_due_keys(next, at);
    }
    for (auto const& [partition, mine] : tenures_) {
        if (at >= mine.renew_at || mine.care != mine.stored_care) {
            next.renewals.push_back({partition, mine.care});
        }
    }
    return next;
}

template <class Parts>
void relay<Parts>::plan_due_keys(round_plan& next, monotonic_time at) {
    bool any_suspect = false;
    auto const visit = [&](partition_number partition, std::string_view key, bool suspect) {
        auto const mine = tenures_.find(partition);
        if (mine == tenures_.end() || mine->second.ending) return;
        any_suspect = any_suspect || suspect;
        if (next.alone && (!next.due_names.empty() || (suspects_due_ && !suspect))) return;
        next.due_names.emplace_back(partition, key);
    };
    hand_.for_each_due(at, due_keys_a_round, visit);
    suspects_due_ = any_suspect;
}

template <class Parts>
void relay<Parts>::plan_reading(round_plan& next) {
    // A read for a handful of records costs as much as one for a batch.
    bool const worthwhile = next.room >= settings().batch_size || hand_.size() == 0;
    if (!read_due_ || !worthwhile || (next.alone && !next.due_names.empty())) return;
    next.read.reserve(tenures_.size());
    for (auto const& [partition, mine] : tenures_) {
        if (mine.ending || hand_.paused(partition)) continue;
        if (next.alone && !is_suspect(mine)) continue;
        next.read.push_back(partition);
    }
    // Each partition gets its turn at the front, so that none starves behind a busy one.
    std::rotate(next.read.begin(), std::ranges::upper_bound(next.read, last_read_),
                next.read.end());
    if (next.alone && next.read.size() > 1) next.read.erase(next.read.begin() + 1, next.read.end());
    if (next.read.empty()) {
        read_due_ = false;
    } else {
        last_read_ = next.read.front();
    }
}

template <class Parts>
void relay<Parts>::apply(round_plan const& asked, round_reply& reply) {
    auto const at = now();
    for (auto const partition : reply.lost) lose(partition);
    for (auto& [partition, mine] : tenures_) {
        if (mine.care.left > 0) count_down(partition, mine);
    }
    done_.settled += hand_.settlements().size();
    hand_.committed();
    for (auto const partition : reply.wanted) {
        if (auto const mine = tenures_.find(partition); mine != tenures_.end()) {
            mine->second.wanted = true;
        }
    }
    done_.noticed += reply.changed.size() + reply.drained.size();
    for (auto const& key : reply.changed) hand_.park(key, at);
    for (auto const& key : reply.drained) hand_.drained(key);
    // A hot key that is drained no longer keeps its partition from being read.
    if (!reply.drained.empty()) read_due_ = true;

    auto const count = reply.read.records.size();
    done_.read += count;
    if (!asked.read.empty() && count == 0 && reply.more) ++done_.searched;
    for (partition_number last = -1; auto const& one : reply.read.records) {
        if (one.partition == last) continue;
        last = one.partition;
        tenures_.at(last).last_work = at;
    }
    hand_.take(std::move(reply.read));
    note_due_keys(asked, reply, at);
    if (asked.read.empty() || count > 0 || reply.more) return;

    // Nothing is left behind what is in hand: whatever was to be read with care has been.
    if (asked.alone) {
        if (auto const mine = tenures_.find(asked.read.front()); mine != tenures_.end()) {
            relax(mine->second);
        }
        return;
    }
    read_due_ = false;
    for (auto& [partition, mine] : tenures_) {
        if (mine.care.left > 0 && mine.care.strikes < 2 && !hand_.holds(partition)) relax(mine);
    }
}

/// What was settled of a partition that is read with care.
template <class Parts>
void relay<Parts>::count_down(partition_number partition, holding& mine) const {
    for (auto const& one : hand_.settlements()) {
        if (one.partition != partition) continue;
        bool const resolved = one.what != fate::hand_back && one.what != fate::follow;
        if (resolved && --mine.care.left == 0) return relax(mine);
    }
}

/// A key that was due, is not drained, and of which nothing came: its head took a worker with it,
/// and must go alone.
template <class Parts>
void relay<Parts>::note_due_keys(round_plan const& asked, round_reply const& reply,
                                 monotonic_time at) {
    for (auto const& [partition, key] : asked.due_names) {
        if (!tenures_.contains(partition)) continue;
        bool const answered =
            hand_.waits(key) || std::ranges::find(reply.drained, key) != reply.drained.end();
        if (answered) {
            hand_.mark_suspect(key, false);
        } else if (reply.more) {
            continue;
        } else if (!asked.alone && !hand_.blocked(key)) {
            hand_.mark_suspect(key, true);
            suspects_due_ = true;
        } else {
            hand_.mark_suspect(key, false);
            hand_.postpone(key, at + settings().poll_interval);
        }
    }
}

template <class Parts>
void relay<Parts>::storage_answered() {
    contention_.succeed();
    if (!storage_breaker_.succeed()) return;
    tell([] { return event::storage_back{}; });
    tell_status({});
}

template <class Parts>
void relay<Parts>::storage_failed(errc code, std::string const& reason) {
    if (code == errc::contention) {
        contention_.fail(now(), random_.random());
        return;
    }
    auto const wait = storage_breaker_.fail(now(), random_.random());
    tell_status(reason);
    tell([&] { return event::storage_lost{code, reason, wait}; });
    forfeit();
}

/// What nobody foresaw, memory that ran out for one, may have left anything half-done. So this goes
/// on as a worker that was just started, and needs no memory to get there.
template <class Parts>
void relay<Parts>::start_over(char const* reason) noexcept {
    channel_.reset();
    session_.reset();
    sent_before_ = highest_sent_;
    hand_.clear();
    earlier_.forget_unaccepted();
    undecided_.clear();
    suspects_due_ = false;
    next_seek_ = {};
    look();
    auto const wait = storage_breaker_.fail(now(), random_.random());
    tell([&] { return event::storage_lost{errc::outcome_unknown, reason, wait}; });
    auto const left = std::exchange(tenures_, {});
    try {
        for (auto const& [partition, mine] : left) {
            left_behind_[partition] = mine.deadline + publish_timeout();
        }
        tell_held();
        tell_status(reason);
    } catch (...) {  // NOLINT: what is told of this worker stays as it was
    }
}

/// Everything held through a lost session is forfeit: leases, hand, marks. What is on its way, or
/// arrived and not yet settled, is remembered by name.
template <class Parts>
void relay<Parts>::forfeit() {
    session_.reset();
    for (auto const& [partition, mine] : std::exchange(tenures_, {})) {
        left_behind_[partition] = mine.deadline + publish_timeout();
        drop(partition);
    }
    undecided_.clear();
    suspects_due_ = false;
    next_seek_ = {};
    look();
    tell_held();
}

template <class Parts>
void relay<Parts>::drop(partition_number partition) {
    sent_before_ = highest_sent_;
    hand_.drop(partition, [&](slot at) {
        bool const accepted = hand_.is_published(at) || hand_.is_accepted(at);
        if (!accepted && hand_.find(hand_.token(at)) != at) return;
        earlier_.remember({.id = hand_[at].id,
                           .generation = hand_[at].generation,
                           .token = hand_.token(at),
                           .sent_at = hand_.sent_at(at),
                           .accepted = accepted});
    });
}

/// Overtaken, if only by a request of its own that came late.
template <class Parts>
void relay<Parts>::lose(partition_number partition) {
    drop(partition);
    tenures_.erase(partition);
    seek_due_ = true;
    tell_held();
    tell([&] { return event::partition_lost{partition}; });
}

/// After a turn others have theirs; after a pause, or without a broker, there is nothing to hold a
/// partition for.
template <class Parts>
void relay<Parts>::give_back() {
    auto const at = now();
    bool const broker_down = !channel_ || !broker_breaker_.may_try(at);
    auto const turn = least_turn();
    auto const linger = lease() / 3;
    for (auto& [partition, mine] : tenures_) {
        if (mine.ending) {
            hand_.hand_back(partition);
            continue;
        }
        bool const turn_is_over = mine.wanted && at - mine.acquired_at >= turn;
        bool const unused = at - mine.last_work >= linger;
        if (!stopping_ && !broker_down && !turn_is_over &&
            (!unused || hand_.holds(partition) || read_due_)) {
            continue;
        }
        if (turn_is_over) {
            courtesy_until_ = at + std::min<duration>(lease() / 10, settings().poll_interval);
            seek_due_ = true;
        }
        mine.ending = true;
        hand_.hand_back(partition);
    }
    release(false);
}

template <class Parts>
void relay<Parts>::release(bool all) {
    std::vector<ending> endings;
    for (auto const& [partition, mine] : tenures_) {
        if (mine.ending && (all || !hand_.holds(partition))) {
            endings.push_back({partition, mine.care});
            if (!all) continue;
            // Who comes next must not link anything to what may still be on its way.
            auto& left = endings.back().care.left;
            left = std::max(left, hand_.in_flight_of(partition));
        }
    }
    if (endings.empty() || !session_) return;
    try {
        session().release(endings);
    } catch (error const& failure) {
        return storage_failed(failure.code(), failure.what());
    }
    done_.released += endings.size();
    for (auto const& one : endings) {
        hand_.drop(one.partition, [](slot) {});
        tenures_.erase(one.partition);
        tell([&] { return event::partition_released{one.partition}; });
    }
    tell_held();
}

template <class Parts>
void relay<Parts>::purge() {
    auto const published = parts_.policy.published_retention();
    auto const dead = parts_.policy.dead_retention();
    if (stopping_ || !session_ || (!published && !dead)) return;
    auto const at = now();
    if (at < next_purge_) return;
    next_purge_ = at + purge_interval;
    event::purged removed;
    try {
        if (published) removed.published = storage().purge_published(*published, purge_batch);
        if (dead) removed.dead = storage().purge_dead(*dead, purge_batch);
    } catch (error const& failure) {
        tell_status(failure.what());
        return;
    }
    if (removed.published + removed.dead == 0) return;
    done_.purged += removed.published + removed.dead;
    if (removed.published == purge_batch || removed.dead == purge_batch) {
        next_purge_ = at + purge_gap;
    }
    tell([&] { return removed; });
}

template <class Parts>
void relay<Parts>::report(monotonic_time began) {
    auto const expired =
        std::erase_if(left_behind_, [&](auto const& entry) { return entry.second <= began; });
    if (expired > 0) tell_held();
    if (!done_.progress()) return;
    tell([&] {
        return event::round_finished{done_.read, done_.sent, done_.accepted, done_.settled,
                                     now() - began};
    });
}

template <class Parts>
void relay<Parts>::tell_held() {
    line_.update([&](worker_status& status) { status.partitions = held(); });
}

template <class Parts>
void relay<Parts>::tell_status(std::string const& error) {
    line_.update([&](worker_status& status) {
        status.broker_down = broker_breaker_.open();
        status.storage_down = storage_breaker_.open();
        if (!error.empty()) status.last_error = error;
    });
}

}  // namespace outbox
