// SPDX-License-Identifier: MIT
//
// The simulated world: a stage, a storage, a network, and what is wrong with them at the moment.
// Policies of workers, producers and operators all act in one of these.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "outbox/storage/memory.hpp"
#include "outbox/testing/faults.hpp"
#include "outbox/testing/ledger.hpp"
#include "outbox/testing/memory_surgery.hpp"
#include "outbox/wakeup.hpp"

namespace outbox::testing {

/// What is wrong for everybody.
enum class outage : std::uint8_t { none, storage, broker, swallowing, unready, routeless };

class world {
public:
    world(std::uint64_t seed, options const& settings, fortune what_strikes)
        : book{time, log, settings}, fates{std::move(what_strikes)}, pace{seed} {}
    world(world const&) = delete;
    world& operator=(world const&) = delete;

    stage time{};
    journal log{};
    ledger book;
    fortune fates;
    chance pace;  ///< how long everything takes
    memory_storage storage{time.clock()};
    std::map<wakeup*, stage::actor> sleepers{};  ///< who waits for which signal
    duration civil_jump{0};
    int storage_incarnation{0};
    std::int64_t calls{0};

    [[nodiscard]] outage now_down() const {
        return now_down_;
    }
    void go_down(outage what) {
        now_down_ = what;
        if (what == outage::none) {
            book.outage_since.reset();
        } else {
            book.outage_since = time.now();
        }
        static constexpr std::array names{"everything is up",       "the storage is down",
                                          "the broker is down",     "the broker swallows",
                                          "the broker refuses all", "the broker routes nothing"};
        book.tell(std::string_view{names[static_cast<std::size_t>(what)]});
        log.mark(names[static_cast<std::size_t>(what)]);
    }

    /// A policy call of an actor: others go on meanwhile.
    void take_time(duration most) {
        ++calls;
        if (time.current() != stage::none) time.pause(pace.up_to(most));
    }
    [[nodiscard]] fault strike(occasion where, int life) {
        auto const what = fates.strike(where);
        if (what == fault::none) return what;
        auto const* kind = kind_of(what);
        log.mark(kind->name);
        book.tell("worker ", life, ": ", kind->name);
        return what;
    }
    /// The whole process stands still.
    void stall(duration by) {
        if (time.current() != stage::none) time.pause(by);
    }
    void notify(wakeup& signal) {
        if (auto const found = sleepers.find(&signal); found != sleepers.end()) {
            time.wake(found->second);
        }
    }

    /// The broker's stream takes a copy, or drops it since it has it; or refuses it, because the
    /// one that it is to stand right behind is not the last that was taken: false. As in JetStream,
    /// a copy that it has is dropped whatever it is to stand behind.
    [[nodiscard]] bool store(message_id const& id, std::int32_t generation,
                             std::optional<message_id> const& behind) {
        if (stream_.contains({id, generation})) return true;
        if (behind && behind != last_in_stream_) return false;
        stream_.emplace(id, generation);
        last_in_stream_ = id;
        return true;
    }

    // A storage that stamps without waiting for its disk may forget that in a crash.
    struct undurable {
        message_id id{};
        record_state before{record_state::ready};
        monotonic_time at{};
    };
    void stamped(undurable one) {
        recent_.push_back(one);
    }
    /// Something was committed durably, and with it all that was before.
    void made_durable() {
        recent_.clear();
    }
    /// Every connection is lost. What was committed last without being durable is forgotten, from
    /// some moment on.
    void crash_storage(chance sizes) {
        ++storage_incarnation;
        log.mark("the storage crashed");
        auto const kept = sizes.below(static_cast<std::int64_t>(recent_.size()) + 1);
        for (auto at = static_cast<std::size_t>(kept); at < recent_.size(); ++at) {
            auto const& one = recent_[at];
            if (time.now() - one.at > flush_interval) continue;
            if (memory_surgery::unpublish(storage, one.id, one.before)) book.forgotten(one.id);
        }
        recent_.clear();
    }

private:
    /// PostgreSQL writes its log at the latest three `wal_writer_delay`s after a commit.
    static constexpr duration flush_interval = std::chrono::milliseconds{600};

    outage now_down_{outage::none};
    std::vector<undurable> recent_{};
    std::set<std::pair<message_id, std::int32_t>> stream_{};
    message_id last_in_stream_{};
};

/// A worker's clocks: each machine counts from another moment, and its civil time may jump.
class simulated_clock {
public:
    explicit simulated_clock(world& of, duration ahead = {}) : world_{&of}, ahead_{ahead} {}
    [[nodiscard]] monotonic_time now() const {
        return world_->time.now() + ahead_;
    }
    [[nodiscard]] wall_time wall() const {
        return world_->time.clock().wall() + world_->civil_jump;
    }
    void wait(wakeup& /*signal*/, monotonic_time until, int /*also*/ = -1) const {
        world_->stall(std::max(until - now(), duration::zero()));
    }

private:
    world* world_;
    duration ahead_;
};

}  // namespace outbox::testing
