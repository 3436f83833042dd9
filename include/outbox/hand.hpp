// SPDX-License-Identifier: MIT
//
// The records that a worker has read and not settled yet, each in the line of its key. The rules of
// order live here: of a line at most one record is in flight, or one chain, whose records the
// broker takes only one right behind the other; a parked line lets only its retrying records pass,
// earliest first; what comes after a failed record waits behind it. Pure: no clock, no storage, no
// broker.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "outbox/lease.hpp"
#include "outbox/linked_queue.hpp"

namespace outbox {

class hand {
    struct line;
    struct held;

public:
    /// A record's place in hand: its own until it is settled and that is stored, or it is dropped.
    using slot = held*;

    /// A partition is not read further while a parked line of it has more followers than this:
    /// flagging a hot key's whole backlog would cost more than letting its neighbours wait.
    static constexpr std::int32_t follower_limit = 1'000;

    [[nodiscard]] std::size_t size() const {
        return used_;
    }
    /// How many of these only wait for their settlement to be stored.
    [[nodiscard]] std::size_t decided() const {
        return decided_;
    }
    /// All that could be sent is in flight, and the rest is decided.
    [[nodiscard]] bool all_sent() const {
        return used_ == decided_ + in_flight_;
    }
    [[nodiscard]] std::int64_t bytes() const {
        return bytes_;
    }
    [[nodiscard]] std::size_t in_flight() const {
        return in_flight_;
    }
    [[nodiscard]] bool empty() const {
        return used_ == 0 && settlements_.empty();
    }
    [[nodiscard]] record const& operator[](slot at) const {
        return *at->what;
    }

    /// Sorts what was read into lines. Records that may not be sent are settled at once: those
    /// behind a parked line follow, those whose time has not come are scheduled.
    void take(page&& read);

    /// The next record that may be sent now, if any; the caller sends it or decides it.
    [[nodiscard]] std::optional<slot> next() {
        while (!sendable_.empty()) {
            auto& of = sendable_.pop_front();
            of.offered = false;
            if (!may_send(of)) {
                forget_if_done(of);
                continue;
            }
            auto& one = of.waiting.pop_front();
            of.busy = true;
            of.head = &one;
            of.busy_with_ready = one.what->state == record_state::ready;
            return &one;
        }
        return std::nullopt;
    }

    /// What may be sent right behind `last`, the latest of its line that was sent and is in flight,
    /// to a broker that takes it only there: neither may have been sent before.
    [[nodiscard]] std::optional<slot> linkable(slot last) const;
    void link(slot at);
    /// It was sent on the condition that it lands right behind another one.
    [[nodiscard]] bool is_link(slot at) const {
        return at->link;
    }
    /// Others wait for their turn, so that a chain should not take the whole window.
    [[nodiscard]] bool others_wait() const {
        return !sendable_.empty();
    }
    /// It is in flight together with others of its line, before or behind it.
    [[nodiscard]] bool is_chained(slot at) const {
        return !at->of->linked.empty() || !is_first(at);
    }
    [[nodiscard]] bool is_first(slot at) const {
        return at->of->busy && at->of->head == at;
    }
    /// What the broker said of a record of a chain, before it can be acted on.
    struct kept_answer {
        outcome what{outcome::unknown};
        std::string reason{};
        bool others_pass{false};
    };
    void keep_answer(slot at, kept_answer answer);
    /// The first of a chain, if it has its answer.
    [[nodiscard]] std::optional<slot> answered_head(slot of_chain) const;
    [[nodiscard]] kept_answer take_answer(slot at) {
        return std::move(*std::exchange(at->answer, nullptr));
    }
    [[nodiscard]] bool is_accepted(slot at) const {
        return at->answer && at->answer->what == outcome::accepted;
    }
    [[nodiscard]] bool all_answered(slot of_chain) const;
    /// Ends a chain behind its first: each of the others is given to `accepted`, which publishes
    /// it, or to `failed` with its answer, and then waits again, in its place; never to be linked
    /// any more, unless it is certain that it was not stored.
    template <class Accepted, class Failed>
    void unlink(slot head, Accepted&& accepted, Failed&& failed);

