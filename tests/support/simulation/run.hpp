// SPDX-License-Identifier: MIT
//
// One simulated run: workers that step in any order, producers, an operator, and a nemesis; then
// the faults stop, and everything must drain by the workers' own wish to wake. The same seed tells
// the same story.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "outbox/delete_policy.hpp"
#include "outbox/parts.hpp"
#include "outbox/relay.hpp"
#include "support/simulation/policies.hpp"

namespace simulation {

using namespace std::chrono_literals;

class run {
    using parts =
        outbox::parts<storage, broker, outbox::manual_clock, outbox::soft_delete, outbox::silent>;

    struct worker {
        int life;
        parts of;
        outbox::worker_line line{};
        outbox::relay<parts> engine;
        monotonic_time wake_at{};
        bool stopping{false};

        worker(world& w, int number, message_id const& id, std::uint64_t seed)
            : life{number},
              of{storage{w, number}, broker{w, number}, w.settings, w.clock, {}, {}, seed},
              engine{of, line, id, seed} {}
    };
    struct producer {
        outbox::memory_storage::connection connection{};
        std::vector<ghost> staged{};
        bool open{false};
    };

public:
    explicit run(std::uint64_t seed, outbox::options const& settings, faults const& often)
        : world_{seed, settings} {
        world_.often = often;
        world_.let_others = [this](int life) { step_anyone_but(life); };
        auto const count = 2 + random().below(3);
        for (std::int64_t i = 0; i < count; ++i) workers_.push_back(hire());
    }

    /// Everything that can go wrong, `steps` times.
    void suffer(int steps) {
        for (int i = 0; i < steps && world_.violation.empty(); ++i) {
            reap();
            auto const what = random().below(100);
            if (what < 20) {
                produce();
            } else if (what < 30) {
                bool const long_pause = random().in_thousand(30);
                world_.advance(
                    random().up_to(long_pause ? duration{world_.settings.lease_duration} : 20ms));
            } else if (what < 35) {
                trouble();
            } else {
                step_anyone_but(-1);
            }
            if (i % 16 == 0) count();
        }
    }
    /// The faults stop; what is poisoned stays so.
    void heal() {
        world_.often = {};
        healed_ = true;
        world_.now_down = outage::none;
        for (auto& one : producers_) commit(one);
        reap();
    }
    /// Lets time pass, each worker waking when it wants to, until nothing is left; false when that
    /// takes longer than `limit`.
    bool drain(duration limit) {
        auto const until = world_.clock.now() + limit;
        for (int passes = 1; world_.violation.empty(); ++passes) {
            reap();
            if (nothing_is_left()) return true;
            if (passes % 100 == 0) pulse();
            if (world_.clock.now() >= until) return false;
            pass(until);
            if (world_.settings.on_dead_letter == outbox::after_dead_letter::block) discard_all();
        }
        return true;
    }
    /// How many rounds workers without work take in that time.
    int idle(duration time) {
        auto const until = world_.clock.now() + time;
        int rounds = 0;
        while (world_.clock.now() < until && world_.violation.empty()) rounds += pass(until);
        return rounds;
    }
    void count() {
        std::int64_t stored = 0;
        std::int64_t dead = 0;
        for (auto const& [id, one] : world_.messages) {
            stored += one.at == ghost::place::stored ? 1 : 0;
            dead += one.at == ghost::place::dead ? 1 : 0;
        }
        auto const figures = world_.storage.statistics();
        world_.require(figures.backlog == stored && figures.dead == dead,
                       "G10: messages stored, dead: " + std::to_string(figures.backlog) + ", " +
                           std::to_string(figures.dead) + " instead of " + std::to_string(stored) +
                           ", " + std::to_string(dead));
    }
    /// After draining: each message was delivered, or is dead for a reason.
    void judge() {
        count();
        for (auto const& [id, one] : world_.messages) {
            bool const ended = one.at != ghost::place::stored;
            world_.require(ended, "G14: not delivered", one);
            world_.require(one.at != ghost::place::published || one.copies > 0, "G2: lost", one);
            bool const hopeless = one.wrong != poison::none && one.wrong != poison::flaky;
            world_.require(!hopeless || one.at != ghost::place::published, "G11: cured", one);
        }
    }
    [[nodiscard]] world& all() {
        return world_;
    }

private:
    chance& random() {
        return world_.random;
    }
    std::unique_ptr<worker> hire() {
        message_id id{};
        auto const life = world_.begin_life();
        id.bytes[0] = 0xAA;
        id.bytes[14] = static_cast<std::uint8_t>(life >> 8);
        id.bytes[15] = static_cast<std::uint8_t>(life);
        return std::make_unique<worker>(world_, life, id,
                                        static_cast<std::uint64_t>(random().below(1 << 30)));
    }
    /// The dead are dropped without a word, those who stopped with one; others take their places.
    void reap() {
        for (auto& one : workers_) {
            bool const stopped = one->stopping && one->engine.finished();
            if (!stopped && !world_.is_dead(one->life)) continue;
            if (stopped) world_.stopped(one->life);
            world_.kill(one->life, "stopped");
            static_cast<void>(world_.was_notified(one->line.signal));
            one = hire();
        }
    }
    int step(worker& one) {
        if (world_.is_dead(one.life)) return 0;
        auto const did = one.engine.round();
        one.wake_at = did.progress() ? monotonic_time{} : one.engine.wake_at();
        return 1;
    }
    void step_anyone_but(int life) {
        auto& one = *workers_[static_cast<std::size_t>(
            random().below(static_cast<std::int64_t>(workers_.size())))];
        if (one.life != life) step(one);
    }
    /// One round of each worker that would be awake, or time up to what wakes the first.
    int pass(monotonic_time until) {
        int rounds = 0;
        for (auto& one : workers_) {
            bool const woken = world_.was_notified(one->line.signal);
            if (!woken && one->wake_at > world_.clock.now()) continue;
            rounds += step(*one);
        }
        if (rounds > 0) {
            world_.advance(random().up_to(100us));
            return rounds;
        }
        auto next = until;
        if (auto const event = world_.next_event()) next = std::min(next, *event);
        for (auto& one : workers_) next = std::min(next, one->wake_at);
        world_.advance(std::max<duration>(next - world_.clock.now(), 1us));
        return 0;
    }
    [[nodiscard]] bool nothing_is_left() const {
        return std::ranges::none_of(world_.messages, [](auto const& entry) {
            return entry.second.at == ghost::place::stored;
        });
    }

