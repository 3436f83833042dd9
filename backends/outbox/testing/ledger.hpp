// SPDX-License-Identifier: MIT
//
// What a simulated run knows better than the worker under test: which messages exist, where each
// stands, what became of its copies, who owns what. Whatever breaks a guarantee is noted where it
// happens.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "outbox/lease.hpp"
#include "outbox/options.hpp"
#include "outbox/settlement.hpp"
#include "outbox/testing/journal.hpp"
#include "outbox/testing/stage.hpp"

namespace outbox::testing {

/// What is wrong with a message itself.
enum class poison : std::uint8_t {
    none,
    flaky,
    rejected,
    refused,
    unroutable,
    breaks_channel,
    kills
};

enum class end_of_sending : std::uint8_t { flying, accepted, failed, doubtful };

struct sending {
    int life{0};
    attempt_token token{0};
    monotonic_time at{};
    int takeovers{0};
    int touches{0};
    end_of_sending end{end_of_sending::flying};
    bool accepted{false};  ///< in time or not
};

/// A message, as those know it who see everything.
struct ghost {
    enum class place : std::uint8_t { stored, published, dead, gone };

    message_id id{};
    int number{0};
    std::string topic{};
    std::string key{};
    std::string payload{};
    poison wrong{poison::none};
    place at{place::stored};
    std::size_t turn{0};  ///< among those of its key, in the order of creation
    bool scheduled{false};
    bool acknowledged{false};
    int copies{0};
    int failures{0};     ///< that speak against the message
    int touches{0};      ///< times that an operator, or a crash of the storage, made it wait again
    int accusations{0};  ///< times that it was found alone in the hand of a dead worker
    /// In the whole world, when it last failed in the hand of this or that life.
    std::map<int, int> acceptances{};
    bool uncounted{false};
    std::vector<sending> sendings{};
};

/// A partition's lease, as the storage granted it.
struct granted {
    int life{0};
    epoch_number epoch{0};
    monotonic_time until{};
    int takeovers{0};
};

class ledger {
public:
    ledger(stage const& on, journal& to, options const& of) : stage_{on}, log{to}, settings{of} {}

    std::map<message_id, ghost> messages{};
    std::map<std::string, std::vector<message_id>> keys{};
    std::map<partition_number, granted> leases{};
    int acceptances{0};
    std::optional<monotonic_time> outage_since{};  ///< of whatever kind

    [[nodiscard]] monotonic_time now() const {
        return stage_.now();
    }
    void require(bool holds, std::string const& what) {
        if (!holds) log.accuse(what);
    }
    void require(bool holds, char const* what, ghost const& of) {
        if (holds) return;
        log.accuse(std::string{what} + ": message " + std::to_string(of.number) + " of key '" +
                   of.key + "'");
    }
    template <class... Parts>
    void tell(Parts const&... parts) {
        log.tell(now(), parts...);
    }

    // Lives of workers. A dead one's calls do nothing any more.
    int begin_life() {
        dead_.push_back(false);
        return static_cast<int>(dead_.size()) - 1;
    }
    [[nodiscard]] bool is_dead(int life) const {
        return dead_[static_cast<std::size_t>(life)];
    }
    void end_life(int life) {
        dead_[static_cast<std::size_t>(life)] = true;
    }
    void kill(int life) {
        if (is_dead(life)) return;
        end_life(life);
        tell("worker ", life, " is killed");
        log.mark("a worker was killed");
    }
    void storage_failed(int life) {
        failed_.insert(life);
    }
    /// It ended by itself: what it held is free, unless its storage failed it.
    void stopped(int life) {
        log.mark("a worker stopped");
        if (failed_.contains(life)) return;
        for (auto const& [partition, owned] : leases) {
            require(owned.life != life || owned.until <= now(), "G9: a lease was left");
        }
    }

