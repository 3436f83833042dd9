// SPDX-License-Identifier: MIT
//
// The memory storage as one worker sees it: over a network that loses requests and answers, from a
// process that may stand still or die at any call.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "outbox/concepts.hpp"
#include "outbox/testing/world.hpp"

namespace outbox::testing {

/// A request that outlives who made it.
class kept_request {
public:
    explicit kept_request(round_request const& of)
        : all_{of},
          settlements_{of.settlements.begin(), of.settlements.end()},
          renewals_{of.renewals.begin(), of.renewals.end()},
          read_{of.read.begin(), of.read.end()} {
        for (auto const& one : of.due_keys) keys_.emplace_back(one.partition, one.key);
    }
    [[nodiscard]] round_request view() {
        due_keys_.clear();
        for (auto const& [partition, key] : keys_) due_keys_.push_back({partition, key});
        auto request = all_;
        request.settlements = settlements_;
        request.renewals = renewals_;
        request.read = read_;
        request.due_keys = due_keys_;
        return request;
    }

private:
    round_request all_;
    std::vector<settlement> settlements_;
    std::vector<renewal> renewals_;
    std::vector<partition_number> read_;
    std::vector<std::pair<partition_number, std::string>> keys_{};
    std::vector<due_key> due_keys_{};
};

class simulated_storage {
public:
    using transaction = memory_storage::transaction;

    class session {
    public:
        session(world& of, int life, duration limit, memory_storage::session&& inner)
            : on_{std::make_shared<connection>(of, life, limit, std::move(inner))} {}

        acquired acquire(acquire_request const& request) {
            auto const act = [on = on_, request] { return on->acquire(request); };
            return call("acquire", act, [&act] { return std::function{act}; });
        }
        round_reply exchange(round_request const& request) {
            return call(
                "exchange", [&] { return on_->exchange(request); },
                [&] {
                    auto const kept = std::make_shared<kept_request>(request);
                    return [on = on_, kept] { return on->exchange(kept->view()); };
                });
        }
        void release(std::span<ending const> endings) {
            auto const act = [on = on_, all = std::vector<ending>(endings.begin(), endings.end())] {
                on->release(all);
                return 0;
            };
            call("release", act, [&act] { return std::function{act}; });
        }
        [[nodiscard]] int descriptor() const {
            return -1;
        }

    private:
        /// What the storage does for one of its clients, each time in one stroke.
        struct connection {
            connection(world& w, int number, duration time_limit, memory_storage::session&& session)
                : of{w},
                  life{number},
                  limit{time_limit},
                  incarnation{w.storage_incarnation},
                  inner{std::move(session)} {}

            struct in_hand {
                message_id id{};
                record_state state{record_state::ready};
            };
            using place = std::pair<partition_number, sequence_number>;

            acquired acquire(acquire_request const& request);
            round_reply exchange(round_request const& request);
            void release(std::span<ending const> endings);
            void forget(partition_number partition) {
                std::erase_if(hand,
                              [&](auto const& entry) { return entry.first.first == partition; });
            }

            world& of;
            int life;
            duration limit;
            int incarnation;
            memory_storage::session inner;
            std::map<partition_number, epoch_number> epochs{};
            std::map<place, in_hand> hand{};
        };

        template <class Act, class Late>
        std::invoke_result_t<Act const&> call(std::string_view what, Act const& act,
                                              Late const& make_late);
        void fail(errc code, char const* why);
        void fail_if_gone() {
            auto& of = on_->of;
            if (of.book.is_dead(on_->life)) fail(errc::unavailable, "dead");
            if (of.now_down() == outage::storage || of.storage_incarnation != on_->incarnation) {
                fail(errc::unavailable, "storage down");
            }
        }

        std::shared_ptr<connection> on_;
    };

    simulated_storage(world& of, int life) : of_{&of}, life_{life} {}

