// SPDX-License-Identifier: MIT
//
// What a simulated run knows better than the relay under test: which messages exist, where each
// stands, what happened to its copies, who owns what. Whatever breaks a guarantee is noted where it
// happens. One thread, virtual time, one seed.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "outbox/options.hpp"
#include "outbox/storage/memory.hpp"

namespace simulation {

using outbox::duration;
using outbox::message_id;
using outbox::monotonic_time;
using outbox::partition_number;

class chance {
public:
    explicit chance(std::uint64_t seed) : source_{seed} {}
    std::int64_t below(std::int64_t end) {
        return static_cast<std::int64_t>(source_.random() % static_cast<std::uint64_t>(end));
    }
    bool in_thousand(std::int64_t cases) {
        return below(1'000) < cases;
    }
    duration up_to(duration most) {
        return duration{below(most.count() + 1)};
    }

private:
    outbox::message_id_generator source_;
};

/// What is wrong with a message itself.
enum class poison { none, flaky, rejected, refused, unroutable, breaks_channel, kills };

/// What is wrong with everything.
enum class outage { none, storage, broker, swallowing, unavailable, unroutable };

/// How often what goes wrong, in a thousand.
struct faults {
    std::int64_t contention{0};
    std::int64_t fails_before{0};
    std::int64_t fails_after{0};
    std::int64_t stalls{0};
    std::int64_t slow{0};      ///< copies that land late
    std::int64_t lost{0};      ///< receipts that never come
    std::int64_t doubtful{0};  ///< receipts that say unknown, delivered or not
    std::int64_t twice{0};     ///< receipts that come again later
    std::int64_t breaks{0};    ///< channels, at a send
    std::int64_t kills{0};     ///< workers, at any call
    std::int64_t outages{0};
    std::int64_t stops{0};
    std::int64_t operators{0};
    std::int64_t poisons{0};
};

enum class end_of_sending { flying, accepted, failed, doubtful };

struct sending {
    int life{0};
    std::uint64_t channel{0};
    outbox::attempt_token token{0};
    monotonic_time at{};
    int takeovers{0};
    int touches{0};
    end_of_sending end{end_of_sending::flying};
};

/// Where a message stands, as those know who see everything.
struct ghost {
    enum class place { stored, published, dead, gone };

    message_id id{};
    std::string topic{};
    std::string key{};
    std::string payload{};
    poison wrong{poison::none};
    place at{place::stored};
    std::size_t turn{0};  ///< among those of its key, in the order of creation
    bool scheduled{false};
    bool acknowledged{false};
    int copies{0};
    int failures{0};      ///< that speak against the message
    int touches{0};       ///< times that an operator sent it again
    int acceptances{-1};  ///< in the whole world, when it failed last
    bool uncounted{false};
    std::vector<sending> sendings{};
};

struct lease {
    int life{0};
    outbox::epoch_number epoch{0};
    monotonic_time until{};
    int takeovers{0};
};

class world {
public:
    world(std::uint64_t seed, outbox::options const& of) : random{seed}, settings{of} {}

    outbox::manual_clock clock{};
    outbox::memory_storage storage{clock};
    chance random;
    outbox::options settings;
    faults often{};
    outage now_down{outage::none};
    int acceptances{0};
    std::map<std::string, int> hits{};      ///< what happened, and how often
    std::string violation{};                ///< the first one
    std::function<void(int)> let_others{};  ///< run while this life stalls
    std::map<message_id, ghost> messages{};
    std::map<std::string, std::vector<message_id>> keys{};
    std::map<partition_number, lease> leases{};
    std::set<outbox::wakeup*> notified{};

    void require(bool holds, std::string const& what) {
        if (!holds && violation.empty()) violation = what;
    }
    void require(bool holds, std::string const& what, ghost const& of) {
        if (holds || !violation.empty()) return;
        violation = what + ": message " + of.payload + " of key '" + of.key + "'";
    }