    /// A token for sending this record: rises with each call.
    [[nodiscard]] attempt_token mark_sent(slot at, monotonic_time now) {
        at->token = (++sendings_ << slot_bits) | at->number;
        at->sent_at = now;
        at->flying = true;
        ++in_flight_;
        flying_.push_back(*at);
        return at->token;
    }
    /// Takes up an attempt of an earlier tenure that is still under way.
    void adopt(slot at, attempt_token token, monotonic_time sent_at);
    /// The record whose attempt this is, while it is in flight.
    [[nodiscard]] std::optional<slot> find(attempt_token token) const;
    [[nodiscard]] monotonic_time sent_at(slot at) const {
        return at->sent_at;
    }
    [[nodiscard]] attempt_token token(slot at) const {
        return at->token;
    }
    /// The one that has been in flight for longest, if it was sent at `before` or earlier.
    [[nodiscard]] std::optional<slot> overdue(monotonic_time before) const {
        auto const oldest = flying_.front();
        if (oldest == nullptr || oldest->sent_at > before) return std::nullopt;
        return oldest;
    }
    /// When the one that has been in flight for longest was sent.
    [[nodiscard]] std::optional<monotonic_time> oldest_sent() const {
        auto const oldest = flying_.front();
        return oldest == nullptr ? std::nullopt : std::optional{oldest->sent_at};
    }
    /// In the order in which they were sent.
    template <class Visit>
    void for_each_in_flight(Visit&& visit) const {
        for (auto* at = flying_.front(); at != nullptr; at = at->after) visit(at);
    }

    /// The broker has it: `what` is remove or stamp.
    void publish(slot at, fate what);
    /// Not now: it is what `next` returns next.
    void put_back(slot at) {
        auto& of = *at->of;
        of.busy = false;
        of.waiting.push_front(*at);
        of.offered = true;
        sendable_.push_front(of);
    }
    /// Nobody's fault: it is sent again, before anything later of its key. `landed`: as far as one
    /// knows, it may have been stored.
    void again(slot at, bool landed = true) {
        land(at);
        at->repeated = at->repeated || landed;
        at->link = false;
        auto& of = *at->of;
        of.busy = false;
        of.waiting.push_front(*at);
        advance(of);
    }
    /// It failed, and is tried again after `delay`; all later ones of its key wait behind it.
    void retry(slot at, std::int32_t attempts, duration delay, std::string error,
               monotonic_time now);
    /// It is given up. The next of its key is sent when that is committed, or, under `block`, after
    /// an operator's word.
    void bury(slot at, std::int32_t attempts, std::string error, bool block);

    /// Parks a key that has retrying records.
    void park(parked_key const& key, monotonic_time now);
    /// Keys whose retrying records may be read now, at most `most`; each is asked for once until it
    /// is `drained`, or its records are settled.
    template <class Visit>
    void for_each_due(monotonic_time now, std::size_t most, Visit&& visit) {
        for (auto& [number, of] : parked_) {
            if (most == 0) return;
            if (!is_quiet(*of) || of->due > now) continue;
            --most;
            visit(of->partition, of->key, of->suspect);
        }
    }
    /// When the next parked key falls due.
    [[nodiscard]] std::optional<monotonic_time> next_due() const;
    /// Nothing retrying is left of this key: new records may pass again.
    void drained(std::string_view key);
    /// Its head must be sent alone; ask for it so. Or not yet: ask again at `later`.
    void mark_suspect(std::string_view key, bool suspect) {
        if (auto const found = lines_.find(key); found != lines_.end())
            found->second.suspect = suspect;
    }
    void postpone(std::string_view key, monotonic_time later) {
        if (auto const found = lines_.find(key); found != lines_.end()) found->second.due = later;
    }
    [[nodiscard]] bool blocked(std::string_view key) const {
        auto const found = lines_.find(key);
        return found != lines_.end() && found->second.blocked;
    }
    [[nodiscard]] bool waits(std::string_view key) const {
        auto const found = lines_.find(key);
        return found != lines_.end() && !found->second.waiting.empty();
    }
    /// True while a hot parked key keeps its partition from being read further.
    [[nodiscard]] bool paused(partition_number partition) const {
        if (parked_.empty()) return false;
        auto const found = shares_.find(partition);
        return found != shares_.end() && found->second.hot > 0;
    }

