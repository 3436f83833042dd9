// SPDX-License-Identifier: MIT
//
// Chains: several records of a line in flight, each taken by the broker only behind the one before.
#pragma once

#include "outbox/hand.hpp"

namespace outbox {

inline std::optional<hand::slot> hand::linkable(slot last) const {
    auto const& of = *last->of;
    if (!of.busy || of.parked || of.uncommitted || of.breaking || of.waiting.empty())
        return std::nullopt;
    auto const at = &of.waiting.front();
    if (!is_new(last) || !is_new(at)) return std::nullopt;
    return at;
}

inline void hand::link(slot at) {
    at->of->waiting.pop_front();
    at->of->linked.push_back(*at);
    at->link = true;
}

inline void hand::keep_answer(slot at, kept_answer answer) {
    land(at);
    if (answer.what != outcome::accepted) at->of->breaking = true;
    at->answer = std::make_unique<kept_answer>(std::move(answer));
}

inline std::optional<hand::slot> hand::answered_head(slot of_chain) const {
    auto const& of = *of_chain->of;
    if (!of.busy || !of.head->answer) return std::nullopt;
    return of.head;
}

inline bool hand::all_answered(slot of_chain) const {
    for (auto const& one : of_chain->of->linked) {
        if (!one.answer) return false;
    }
    return true;
}

template <class Accepted, class Failed>
void hand::unlink(slot head, Accepted&& accepted, Failed&& failed) {
    auto& of = *head->of;
    std::vector<slot> back;
    of.linked.drain([&](held& one) {
        if (is_accepted(&one)) {
            accepted(&one);
        } else {
            failed(&one, *one.answer);
            back.push_back(&one);
        }
    });
    for (auto at = back.rbegin(); at != back.rend(); ++at) {
        auto const answer = take_answer(*at);
        (*at)->repeated = (*at)->repeated || answer.what != outcome::out_of_order;
        (*at)->link = false;
        of.waiting.push_front(**at);
    }
    of.breaking = false;
}

}  // namespace outbox
