// SPDX-License-Identifier: MIT
//
// The wait between two rounds: until when; and being told of commits in other processes, where the
// storage can: asked for before a wait, given up when there is so much to hear that looking is
// cheaper, or when nothing could be done about it.
#pragma once

#include "outbox/relay.hpp"

namespace outbox {

template <class Parts>
monotonic_time relay<Parts>::wake_at() {
    auto const at = now();
    auto const storage_from = std::max(storage_breaker_.next_try(), contention_.next_try());
    auto const broker_from = broker_breaker_.next_try();
    auto until = polling_.next();
    auto const sooner = [&](monotonic_time other) { until = std::min(until, other); };
    auto const call_storage = [&](monotonic_time when) { sooner(std::max(when, storage_from)); };
    if (storage_from > at) sooner(storage_from);
    if (broker_from > at) sooner(broker_from);
    if (seek_due_ && may_seek()) call_storage(std::max(seek_at(), broker_from));
    if (pace_.rests(at)) call_storage(pace_.until());
    if (auto const due = hand_.next_due(); due && may_send(at)) call_storage(*due);
    if (auto const sent = hand_.oldest_sent()) sooner(*sent + publish_timeout());
    if constexpr (patient_channel<channel_type>) {
        // Many receipts a round cost less than many rounds; few are worth a round each.
        bool const many = hand_.in_flight() >= patient_from;
        if (channel_) channel_->wake_for(many ? hand_.in_flight() / 2 : 1);
        if (many) sooner(at + patience_for_receipts);
    }
    if (next_purge_ > at && session_) call_storage(next_purge_);
    for (auto const& [partition, mine] : tenures_) {
        call_storage(mine.renew_at);
        if (mine.ending) continue;
        if (!read_due_ && !hand_.holds(partition)) call_storage(mine.last_work + lease() / 3);
        if (mine.wanted) call_storage(mine.acquired_at + least_turn());
    }
    // What is overdue could not be done in this round; it is tried again soon, but not at once.
    return std::max(until, at + std::chrono::milliseconds{1});
}

template <class Parts>
bool relay<Parts>::begin_watch([[maybe_unused]] monotonic_time at) {
    if constexpr (watchful) {
        if (!session_) return false;
        try {
            if (watching_) return hear(at);
            bool const all_seen = !read_due_ && may_send(at) && contention_.may_try(at);
            if (!all_seen) return false;
            auto const what = announcements_.too_many(at) ? outlook::soon : session().watch();
            watching_ = what == outlook::announced;
            if (watching_) look();
            // Who is about to commit does so within milliseconds, or takes its time.
            if (what == outlook::soon) {
                if (worked_) polling_.hint(at);
                polling_.hurry(at + polling::last_step);
            }
            worked_ = false;
            return watching_;
        } catch (error const& failure) {
            storage_failed(failure.code(), failure.what());
        }
    }
    return false;
}

/// Whether something was announced.
template <class Parts>
bool relay<Parts>::hear([[maybe_unused]] monotonic_time at) {
    if constexpr (watchful) {
        auto const count = session().heard();
        if (count == 0) return false;
        announcements_.hear(count, at);
        look();
        return true;
    }
    return false;
}

template <class Parts>
void relay<Parts>::end_watch() {
    if constexpr (watchful) {
        if (std::exchange(watching_, false) && session_) session().unwatch();
    }
}

template <class Parts>
void relay<Parts>::end_watch_when_of_no_use() {
    worked_ = worked_ || done_.read > 0;
    if (!watching_ || !session_) return;
    auto const at = now();
    try {
        // Under load there may be no wait for long. Another round follows, so nothing is missed.
        if (done_.read > 0) static_cast<void>(hear(at));
        bool const of_no_use = announcements_.too_many(at) || pace_.rests(at);
        if (stopping_ || !may_send(at) || of_no_use) end_watch();
    } catch (error const& failure) {
        storage_failed(failure.code(), failure.what());
    }
}

}  // namespace outbox