    // Messages.
    void created(ghost one) {
        auto& line = keys[one.key];
        one.turn = line.size();
        line.push_back(one.id);
        tell("message ", one.number, " of key '", one.key, "' is committed");
        messages[one.id] = std::move(one);
    }
    void sent(message_id const& id, partition_number partition, sending one);
    void landed(message_id const& id);
    void answered(message_id const& id, attempt_token token, int life, end_of_sending end);
    /// Something befell a copy that may cost an attempt; if it was sent in an outage, only when
    /// something else was accepted since this message's last failure that its worker knows of.
    void doubted(message_id const& id) {
        auto& of = messages.at(id);
        auto const& copy = of.sendings.back();
        bool const passing = has_passed_since_failure(of);
        of.acceptances[copy.life] = acceptances;
        of.uncounted = outage_since && copy.at >= *outage_since && !passing;
        if (!of.uncounted) ++of.failures;
    }
    /// What befell its last copy was its own fault, outage or not.
    static void is_at_fault(ghost& of) {
        if (std::exchange(of.uncounted, false)) ++of.failures;
    }
    /// An operator makes it wait again.
    void touched(message_id const& id);
    /// The storage forgot that it was published.
    void forgotten(message_id const& id) {
        auto& of = messages.at(id);
        tell("the storage forgets that message ", of.number, " was published");
        log.mark("a settlement was forgotten");
        of.at = ghost::place::stored;
        ++of.touches;
    }
    void settled(settlement const& one, message_id const& id);

    // Partitions.
    void acquired(int life, tenure const& got, duration lasts);
    void renewed(partition_number partition, int life, duration lasts) {
        require(leases[partition].life == life, "G3: renewed what another owns");
        leases[partition].until = now() + lasts;
    }
    void released(partition_number partition, int life, epoch_number epoch) {
        auto& owned = leases[partition];
        if (owned.life != life || owned.epoch != epoch) return;
        tell("worker ", life, " releases partition ", partition);
        owned.until = {};
    }

private:
    /// Anything was accepted since the worker that sent it last saw it fail.
    [[nodiscard]] bool has_passed_since_failure(ghost const& of) const {
        auto const failed = of.acceptances.find(of.sendings.back().life);
        return failed == of.acceptances.end() || failed->second != acceptances;
    }
    [[nodiscard]] bool is_through(ghost const& one) const;
    [[nodiscard]] char const* excuse(ghost const& of, sending const& earlier,
                                     partition_number partition) const;

