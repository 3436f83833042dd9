// SPDX-License-Identifier: MIT
//
// The broker's half of a round, and taking partitions up: the steps in the order in which they run.
#pragma once

#include "outbox/relay.hpp"

namespace outbox {

template <class Parts>
void relay<Parts>::listen(monotonic_time at) {
    if (line_.was_rung()) look();
    if (line_.was_hinted()) polling_.hint(at);
    if (polling_.is_due(at)) look();
    earlier_.forget_before(at - lease());
}

template <class Parts>
void relay<Parts>::connect_channel(monotonic_time at) {
    if (channel_ && !channel().usable()) {
        collect();
        break_channel("the connection to the broker broke");
    }
    if (channel_ || stopping_ || !broker_breaker_.may_try(at)) return;
    prompt_ = false;
    try {
        channel_.emplace(broker().connect({.outbox_name = parts_.storage.name(),
                                           .signal = line_.signal,
                                           .publish_timeout = publish_timeout(),
                                           .lease = lease(),
                                           .window = static_cast<std::size_t>(most_in_hand())}));
    } catch (error const& failure) {
        broker_failed(failure.code(), failure.what());
    } catch (std::exception const& failure) {
        broker_failed(errc::unavailable, failure.what());
    }
}

template <class Parts>
bool relay<Parts>::connect_session(monotonic_time at) {
    if (!storage_breaker_.may_try(at) || !contention_.may_try(at)) return false;
    if (session_) return true;
    if (stopping_ && tenures_.empty()) return false;
    try {
        session_.emplace(storage().connect(worker_, lease() / 2));
        watching_ = false;
        return true;
    } catch (error const& failure) {
        storage_failed(failure.code(), failure.what());
    }
    return false;
}

template <class Parts>
void relay<Parts>::acquire() {
    auto const at = now();
    if (!seek_due_ || !may_send(at) || !may_seek() || at < seek_at()) return;
    acquired got;
    try {
        got = session().acquire(
            {.lease = lease(),
             .most = probing() ? 1 : std::int32_t{std::numeric_limits<partition_number>::max()},
             .reach = most_in_hand(),
             .careful_reach = careful_window,
             .dead_letters_block = dead_letters_block()});
    } catch (error const& failure) {
        return storage_failed(failure.code(), failure.what());
    }
    storage_answered();
    seek_due_ = false;
    next_seek_ = at + seek_gap;
    for (auto& one : got.tenures) begin(one, at);
    done_.acquired += got.tenures.size();
    if (!got.tenures.empty()) {
        read_due_ = true;
        tell_held();
    }
    if (tenures_.empty()) read_due_ = false;
    if (got.waiting) polling_.hurry(at + std::max<duration>(lease() / 50, patience_min));
}

template <class Parts>
void relay<Parts>::begin(tenure& got, monotonic_time asked_at) {
    left_behind_.erase(got.partition);
    // A margin of one publish timeout: what is sent last has its receipt before the lease runs out.
    tenures_[got.partition] = {.care = got.care,
                               .stored_care = got.care,
                               .deadline = asked_at + lease() - publish_timeout(),
                               .renew_at = asked_at + lease() / 2,
                               .acquired_at = asked_at,
                               .last_work = asked_at};
    tell([&] { return event::partition_acquired{got.partition, got.epoch, got.care.strikes}; });
    for (auto const& key : got.parked) hand_.park(key, asked_at);
    if (got.accused) accuse(*got.accused, got.partition);
}

template <class Parts>
void relay<Parts>::accuse(accused_record const& accused, partition_number partition) {
    auto const at = now();
    settlement verdict{.partition = partition,
                       .sequence = accused.sequence,
                       .what = fate::retry,
                       .attempts = accused.attempts,
                       .error = std::to_string(accused.deaths) +
                                " workers died while this was the only message in flight"};
    // A bad deployment kills workers at whatever they hold: after a few burials an hour only
    // parking goes on, which can be undone. The storage counts: no worker lives for long then.
    auto const burials = accused.buried_lately +
                         std::ranges::count(hand_.settlements(), fate::bury, &settlement::what);
    if (accused.deaths >= settings().max_deaths && burials < settings().burials_an_hour) {
        verdict.what = fate::bury;
        tell([&] {
            return event::dead_lettered{
                accused.id, {}, accused.attempts, accused.deaths, verdict.error};
        });
    } else {
        verdict.delay = backoff(accused.deaths, settings().backoff_min, settings().backoff_max,
                                random_.random());
        tell([&] { return event::worker_killed{accused.id, accused.deaths, verdict.delay}; });
    }
    bool const block = verdict.what == fate::bury && dead_letters_block();
    hand_.park({partition, accused.key, verdict.delay, block}, at);
    hand_.settle_unread(std::move(verdict));
}

template <class Parts>
auto relay<Parts>::allowed() const -> allowance {
    allowance all{};
    for (auto const& [partition, mine] : tenures_) {
        all.until = std::min(all.until, mine.deadline);
        all.chains = all.chains && mine.care.left == 0 && mine.stored_care.left == 0;
        all.careful = all.careful || mine.stored_care.left > 0;
        all.sought = all.sought || is_suspect(mine);
    }
    all.alone = suspects_due_ || all.sought;
    return all;
}

/// A broker that answers at once gets all of a key in one round.
template <class Parts>
void relay<Parts>::publish() {
    if (hand_.all_sent()) return;
    auto const by_tenures = allowed();
    std::size_t accepted = 0;
    do {
        accepted = done_.accepted;
        send(by_tenures);
        collect();
    } while (done_.accepted > accepted);
}

/// On their way at the most: all that is in hand while receipts come soon, one batch where they do
/// not. Three times as many take three times as long, and each has until the publish timeout.
template <class Parts>
std::size_t relay<Parts>::window(allowance const& by_tenures) const {
    auto const most = capacity(by_tenures);
    return static_cast<std::size_t>(prompt_ ? most : std::min(most, settings().batch_size));
}

template <class Parts>
void relay<Parts>::send(allowance const& by_tenures) {
    auto const at = now();
    if (!may_send(at) || hand_.find(sent_alone_)) return;
    // A lease that was not renewed in time ends all sending: the next exchange renews it or loses
    // it.
    if (at >= by_tenures.until) return;
    auto const most = window(by_tenures);
    batch_.clear();
    bool const chains = may_chain(by_tenures, at);
    if (auto const last = hand_.find(last_sent_); last && chains) chain(*last, most, at);
    while (hand_.in_flight() < most) {
        auto const next = hand_.next();
        if (!next) break;
        auto const& what = hand_[*next];
        if (auto const known = earlier_.recall(what)) {
            hand_.adopt(*next, known->token, known->sent_at);
            if (known->accepted) hand_.publish(*next, Parts::delete_policy_type::on_published);
            continue;
        }
        bool const alone = evidence_.goes_alone(what.id);
        if (alone && hand_.in_flight() > 0) {
            hand_.put_back(*next);
            break;
        }
        if (auto const wrong = check_message<typename Parts::broker_type>(
                what.topic, what.key, what.headers, what.payload, settings())) {
            decide(*next, outcome::refused, wrong->text(), false);
            continue;
        }
        tell([&] { return event::publishing{what.id, what.topic, what.attempts}; });
        batch_.push_back({hand_.mark_sent(*next, at), &what});
        highest_sent_ = std::max(highest_sent_, what.sequence);
        last_sent_ = batch_.back().token;
        if (alone) sent_alone_ = last_sent_;
        if (alone) break;
        if (chains) chain(*next, most, at);
    }
    if (batch_.empty()) return;
    if (probing()) probe_ = batch_.back().token;
    done_.sent += batch_.size();
    channel().send(batch_);
}

template <class Parts>
void relay<Parts>::collect() {
    if (!channel_) return;
    arrived_.clear();
    channel().collect(arrived_);
    bool doubtful = false;
    std::optional<monotonic_time> sent_at;
    for (auto& one : arrived_) {
        auto const at = hand_.find(one.token);
        bool const accepted = one.what == outcome::accepted;
        if (accepted) broker_accepted(one.token);
        if (accepted && at) sent_at = hand_.sent_at(*at);
        if (accepted && at && !hand_.is_link(*at) && !hand_.is_chained(*at)) {
            accept(*at);  // nearly all there is
            continue;
        }
        // A link that is out of order did not land, for certain.
        doubtful = doubtful || (at && (one.what == outcome::unknown ||
                                       (one.what == outcome::out_of_order && !hand_.is_link(*at))));
        answer(one, at);
    }
    if (sent_at) prompt_ = now() - *sent_at <= publish_timeout() / 16;
    decide_unroutable();
    if (doubtful) doubt("the broker does not say whether messages arrived");
}

template <class Parts>
void relay<Parts>::broker_accepted(attempt_token token) {
    latest_accepted_ = std::max(latest_accepted_, token);
    if (!broker_breaker_.succeed()) return;
    look();
    tell([] { return event::broker_back{}; });
    tell_status({});
}

template <class Parts>
void relay<Parts>::answer(receipt& from, std::optional<slot> at) {
    if (!at) return earlier_.answer(from.token, from.what == outcome::accepted);
    if (from.what == outcome::unroutable) {
        undecided_.push_back({*at, from.token, std::move(from.reason)});
        return;
    }
    conclude(*at, from.what, from.reason, latest_accepted_ > from.token);
}

/// Whether nothing takes anything, or just not this topic, shows when the rest has its receipts.
template <class Parts>
void relay<Parts>::decide_unroutable() {
    if (undecided_.empty()) return;
    std::erase_if(undecided_,
                  [&](undecided const& one) { return hand_.find(one.token) != one.at; });
    if (hand_.in_flight() > undecided_.size() && latest_accepted_ < undecided_.front().token)
        return;
    for (auto const& one : std::exchange(undecided_, {})) {
        bool const own_fault = evidence_.unroutable(hand_[one.at].id, one.token, latest_accepted_);
        conclude(one.at, outcome::unroutable, one.reason, own_fault);
    }
}

template <class Parts>
inline void relay<Parts>::accept(slot at) {
    ++done_.accepted;
    auto const& of = hand_[at];
    evidence_.clear(of.id);
    tell([&] { return event::published{of.id, of.topic, now() - hand_.sent_at(at)}; });
    hand_.publish(at, Parts::delete_policy_type::on_published);
}

template <class Parts>
void relay<Parts>::decide(slot at, outcome what, std::string const& reason, bool others_pass) {
    auto const& of = hand_[at];
    auto const attempts = of.attempts + 1;
    switch (judge(what, of.attempts, others_pass, settings().max_attempts)) {
        case verdict::publish: return accept(at);
        case verdict::again:
            ++done_.failed;
            tell([&] {
                return event::attempt_failed{of.id, of.topic, what, reason, of.attempts, {}};
            });
            if (what == outcome::out_of_order) {
                // All before it landed, so that somebody else wrote in between.
                chain_breaker_.fail(now(), random_.random());
                links_in_a_row_ = 0;
                hand_.again(at, false);
            } else {
                send_again(at, reason);
            }
            return;
        case verdict::retry: {
            ++done_.failed;
            // An unknown outcome is repeated soon, while the broker still remembers the id.
            auto const delay = what == outcome::unknown
                                   ? duration{settings().backoff_min}
                                   : backoff(attempts, settings().backoff_min,
                                             settings().backoff_max, random_.random());
            tell([&] {
                return event::attempt_failed{of.id, of.topic, what, reason, attempts, delay};
            });
            hand_.retry(at, attempts, delay, reason.substr(0, error_bytes), now());
            return;
        }
        case verdict::bury:
            ++done_.failed;
            tell([&] {
                return event::dead_lettered{of.id, of.topic, attempts, of.deaths, reason};
            });
            hand_.bury(at, attempts, reason.substr(0, error_bytes), dead_letters_block());
            return;
        case verdict::pause:
            ++done_.failed;
            if (what == outcome::unavailable) {
                hand_.again(at);
            } else {
                send_again(at, reason);
            }
            broker_failed(errc::unavailable, reason);
            return;
    }
}

/// A probe that failed steps aside, at the cost of a write and of no attempt: it may be what is
/// wrong, and the next probe shall be another one.
template <class Parts>
void relay<Parts>::send_again(slot at, std::string const& reason) {
    if (hand_.token(at) != probe_) return hand_.again(at);
    hand_.retry(at, hand_[at].attempts, settings().backoff_min, reason.substr(0, error_bytes),
                now());
}

template <class Parts>
void relay<Parts>::give_up_overdue() {
    if (hand_.in_flight() == 0) return;
    auto const before = now() - publish_timeout();
    bool silence = false;
    while (auto const at = hand_.overdue(before)) {
        if (latest_accepted_ < hand_.token(*at)) {
            silence = true;
            break;
        }
        conclude(*at, outcome::unknown, "no receipt in time", true);
    }
    if (silence) break_channel("no receipt within the publish timeout");
}

/// What was in flight may have arrived or not: it is sent again, soon and with the same id, before
/// anything later of its key.
template <class Parts>
void relay<Parts>::break_channel(std::string const& reason) {
    channel_.reset();
    earlier_.forget_unaccepted();
    undecided_.clear();
    std::vector<slot> open;
    hand_.for_each_in_flight([&](slot at) { open.push_back(at); });
    for (auto const at : open) {
        bool const own_fault = evidence_.broke_connection(hand_[at].id, hand_.token(at),
                                                          latest_accepted_, open.size() == 1);
        conclude(at, outcome::unknown, reason, own_fault);
    }
    if (open.empty()) {
        broker_failed(errc::unavailable, reason);
    } else {
        doubt(reason);
    }
}

/// Nobody knows what became of what was sent. Once it is just sent again; twice with nothing
/// accepted in between, the broker cannot be used.
template <class Parts>
void relay<Parts>::doubt(std::string const& reason) {
    auto const before = std::exchange(accepted_at_last_doubt_, latest_accepted_);
    if (before == latest_accepted_) broker_failed(errc::unavailable, reason);
}

template <class Parts>
void relay<Parts>::broker_failed(errc code, std::string const& reason) {
    // One failure a probe: the many receipts of one batch are one piece of news.
    if (broker_breaker_.open() && !broker_breaker_.may_try(now())) return;
    auto const wait = broker_breaker_.fail(now(), random_.random());
    seek_due_ = true;
    tell_status(reason);
    tell([&] { return event::broker_lost{code, reason, wait}; });
}

}  // namespace outbox