    void begin(transaction on) {
        of_->storage.begin(on);
    }
    void commit(transaction on) {
        of_->storage.commit(on);
    }
    void rollback(transaction on) noexcept {
        of_->storage.rollback(on);
    }
    void append(transaction on, std::span<draft const> drafts) {
        of_->storage.append(on, drafts);
    }
    session connect(message_id const& worker, duration limit) {
        of_->take_time(std::chrono::microseconds{500});
        if (of_->book.is_dead(life_) || of_->now_down() == outage::storage) {
            throw error{errc::unavailable, "storage down"};
        }
        return {*of_, life_, limit, of_->storage.connect(worker, limit)};
    }
    [[nodiscard]] std::string_view name() const {
        return "simulated";
    }
    [[nodiscard]] std::vector<dead_letter> dead_letters(dead_letter_filter const& filter,
                                                        std::optional<message_id> after,
                                                        std::size_t count) const {
        return of_->storage.dead_letters(filter, after, count);
    }
    std::size_t requeue(dead_letter_filter const& filter, std::size_t count) {
        return of_->storage.requeue(filter, count);
    }
    std::size_t discard(dead_letter_filter const& filter, std::size_t count) {
        return of_->storage.discard(filter, count);
    }
    std::vector<message_id> replay(time_range range, std::optional<message_id> after,
                                   std::size_t count) {
        return of_->storage.replay(range, after, count);
    }
    std::size_t purge_published(duration older_than, std::size_t count) {
        auto const gone = of_->storage.purge_published(older_than, count);
        if (gone > 0) of_->log.mark("published messages were purged");
        return gone;
    }
    std::size_t purge_dead(duration older_than, std::size_t count) {
        return of_->storage.purge_dead(older_than, count);
    }
    [[nodiscard]] storage_statistics statistics() const {
        return of_->storage.statistics();
    }

private:
    world* of_;
    int life_;
};

static_assert(outbox::storage<simulated_storage>);

inline void simulated_storage::session::fail(errc code, char const* why) {
    if (code != errc::contention) on_->of.book.storage_failed(on_->life);
    throw error{code, why};
}

template <class Act, class Late>
std::invoke_result_t<Act const&> simulated_storage::session::call(std::string_view what,
                                                                  Act const& act,
                                                                  Late const& make_late) {
    auto& of = on_->of;
    auto const lease = duration{of.book.settings.lease_duration};
    of.take_time(std::chrono::microseconds{300});
    if (of.book.is_dead(on_->life)) fail(errc::unavailable, "dead");
    auto const strikes = of.strike(occasion::storage_call, on_->life);
    auto sizes = of.fates.sizes();
    of.book.tell("worker ", on_->life, " calls ", what);
    if (strikes == fault::stalls_before) of.stall(sizes.up_to(2 * lease));
    if (strikes == fault::killed_before) of.book.kill(on_->life);
    fail_if_gone();
    if (strikes == fault::contention) fail(errc::contention, "contention");
    if (strikes == fault::fails_before) fail(errc::unavailable, "the request was lost");
    if (strikes == fault::straggles) {
        of.time.at(of.time.now() + sizes.up_to(2 * lease), [late = make_late(), on = on_] {
            if (on->incarnation != on->of.storage_incarnation) return;
            on->of.book.tell("a request of worker ", on->life, " comes late");
            static_cast<void>(late());
        });
        of.stall(std::min(on_->limit, sizes.up_to(lease)));
        fail(errc::outcome_unknown, "no answer came in time");
    }
    auto result = act();
    of.take_time(std::chrono::microseconds{300});
    if (strikes == fault::slow_call) of.stall(sizes.up_to(on_->limit));
    if (strikes == fault::stalls_after) of.stall(sizes.up_to(2 * lease));
    if (strikes == fault::killed_after) of.book.kill(on_->life);
    fail_if_gone();
    if (strikes == fault::fails_after) fail(errc::outcome_unknown, "the answer was lost");
    return result;
}

inline acquired simulated_storage::session::connection::acquire(acquire_request const& request) {
    auto got = inner.acquire(request);
    if (!got.tenures.empty()) of.made_durable();
    if (got.waiting) of.log.mark("a worker waits for its share");
    for (auto const& one : got.tenures) {
        of.book.acquired(life, one, request.lease);
        epochs[one.partition] = one.epoch;
        if (one.accused) {
            hand[{one.partition, one.accused->sequence}] = {one.accused->id,
                                                            record_state::retrying};
        }
    }
    return got;
}

inline round_reply simulated_storage::session::connection::exchange(round_request const& request) {
    auto reply = inner.exchange(request);
    auto const lost = [&](partition_number partition) {
        return std::ranges::find(reply.lost, partition) != reply.lost.end();
    };
    for (auto const partition : reply.lost) {
        of.log.mark("a worker was fenced");
        forget(partition);
    }
    bool durable = !request.renewals.empty() || request.alone || request.promote;
    for (auto const& one : request.settlements) {
        durable = durable || (one.what != fate::remove && one.what != fate::stamp &&
                              one.what != fate::hand_back);
    }
    if (durable) of.made_durable();
    for (auto const& one : request.settlements) {
        if (lost(one.partition)) continue;
        auto const found = hand.find({one.partition, one.sequence});
        of.book.require(found != hand.end(), "settled what it had not read");
        if (found == hand.end()) continue;
        auto const& known = of.book.messages.at(found->second.id);
        // A straggler may settle what an operator, or a crash, has touched since.
        of.book.settled(one, known.id);
        if (!durable && one.what == fate::stamp) {
            of.stamped({known.id, found->second.state, of.time.now()});
        }
        hand.erase(found);
    }
    for (auto const& one : request.renewals) {
        if (!lost(one.partition)) of.book.renewed(one.partition, life, request.lease);
    }
    for (auto const& one : reply.read.records) {
        auto const known = of.book.messages.find(one.id);
        if (known == of.book.messages.end()) {
            of.book.require(false, "G7: read what was never committed");
            continue;
        }
        auto const& message = known->second;
        of.book.require(
            message.topic == one.topic && message.key == one.key && message.payload == one.payload,
            "G13: a message was altered", message);
        bool const is_new =
            hand.emplace(place{one.partition, one.sequence}, in_hand{one.id, one.state}).second;
        of.book.require(is_new, "read what was in hand", message);
    }
    if (request.alone && !reply.read.records.empty()) of.log.mark("a record was read alone");
    if (!reply.changed.empty()) of.log.mark("a change by an operator was noticed");
    if (!reply.wanted.empty()) of.log.mark("a partition was wanted");
    if (!reply.drained.empty()) of.log.mark("a parked key was drained");
    return reply;
}

inline void simulated_storage::session::connection::release(std::span<ending const> endings) {
    inner.release(endings);
    of.made_durable();
    for (auto const& one : endings) {
        of.book.released(one.partition, life, epochs[one.partition]);
        if (one.care.left > 0) of.log.mark("a partition was released with care");
        forget(one.partition);
    }
}

}  // namespace outbox::testing