    /// A settlement for a record that is not in hand: one that goes no further than here, or that
    /// was never read, since a dead worker was accused over it.
    void settle_unread(settlement one) {
        unread_.push_back(one.partition);
        ++shares_[one.partition].open;
        settlements_.push_back(std::move(one));
    }
    [[nodiscard]] std::span<settlement const> settlements() const {
        return settlements_;
    }
    /// The settlements given out before were stored.
    void committed();

    /// Forgets all that belongs to a partition; `visit(slot)` sees each record first.
    template <class Visit>
    void drop(partition_number partition, Visit&& visit);
    [[nodiscard]] bool is_published(slot at) const {
        return at->decided == fate::remove || at->decided == fate::stamp;
    }
    /// True while anything of the partition is in hand or waits to be stored.
    [[nodiscard]] bool holds(partition_number partition) const {
        auto const found = shares_.find(partition);
        return found != shares_.end() && found->second.open > 0;
    }
    /// Of this partition, what was sent and has no answer yet.
    [[nodiscard]] std::int32_t in_flight_of(partition_number partition) const;
    /// Forgets everything, and needs no memory for it.
    void clear() noexcept;
    /// Gives back what was read of a partition and not begun, unwritten.
    void hand_back(partition_number partition);

private:
    static constexpr unsigned slot_bits = 20;
    static constexpr attempt_token slot_mask = (attempt_token{1} << slot_bits) - 1;

    /// What the hand has of one partition.
    struct share {
        std::int32_t open{0};  ///< records, and settlements of those that are not in hand
        std::int32_t hot{0};   ///< parked lines with too many followers
    };
    struct line {
        std::string_view key{};
        std::uint64_t number{0};  ///< in order of creation, so that a seed tells the same story
        partition_number partition{0};
        share* part{nullptr};          ///< that of its partition
        line* next{nullptr};           ///< in `sendable_`
        linked_queue<held> waiting{};  ///< in hand, not begun, in order
        linked_queue<held> linked{};   ///< in flight behind `head`, in order
        slot head{nullptr};            ///< while `busy`
        bool breaking{false};          ///< a record of its chain failed
        bool busy{false};              ///< one is in flight, or failed and not committed yet
        bool busy_with_ready{false};
        bool offered{false};  ///< it stands in `sendable_`
        bool parked{false};
        bool blocked{false};
        bool suspect{false};      ///< its head must be read alone
        bool idle{false};         ///< there is nothing to it, and it is counted in `idle_lines_`
        bool uncommitted{false};  ///< a retry or a burial waits to be stored
        std::int32_t followers{0};
        std::int32_t dependents{0};  ///< settlements that wait to be stored
        monotonic_time due{};
    };
    /// A page lives until the last of its records is let go of.
    struct page_in_hand {
        page memory;
        std::size_t open{0};
    };
    struct held {
        attempt_token number{0};  ///< its place in `slots_`
        record const* what{nullptr};
        std::list<page_in_hand>::iterator memory{};
        line* of{nullptr};      ///< none: the slot is free
        held* next{nullptr};    ///< in a queue of its line, in `settled_`, or among the free
        held* before{nullptr};  ///< in `flying_`, as `after`
        held* after{nullptr};
        attempt_token token{0};
        monotonic_time sent_at{};
        std::int64_t bytes{0};
        fate decided{fate::hand_back};  ///< once it is in `settled_`
        bool flying{false};
        bool repeated{false};  ///< it was sent before
        bool link{false};      ///< sent right behind another one
        std::unique_ptr<kept_answer> answer{};
    };
    struct text_hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const {
            return std::hash<std::string_view>{}(text);
        }
    };

