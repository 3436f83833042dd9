// SPDX-License-Identifier: MIT
//
// What a storage is, said once more and naively: a list of messages and a few leases. It knows
// nothing of indexes, cursors or transactions in the way of any real storage; it is slow and plain,
// so that a reader can hold it against concepts.hpp. Time stands still but for `elapse`.
//
// A choice that the contract leaves open (which of several free partitions) is the storage's: it is
// checked to be allowed, and then made here, too.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <set>

#include "outbox/testing/laws/storage_case.hpp"

namespace outbox::testing::laws {

using outbox::record_state;

struct reference {
    struct message {
        int number{0};
        bool chosen{false};  ///< the caller chose its id
        std::string topic{};
        std::string key{};
        std::string payload{};
        outbox::duration due{};
        record_state state{record_state::ready};
        int place{0};  ///< in the order in which sequences were drawn
        int generation{0};
        int attempts{0};
        int deaths{0};
        std::string error{};
        bool in_hand{false};  ///< the partition's owner has read it and not settled it
        outbox::duration created{};
        outbox::duration ended{};  ///< published, or dead, since
    };
    struct partition {
        std::optional<int> owner{};
        int epoch{0};
        outbox::duration lease_until{};
        int served{0};
        outbox::caution care{};
        int suspect{0};       ///< the number of the message that was noted as alone in flight
        bool touched{false};  ///< an operator was here, and the owner was not told
        std::set<std::string> to_tell{};  ///< keys that an operator gave records, or unblocked
    };
    using place_of_keys = std::map<std::string, int>;
    using predicate = std::function<bool(message const&)>;

    int partition_count{1};
    place_of_keys partition_of{};
    bool block{false};  ///< dead letters block their key

    outbox::duration now{};
    int draws{0};
    int services{0};
    std::vector<message> messages{};
    std::array<std::vector<message>, 2> uncommitted{};
    std::map<int, partition> partitions{};
    std::map<int, std::map<int, int>> held{};  ///< by worker: what it believes to hold, and since
                                               ///< which epoch

    // --- looking ---------------------------------------------------------------------------------

    /// In order of sequence.
    std::vector<message*> all(predicate const& wanted) {
        std::vector<message*> found;
        for (auto& one : messages) {
            if (wanted(one)) found.push_back(&one);
        }
        std::ranges::sort(found, {}, &message::place);
        return found;
    }
    std::int64_t count(record_state state) {
        return std::ranges::count(messages, state, &message::state);
    }
    message& named(int number) {
        return *std::ranges::find(messages, number, &message::number);
    }
    int partition_at(message const& one) const {
        return partition_of.at(one.key);
    }
    std::vector<message*> of_key(std::string const& key, record_state state) {
        return all([&](auto& one) { return one.key == key && one.state == state; });
    }
    std::vector<message*> of_partition(int number, record_state state) {
        return all([&](auto& one) { return partition_at(one) == number && one.state == state; });
    }
    bool blocked(message const& one) {
        if (!block) return false;
        auto const dead = of_key(one.key, record_state::dead);
        return !dead.empty() && dead.front()->place < one.place;
    }
    bool live(partition const& one) const {
        return one.owner && one.lease_until > now;
    }
    bool owns(int worker, int number) {
        auto const mine = held[worker].find(number);
        auto const& at = partitions[number];
        return mine != held[worker].end() && at.owner == worker && at.epoch == mine->second;
    }

    // --- producers -------------------------------------------------------------------------------

    /// False: refused, an id that is stored already stands for something else.
    bool enqueue(std::size_t producer, std::vector<message> const& drafts) {
        std::vector<message> added;
        for (auto one : drafts) {
            auto stored = messages;
            stored.insert(stored.end(), uncommitted[producer].begin(), uncommitted[producer].end());
            stored.insert(stored.end(), added.begin(), added.end());
            auto const other = std::ranges::find(stored, one.number, &message::number);
            if (other != stored.end()) {
                bool const same = other->topic == one.topic && other->key == one.key &&
                                  other->payload == one.payload;
                if (!same) return false;
                continue;
            }
            one.place = ++draws;
            one.created = now;
            if (one.due > now) one.state = record_state::scheduled;
            added.push_back(one);
        }
        uncommitted[producer].insert(uncommitted[producer].end(), added.begin(), added.end());
        return true;
    }
    void commit(std::size_t producer) {
        for (auto const& one : uncommitted[producer]) messages.push_back(one);
        uncommitted[producer].clear();
    }

    // --- leases ----------------------------------------------------------------------------------

