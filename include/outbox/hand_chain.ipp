// SPDX-License-Identifier: MIT
//
// Chains: several records of a line in flight, each taken by the broker only behind the one before.
#pragma once

#include "outbox/hand.hpp"

namespace outbox {

inline std::optional<hand::slot> hand::linkable(slot last) const {
    auto const& of = *slots_[last].of;
    if (!of.busy || of.parked || of.uncommitted || of.breaking || of.waiting.empty())
        return std::nullopt;
    auto const at = of.waiting.front();
    if (!is_new(last) || !is_new(at)) return std::nullopt;
    return at;
}

inline void hand::link(slot at) {
    auto& of = *slots_[at].of;
    of.waiting.pop_front();
    of.linked.push_back(at);
    slots_[at].link = true;
}

inline void hand::keep_answer(slot at, kept_answer answer) {
    land(at);
    if (answer.what != outcome::accepted) slots_[at].of->breaking = true;
    slots_[at].answer = std::make_unique<kept_answer>(std::move(answer));
}

inline std::optional<hand::slot> hand::answered_head(slot of_chain) const {
    auto const& of = *slots_[of_chain].of;
    if (!of.busy || !slots_[of.head].answer) return std::nullopt;
    return of.head;
}

inline bool hand::all_answered(slot of_chain) const {
    return std::ranges::all_of(slots_[of_chain].of->linked,
                               [&](slot at) { return slots_[at].answer != nullptr; });
}

template <class Accepted, class Failed>
void hand::unlink(slot head, Accepted&& accepted, Failed&& failed) {
    auto& of = *slots_[head].of;
    std::vector<slot> back;
    for (auto const at : std::exchange(of.linked, {})) {
        if (is_accepted(at)) {
            accepted(at);
        } else {
            failed(at, *slots_[at].answer);
            back.push_back(at);
        }
    }
    for (auto at = back.rbegin(); at != back.rend(); ++at) {
        auto const answer = take_answer(*at);
        slots_[*at].repeated = slots_[*at].repeated || answer.what != outcome::out_of_order;
        slots_[*at].link = false;
        of.waiting.push_front(*at);
    }
    of.breaking = false;
}

}  // namespace outbox