    // Lives of workers. A dead one's calls do nothing any more.
    int begin_life() {
        dead_.push_back(false);
        return static_cast<int>(dead_.size()) - 1;
    }
    void kill(int life, char const* why) {
        if (dead_[static_cast<std::size_t>(life)]) return;
        dead_[static_cast<std::size_t>(life)] = true;
        ++hits[why];
    }
    /// It ended by itself: what it held is free, unless its storage failed it.
    void stopped(int life) {
        if (is_dead(life) || failed_.contains(life)) return;
        for (auto const& [partition, owned] : leases) {
            require(owned.life != life || owned.until <= clock.now(), "G9: a lease was left");
        }
    }
    void storage_failed(int life) {
        failed_.insert(life);
    }
    [[nodiscard]] bool is_dead(int life) const {
        return dead_[static_cast<std::size_t>(life)];
    }

    // Time, and what happens when it comes.
    void at(monotonic_time when, std::function<void()> what) {
        events_.emplace(when, std::move(what));
    }
    [[nodiscard]] std::optional<monotonic_time> next_event() const {
        if (events_.empty()) return std::nullopt;
        return events_.begin()->first;
    }
    void advance(duration by) {
        auto const until = clock.now() + by;
        while (!events_.empty() && events_.begin()->first <= until) {
            auto const [when, what] = *events_.begin();
            events_.erase(events_.begin());
            if (when > clock.now()) clock.advance(when - clock.now());
            what();
        }
        clock.advance(until - clock.now());
    }
    void stall(int life, duration by) {
        if (stalled_) return advance(by);
        stalled_ = true;
        ++hits["a worker stalled"];
        auto const until = clock.now() + by;
        while (clock.now() < until) {
            advance(random.up_to(by / 8) + duration{1});
            let_others(life);
        }
        stalled_ = false;
    }

    void notify(outbox::wakeup& signal) {
        notified.insert(&signal);
    }
    [[nodiscard]] bool was_notified(outbox::wakeup& signal) {
        return notified.erase(&signal) > 0;
    }

    // The messages.
    void created(ghost one) {
        auto& line = keys[one.key];
        one.turn = line.size();
        line.push_back(one.id);
        messages[one.id] = std::move(one);
    }
    void sent(message_id const& id, partition_number partition, sending one);
    void landed(message_id const& id);
    void answered(message_id const& id, outbox::attempt_token token, int life, end_of_sending end);
    /// Something befell a copy that may cost an attempt; in an outage, only if something else was
    /// accepted since this message's last failure.
    void doubted(message_id const& id) {
        auto& of = messages.at(id);
        auto const before = std::exchange(of.acceptances, acceptances);
        of.uncounted = now_down != outage::none && before == acceptances;
        if (!of.uncounted) ++of.failures;
    }
    void touched(message_id const& id);
    void settled(outbox::settlement const& one, message_id const& id);

private:
    [[nodiscard]] bool is_through(ghost const& one) const;
    [[nodiscard]] char const* excuse(ghost const& of, sending const& earlier,
                                     partition_number partition) const;