    void produce() {
        if (producers_.size() < 3) producers_.emplace_back();
        auto& one = producers_[static_cast<std::size_t>(
            random().below(static_cast<std::int64_t>(producers_.size())))];
        auto const what = random().below(10);
        if (!one.open) {
            world_.storage.begin(one.connection);
            one.open = true;
        } else if (what < 6) {
            append(one);
        } else if (what < 9) {
            commit(one);
        } else {
            one.connection.rollback();
            one.staged.clear();
            one.open = false;
        }
    }
    void append(producer& to) {
        static constexpr std::array<char const*, 6> names{"", "", "a", "b", "c", "d"};
        ghost made;
        auto const number = ++made_;
        made.id.bytes[14] = static_cast<std::uint8_t>(number >> 8);
        made.id.bytes[15] = static_cast<std::uint8_t>(number);
        made.payload = std::to_string(number);
        made.topic = "t";
        auto const key = random().below(static_cast<std::int64_t>(names.size()) + 1);
        made.key = key < 6 ? names[static_cast<std::size_t>(key)] : to_string(made.id);
        if (random().in_thousand(world_.often.poisons)) {
            made.wrong = static_cast<poison>(1 + random().below(6));
        }
        made.scheduled = !healed_ && random().in_thousand(50);
        outbox::draft one{
            .id = made.id, .topic = made.topic, .key = made.key, .payload = made.payload};
        if (made.scheduled) one.not_before = world_.clock.wall() + random().up_to(2s);
        world_.storage.append(to.connection, {&one, 1});
        to.staged.push_back(std::move(made));
    }
    /// Something that passes: only beside it do some failures show as a message's own.
    void pulse() {
        producer one{.open = true};
        world_.storage.begin(one.connection);
        append(one);
        commit(one);
    }
    void commit(producer& one) {
        if (!std::exchange(one.open, false)) return;
        world_.storage.commit(one.connection);
        for (auto& made : one.staged) world_.created(std::move(made));
        one.staged.clear();
        for (auto& each : workers_) {
            if (random().in_thousand(500)) each->line.ring();
        }
    }

    void trouble() {
        if (random().in_thousand(world_.often.operators)) operate();
        if (random().in_thousand(world_.often.stops)) {
            auto& one = *workers_[static_cast<std::size_t>(
                random().below(static_cast<std::int64_t>(workers_.size())))];
            one.engine.finish();
            one.stopping = true;
        }
        if (world_.now_down != outage::none) {
            if (random().in_thousand(300)) world_.now_down = outage::none;
        } else if (random().in_thousand(world_.often.outages)) {
            world_.now_down = static_cast<outage>(1 + random().below(5));
        }
    }
    void discard_all() {
        for (auto& [id, one] : world_.messages) {
            if (one.at == ghost::place::dead) discard(one);
        }
    }
    void discard(ghost& one) {
        world_.require(world_.storage.discard({.id = one.id}, 10) == 1, "G10: no dead letter", one);
        one.at = ghost::place::gone;
        ++world_.hits["discarded"];
    }
    /// Requeues, discards or replays something.
    void operate() {
        if (random().in_thousand(300)) {
            for (auto const& id : world_.storage.replay({{}, world_.clock.wall()}, {}, 2)) {
                world_.touched(id);
                ++world_.hits["replayed"];
            }
            return;
        }
        std::vector<ghost*> dead;
        for (auto& [id, one] : world_.messages) {
            if (one.at == ghost::place::dead) dead.push_back(&one);
        }
        if (dead.empty()) return;
        auto& one =
            *dead[static_cast<std::size_t>(random().below(static_cast<std::int64_t>(dead.size())))];
        if (random().in_thousand(500)) return discard(one);
        world_.require(world_.storage.requeue({.id = one.id}, 10) == 1, "G10: no dead letter", one);
        if (random().in_thousand(500)) one.wrong = poison::none;
        world_.touched(one.id);
        one.failures = 0;
        ++world_.hits["requeued"];
    }

    world world_;
    std::vector<std::unique_ptr<worker>> workers_{};
    std::vector<producer> producers_{};
    int made_{0};
    bool healed_{false};
};

}  // namespace simulation