    bool has_work(int number) {
        if (!of_partition(number, record_state::ready).empty()) return true;
        auto const scheduled = of_partition(number, record_state::scheduled);
        if (std::ranges::any_of(scheduled, [&](auto* one) { return one->due <= now; })) return true;
        return std::ranges::any_of(partition_of, [&](auto const& entry) {
            auto const line = of_key(entry.first, record_state::retrying);
            return entry.second == number && !line.empty() && line.front()->due <= now &&
                   !blocked(*line.front());
        });
    }
    struct prospect {
        std::set<int> free{};   ///< partitions with work that the worker may take
        std::set<int> taken{};  ///< partitions with work that others hold
        int room{0};            ///< so many may it take
    };
    prospect look(int worker, int most) {
        prospect found;
        std::set<int> owners{worker};
        for (auto const& [number, one] : partitions) {
            if (live(one)) owners.insert(*one.owner);
        }
        auto const live_owners = static_cast<int>(owners.size());
        auto const share = (partition_count + live_owners - 1) / live_owners;
        found.room = std::min(most, share - static_cast<int>(held[worker].size()));
        for (auto& [number, one] : partitions) {
            if (held[worker].contains(number) || !has_work(number)) continue;
            (live(one) && one.owner != worker ? found.taken : found.free).insert(number);
        }
        return found;
    }
    [[nodiscard]] std::int32_t buried_lately() const {
        return static_cast<std::int32_t>(std::ranges::count_if(messages, [&](message const& one) {
            return one.state == record_state::dead && one.deaths > 0 &&
                   one.ended > now - std::chrono::hours{1};
        }));
    }
    /// What the tenure should say, but for numbers that are the storage's own.
    outbox::tenure take(int worker, int number, outbox::acquire_request const& request) {
        auto& at = partitions[number];
        outbox::tenure got{.partition = static_cast<outbox::partition_number>(number)};
        let_go(number);
        if (at.owner && at.owner != worker) {
            ++at.care.strikes;
            at.care.left = at.care.reach;
            at.care.reach = request.careful_reach;
            if (at.suspect != 0) {
                auto& accused = named(at.suspect);
                ++accused.deaths;
                accused.state = record_state::retrying;
                accused.due = now;
                accused.in_hand = true;
                got.accused = outbox::accused_record{.id = numbered(accused.number),
                                                     .key = accused.key,
                                                     .attempts = accused.attempts,
                                                     .deaths = accused.deaths,
                                                     .buried_lately = buried_lately()};
            }
        } else {
            at.care.reach = at.care.left > 0 ? request.careful_reach : request.reach;
        }
        at.owner = worker;
        at.suspect = 0;
        at.lease_until = now + request.lease;
        at.served = services;
        at.touched = false;
        at.to_tell.clear();
        held[worker][number] = ++at.epoch;
        got.care = at.care;
        got.parked = parked(number);
        return got;
    }
    std::vector<outbox::parked_key> parked(int number) {
        std::vector<outbox::parked_key> found;
        for (auto const& [key, place] : partition_of) {
            if (place != number) continue;
            auto const line = of_key(key, record_state::retrying);
            outbox::parked_key one{static_cast<outbox::partition_number>(number), key};
            if (!line.empty()) {
                one.due_in = std::max(line.front()->due - now, outbox::duration::zero());
                one.blocked = blocked(*line.front());
            } else {
                one.blocked = block && !of_key(key, record_state::dead).empty();
                if (!one.blocked) continue;
            }
            found.push_back(one);
        }
        return found;
    }
    void release(int worker, int number, outbox::caution const& care) {
        if (!owns(worker, number)) return;
        let_go(number);
        auto& at = partitions[number];
        at.owner.reset();
        at.care = care;
        at.suspect = 0;
        at.served = services;
    }
    void let_go(int number) {
        for (auto& one : messages) {
            if (partition_at(one) == number) one.in_hand = false;
        }
    }

    // --- rounds ----------------------------------------------------------------------------------

    void settle(int number, outbox::settlement const& as) {
        auto& one = named(number);
        one.in_hand = false;
        if (as.what == fate::hand_back) return;
        auto& noted = partitions[partition_at(one)].suspect;
        if (noted == number) noted = 0;
        if (as.what == fate::retry || as.what == fate::bury) {
            one.attempts = as.attempts;
            one.error = as.error;
        }
        one.due = now + as.delay;
        one.ended = now;
        switch (as.what) {
            case fate::remove:
                std::erase_if(messages, [&](auto& other) { return other.number == number; });
                break;
            case fate::stamp: one.state = record_state::published; break;
            case fate::bury: one.state = record_state::dead; break;
            case fate::schedule: one.state = record_state::scheduled; break;
            default: one.state = record_state::retrying; break;
        }
    }
    /// Scheduled messages whose time has come join the end of the line, earliest first.
    void promote(int number) {
        auto due = of_partition(number, record_state::scheduled);
        std::erase_if(due, [&](auto* one) { return one->due > now; });
        std::ranges::stable_sort(due, {}, &message::due);
        for (auto* one : due) {
            one->state = record_state::ready;
            one->place = ++draws;
        }
    }
    std::vector<message*> readable(int number) {
        auto line = of_partition(number, record_state::ready);
        std::erase_if(line, [](auto* one) { return one->in_hand; });
        return line;
    }
    std::vector<message*> readable_due(std::string const& key, bool alone) {
        std::vector<message*> line;
        for (auto* one : of_key(key, record_state::retrying)) {
            if (blocked(*one)) break;
            if (one->in_hand) continue;
            if (one->deaths > 0 && !alone) break;
            line.push_back(one);
        }
        return line;
    }
    bool drained(std::string const& key) {
        return of_key(key, record_state::retrying).empty() &&
               !(block && !of_key(key, record_state::dead).empty());
    }

    // --- operators -------------------------------------------------------------------------------

    void touch(message const& of, bool must_be_told) {
        auto& at = partitions[partition_at(of)];
        at.touched = true;
        if (must_be_told) at.to_tell.insert(of.key);
    }
    void requeue(std::vector<message*> const& dead) {
        for (auto* one : dead) {
            touch(*one, true);
            one->state = record_state::retrying;
            one->due = now;
            ++one->generation;
            one->attempts = one->deaths = 0;
        }
    }
    void replay(std::vector<message*> const& published) {
        for (auto* one : published) {
            touch(*one, true);
            one->state = record_state::retrying;
            one->due = now;
        }
    }
    void erase(std::vector<message*> const& gone) {
        std::set<int> gone_numbers;
        for (auto* one : gone) {
            gone_numbers.insert(one->number);
            auto const line = of_key(one->key, record_state::retrying);
            bool const may_unblock = one->state == record_state::dead && !line.empty();
            touch(*one, may_unblock && blocked(*line.front()));
        }
        std::erase_if(messages, [&](auto& one) { return gone_numbers.contains(one.number); });
    }
};

}  // namespace outbox::testing::laws