    std::multimap<monotonic_time, std::function<void()>> events_{};
    std::vector<bool> dead_{};
    std::set<int> failed_{};  ///< lives that lost a session
    bool stalled_{false};
};

/// What of one worker's sending ends badly is the worker's excuse for the next one.
inline char const* world::excuse(ghost const& of, sending const& earlier,
                                 partition_number partition) const {
    auto const age = clock.now() - earlier.at;
    if (earlier.touches != of.touches) return "an operator sent it again";
    if (is_dead(earlier.life)) return "its worker died";
    if (earlier.end == end_of_sending::failed) return "it failed";
    if (earlier.end == end_of_sending::doubtful) return "it was in doubt";
    auto const& owned = leases.at(partition);
    if (owned.takeovers != earlier.takeovers) return "its partition was taken over";
    if (age > settings.lease_duration) return "its lease ran out";
    if (earlier.end == end_of_sending::flying && age >= settings.effective_publish_timeout()) {
        return "its receipt was late";
    }
    return nullptr;
}

inline void world::sent(message_id const& id, partition_number partition, sending one) {
    auto& of = messages.at(id);
    auto const& owned = leases[partition];
    require(owned.life == one.life, "G3: sent by one who does not own the partition", of);
    require(clock.now() < owned.until, "G3: sent after the lease", of);
    require(of.at == ghost::place::stored, "G8: sent after its end", of);
    require(!is_dead(one.life), "a dead worker sends");
    for (auto const& earlier : of.sendings) {
        auto const* why = excuse(of, earlier, partition);
        require(why != nullptr, "G6: sent again for no reason", of);
        if (why != nullptr) ++hits[std::string{"sent again: "} + why];
    }
    one.takeovers = owned.takeovers;
    one.touches = of.touches;
    of.sendings.push_back(one);
}

/// Nothing newer of its key need wait for it.
inline bool world::is_through(ghost const& one) const {
    if (one.copies > 0 || one.scheduled || one.touches > 0) return true;
    if (one.at == ghost::place::gone) return true;
    return one.at == ghost::place::dead &&
           settings.on_dead_letter == outbox::after_dead_letter::go_on;
}

inline void world::landed(message_id const& id) {
    auto& of = messages.at(id);
    if (++of.copies > 1 || of.touches > 0 || of.scheduled) return;
    auto const& line = keys.at(of.key);
    for (std::size_t turn = 0; turn < of.turn; ++turn) {
        auto const& before = messages.at(line[turn]);
        require(is_through(before), "G4: overtook " + before.payload, of);
    }
}

inline void world::answered(message_id const& id, outbox::attempt_token token, int life,
                            end_of_sending end) {
    auto& of = messages.at(id);
    for (auto& one : of.sendings) {
        if (one.token != token || one.life != life || one.end == end_of_sending::accepted) continue;
        bool const late = clock.now() - one.at >= settings.effective_publish_timeout();
        one.end = late ? end_of_sending::doubtful : end;
        if (end == end_of_sending::accepted && one.touches == of.touches) of.acknowledged = true;
    }
}

inline void world::touched(message_id const& id) {
    auto& of = messages.at(id);
    of.at = ghost::place::stored;
    // A worker that lost its session may take a replay for the delivery that it repeats, for as
    // long as a lease.
    of.acknowledged = std::ranges::any_of(of.sendings, [&](sending const& one) {
        return one.end == end_of_sending::accepted &&
               clock.now() - one.at <= settings.lease_duration;
    });
    ++of.touches;
}

inline void world::settled(outbox::settlement const& one, message_id const& id) {
    using outbox::fate;
    auto& of = messages.at(id);
    if (one.what == fate::hand_back) return;
    require(of.at == ghost::place::stored, "G8: settled twice", of);
    if (one.what == fate::remove || one.what == fate::stamp) {
        require(of.acknowledged && of.copies > 0, "G2: settled without an acknowledgement", of);
        of.at = one.what == fate::remove ? ghost::place::gone : ghost::place::published;
    }
    if (one.what != fate::retry && one.what != fate::bury) return;
    // Silence in an outage shows when that is over.
    if (std::exchange(of.uncounted, false) && of.acceptances != acceptances) ++of.failures;
    require(one.attempts <= of.failures, "G12: attempts for nothing", of);
    if (one.what != fate::bury) return;
    bool const deserved = of.wrong == poison::refused || of.wrong == poison::kills ||
                          one.attempts >= settings.max_attempts ||
                          hits["killed at some call"] + hits["a worker stalled"] +
                                  hits["storage down"] + hits["failed after the effect"] +
                                  hits["failed before the effect"] >
                              0;
    require(deserved, "G11: an innocent was buried", of);
    ++hits["buried"];
    of.at = ghost::place::dead;
}

}  // namespace simulation
