// SPDX-License-Identifier: MIT
//
// Many messages of one key in flight: what may be linked, and what the answers of a chain mean.
#pragma once

#include "outbox/relay.hpp"

namespace outbox {

/// Only what nobody can have sent before may be part of a chain: a copy that is still on its way,
/// or that the broker drops as a duplicate, would let the next one pass a message that is missing.
template <class Parts>
bool relay<Parts>::may_chain(allowance const& by_tenures, monotonic_time at) const {
    return chaining_channel<channel_type> && by_tenures.chains && !by_tenures.alone && !probing() &&
           evidence_.empty() && earlier_.empty() && chain_breaker_.may_try(at);
}

/// Sends what comes next of the same key right behind the last that was sent.
template <class Parts>
void relay<Parts>::chain(slot last, std::size_t window, monotonic_time at) {
    if constexpr (chaining_channel<channel_type>) {
        for (std::size_t turn = 0; hand_.in_flight() < window; ++turn) {
            if (turn >= chain_turn && hand_.others_wait()) return;
            auto const next = hand_.linkable(last);
            if (!next || hand_[last].sequence <= sent_before_) return;
            auto const& what = hand_[*next];
            if (what.sequence <= sent_before_ ||
                !channel().can_chain(hand_[last].topic, what.topic))
                return;
            if (check_message<typename Parts::broker_type>(what.topic, what.key, what.headers,
                                                           what.payload, settings())) {
                return;
            }
            hand_.link(*next);
            tell([&] { return event::publishing{what.id, what.topic, what.attempts}; });
            batch_.push_back({hand_.mark_sent(*next, at), &what, &hand_[last]});
            highest_sent_ = std::max(highest_sent_, what.sequence);
            last_sent_ = batch_.back().token;
            last = *next;
        }
    }
}

/// What is said of a record of a chain counts once all before it are accepted; a failure, once the
/// whole chain has its answers: only then is it known what else landed.
template <class Parts>
void relay<Parts>::conclude(slot at, outcome what, std::string const& reason, bool others_pass) {
    if (what == outcome::accepted && hand_.is_link(at) && ++links_in_a_row_ >= links_to_trust)
        chain_breaker_.succeed();
    if (!hand_.is_chained(at)) return decide(at, what, reason, others_pass);
    if (what == outcome::accepted && hand_.is_first(at)) {
        decide(at, what, reason, others_pass);
    } else {
        hand_.keep_answer(at, {what, reason, others_pass});
    }
    while (auto const head = hand_.answered_head(at)) {
        if (!hand_.is_accepted(*head)) {
            if (hand_.all_answered(*head)) break_chain(*head);
            return;
        }
        static_cast<void>(hand_.take_answer(*head));
        decide(*head, outcome::accepted, {}, false);
    }
}

/// The first of the chain failed, and is decided as if it had been sent alone. Those behind it did
/// not land, unless its own answer was in doubt, and are sent again after it.
template <class Parts>
void relay<Parts>::break_chain(slot head) {
    auto const answer = hand_.take_answer(head);
    hand_.unlink(
        head, [&](slot at) { decide(at, outcome::accepted, {}, false); },
        [&](slot at, hand::kept_answer const& its) {
            auto const& of = hand_[at];
            ++done_.failed;
            tell([&] {
                return event::attempt_failed{of.id,      of.topic,    its.what,
                                             its.reason, of.attempts, {}};
            });
        });
    decide(head, answer.what, answer.reason, answer.others_pass);
}

}  // namespace outbox