    stage const& stage_;

public:
    journal& log;
    options const settings;

private:
    std::vector<bool> dead_{};
    std::set<int> failed_{};  ///< lives that lost a session
};

inline void ledger::acquired(int life, tenure const& got, duration lasts) {
    auto& owned = leases[got.partition];
    tell("worker ", life, " acquires partition ", got.partition, ", epoch ", got.epoch);
    if (owned.life != life) {
        require(owned.until <= now(), "G3: taken from a living owner");
        ++owned.takeovers;
        bool const unclean = owned.until != monotonic_time{};
        log.mark(unclean ? "an unclean take-over" : "a clean hand-over");
    } else if (owned.until != monotonic_time{}) {
        log.mark("a worker took back its own partition");
    }
    require(got.epoch > owned.epoch, "G3: an epoch did not rise");
    owned.life = life;
    owned.epoch = got.epoch;
    owned.until = now() + lasts;
    if (got.care.left > 0) log.mark("a partition was taken over with care");
    if (!got.parked.empty()) log.mark("parked keys were handed over");
    if (!got.accused) return;
    log.mark("a record was accused");
    ++messages.at(got.accused->id).accusations;
}

/// Why a message may be sent again, seen from an earlier sending.
inline char const* ledger::excuse(ghost const& of, sending const& earlier,
                                  partition_number partition) const {
    auto const age = now() - earlier.at;
    if (earlier.touches != of.touches) return "sent again: it was made to wait again";
    if (is_dead(earlier.life)) return "sent again: its worker died";
    if (earlier.end == end_of_sending::failed) return "sent again: it failed";
    if (earlier.end == end_of_sending::doubtful) return "sent again: it was in doubt";
    if (leases.at(partition).takeovers != earlier.takeovers) {
        return "sent again: its partition was taken over";
    }
    if (age > settings.lease_duration) return "sent again: its lease ran out";
    if (earlier.end == end_of_sending::flying && age >= settings.effective_publish_timeout()) {
        return "sent again: its receipt was late";
    }
    return nullptr;
}

inline void ledger::sent(message_id const& id, partition_number partition, sending one) {
    auto const found = messages.find(id);
    if (found == messages.end()) return require(false, "G7: sent what was never committed");
    auto& of = found->second;
    auto const& owned = leases[partition];
    tell("worker ", one.life, " sends message ", of.number);
    require(owned.life == one.life, "G3: sent by one who does not own the partition", of);
    require(now() < owned.until, "G3: sent after the lease", of);
    require(of.at == ghost::place::stored, "G8: sent after its end", of);
    require(!is_dead(one.life), "a dead worker sends");
    require(of.topic.find(' ') == std::string::npos, "G13: sent what no broker carries", of);
    for (auto const& earlier : of.sendings) {
        auto const* why = excuse(of, earlier, partition);
        require(why != nullptr, "G6: sent again for no reason", of);
        if (why != nullptr) log.mark(why);
    }
    one.takeovers = owned.takeovers;
    one.touches = of.touches;
    of.sendings.push_back(one);
}

/// Nothing newer of its key need wait for it.
inline bool ledger::is_through(ghost const& one) const {
    if (one.copies > 0 || one.scheduled || one.touches > 0) return true;
    if (one.at == ghost::place::gone) return true;
    return one.at == ghost::place::dead && settings.on_dead_letter == after_dead_letter::go_on;
}

inline void ledger::landed(message_id const& id) {
    auto& of = messages.at(id);
    tell("message ", of.number, " lands");
    if (is_dead(of.sendings.back().life)) log.mark("a dead worker's copy landed");
    if (of.at == ghost::place::dead) log.mark("a copy landed after its dead letter");
    if (++of.copies > 1) return log.mark("a second copy landed");
    if (of.touches > 0 || of.scheduled) return;
    auto const& line = keys.at(of.key);
    for (std::size_t turn = 0; turn < of.turn; ++turn) {
        auto const& before = messages.at(line[turn]);
        if (!is_through(before)) {
            log.accuse("G4: message " + std::to_string(of.number) + " overtook " +
                       std::to_string(before.number) + " of key '" + of.key + "'");
        }
    }
}

inline void ledger::answered(message_id const& id, attempt_token token, int life,
                             end_of_sending end) {
    auto& of = messages.at(id);
    for (auto& one : of.sendings) {
        if (one.token != token || one.life != life || one.end == end_of_sending::accepted) continue;
        bool const late = now() - one.at >= settings.effective_publish_timeout();
        if (late) log.mark("a receipt came too late");
        one.end = late ? end_of_sending::doubtful : end;
        one.accepted = one.accepted || end == end_of_sending::accepted;
        if (end == end_of_sending::accepted && one.touches == of.touches) of.acknowledged = true;
    }
}

inline void ledger::touched(message_id const& id) {
    auto& of = messages.at(id);
    of.at = ghost::place::stored;
    // A worker that lost its session may take a replay for the delivery that it repeats, for as
    // long as a lease.
    of.acknowledged = std::ranges::any_of(of.sendings, [&](sending const& one) {
        return one.accepted && now() - one.at <= settings.lease_duration;
    });
    ++of.touches;
}

inline void ledger::settled(settlement const& one, message_id const& id) {
    auto& of = messages.at(id);
    if (one.what == fate::hand_back) return log.mark("a record was handed back");
    require(of.at == ghost::place::stored, "G8: settled twice", of);
    if (one.what == fate::follow) log.mark("a follower was flagged");
    if (one.what == fate::schedule) log.mark("a record was scheduled by its worker");
    if (one.what == fate::remove || one.what == fate::stamp) {
        require(of.acknowledged && of.copies > 0, "G2: settled without an acknowledgement", of);
        of.at = one.what == fate::remove ? ghost::place::gone : ghost::place::published;
        tell("message ", of.number, " is settled as published");
    }
    if (one.what != fate::retry && one.what != fate::bury) return;
    // Silence in an outage shows when that is over.
    if (std::exchange(of.uncounted, false) && has_passed_since_failure(of)) ++of.failures;
    // What is refused may be so before it is ever sent.
    require(one.attempts <= of.failures + (of.wrong == poison::refused ? 1 : 0),
            "G12: attempts for nothing", of);
    if (one.what == fate::retry) {
        log.mark("a failure was stored");
        return tell("message ", of.number, " is to be tried again, attempt ", one.attempts);
    }
    tell("message ", of.number, " is buried after ", one.attempts, " attempts");
    bool const deserved = of.wrong == poison::refused || one.attempts >= settings.max_attempts ||
                          of.accusations >= settings.max_deaths;
    require(deserved, "G11: an innocent was buried", of);
    log.mark(of.accusations >= settings.max_deaths ? "a killer was buried"
                                                   : "a message was buried");
    of.at = ghost::place::dead;
}

}  // namespace outbox::testing
