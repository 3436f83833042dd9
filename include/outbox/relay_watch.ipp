// SPDX-License-Identifier: MIT
//
// Being told of commits in other processes, where the storage can: asked for before a wait, given
// up when there is so much to hear that looking is cheaper, or when nothing could be done about it.
#pragma once

#include "outbox/relay.hpp"

namespace outbox {

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
        if (stopping_ || !may_send(at) || announcements_.too_many(at)) end_watch();
    } catch (error const& failure) {
        storage_failed(failure.code(), failure.what());
    }
}

}  // namespace outbox