    line& line_of(partition_number partition, std::string_view key);
    [[nodiscard]] bool is_new(slot at) const {
        auto const& what = *at->what;
        return what.state == record_state::ready && what.attempts == 0 && what.deaths == 0 &&
               !at->repeated;
    }
    [[nodiscard]] bool may_send(line const& of) const {
        if (of.busy || of.uncommitted || of.waiting.empty()) return false;
        return !of.parked || of.waiting.front().what->state == record_state::retrying;
    }
    void offer(line& of) {
        if (of.offered || !may_send(of)) return;
        of.offered = true;
        sendable_.push_back(of);
    }
    void set_parked(line& of) {
        of.parked = true;
        parked_.emplace(of.number, &of);
    }
    /// Nothing of it is in hand, so that its retrying records may be read.
    [[nodiscard]] static bool is_quiet(line const& of) {
        return !of.busy && !of.uncommitted && of.dependents == 0 && of.waiting.empty();
    }
    /// After one of the line landed: the next goes, or, where an operator parked the line
    /// meanwhile, waits behind what he put back.
    void advance(line& of) {
        if (of.busy || of.uncommitted || of.waiting.empty()) return;
        if (of.parked && of.waiting.front().what->state == record_state::ready) {
            send_behind(of);
        } else if (!of.offered) {
            of.offered = true;
            sendable_.push_back(of);
        }
    }
    /// An operator parked the line while ready ones of it were under way. Later ones wait for
    /// these: a flagged record would be read before one that is not, should this worker die.
    [[nodiscard]] bool has_unresolved_ready(line const& of) const {
        if (of.busy && of.busy_with_ready && !of.uncommitted) return true;
        return !of.waiting.empty() && of.waiting.front().what->state == record_state::ready;
    }
    void forget_if_done(line& of);
    void follow(line& of, record const& one) {
        settle_unread({one.partition, one.sequence, fate::follow, one.attempts, {}, {}});
        if (++of.followers == follower_limit) ++of.part->hot;
    }
    /// What waits behind a failed record: ready ones follow it, retrying ones go back unwritten.
    void send_behind(line& of);
    [[nodiscard]] std::optional<slot> find_adopted(attempt_token token) const;
    settlement& settle(slot at, fate what);
    void land(slot at);
    held& allocate();
    void release(slot at);

    std::list<page_in_hand> pages_{};
    std::vector<std::unique_ptr<held>> slots_{};
    linked_queue<held> free_{};
    linked_list<held> flying_{};  ///< the one that was sent first in front
    std::map<partition_number, share> shares_{};
    std::unordered_map<std::string, line, text_hash, std::equal_to<>> lines_{};
    std::map<std::uint64_t, line*> parked_{};
    linked_queue<line> sendable_{};
    std::unordered_map<attempt_token, slot> adopted_{};
    std::vector<settlement> settlements_{};
    linked_queue<held> settled_{};            ///< those in hand that `settlements_` are about
    std::vector<partition_number> unread_{};  ///< and of what partitions the others are
    std::size_t used_{0};
    std::size_t decided_{0};
    std::size_t in_flight_{0};
    std::size_t idle_lines_{0};
    std::uint64_t lines_made_{0};
    std::int64_t bytes_{0};
    attempt_token sendings_{0};
};

}  // namespace outbox

#include "outbox/hand.ipp"
#include "outbox/hand_chain.ipp"
