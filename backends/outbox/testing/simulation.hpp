// SPDX-License-Identifier: MIT
//
// One simulated run of the worker's engine as services use it: workers, producers, an operator and
// a nemesis share a storage and a broker, each pausing at every call. Then the faults end, and
// everything must drain by the workers' own wish to wake.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "outbox/delete_policy.hpp"
#include "outbox/parts.hpp"
#include "outbox/relay.hpp"
#include "outbox/testing/scenario.hpp"
#include "outbox/testing/simulated_broker.hpp"
#include "outbox/testing/simulated_storage.hpp"

namespace outbox::testing {

class simulation {
    using parts_type =
        parts<simulated_storage, simulated_broker, simulated_clock, soft_delete, silent>;

    struct worker {
        int life;
        parts_type of;
        worker_line line{};
        relay<parts_type> engine;
        bool stopping{false};

        worker(world& w, int number, message_id const& id, std::uint64_t seed, duration ahead,
               duration retention)
            : life{number},
              of{simulated_storage{w, number},
                 simulated_broker{w, number},
                 w.book.settings,
                 simulated_clock{w, ahead},
                 soft_delete{.keep_published = retention},
                 {},
                 seed},
              engine{of, line, id, seed} {}
    };

public:
    explicit simulation(scenario const& of)
        : plan_{of},
          world_{of.seed, of.settings,
                 of.plan ? fortune{of.seed, *of.plan} : fortune{of.seed, of.weights}},
          load_{of.seed ^ 0x10adU} {}

    void keep_words() {
        world_.log.keep_words();
    }
    /// To the end, or to the first violation.
    void run() {
        workers_.resize(static_cast<std::size_t>(plan_.workers));
        for (auto& place : workers_) {
            place = std::make_unique<post>();
            place->who = world_.time.add([this, at = place.get()] { work(*at); });
        }
        for (int i = 0; i < plan_.producers; ++i) {
            world_.time.add([this] { produce(); });
        }
        world_.time.add([this] { trouble(); });
        world_.time.run();
        world_.log.tell(world_.time.now(), "the end");
    }
    [[nodiscard]] std::string const& violation() const {
        return world_.log.violation();
    }
    [[nodiscard]] journal const& log() const {
        return world_.log;
    }
    [[nodiscard]] fault_plan const& plan() const {
        return world_.fates.plan();
    }
    [[nodiscard]] std::int64_t calls() const {
        return world_.calls;
    }
    [[nodiscard]] std::vector<occasion> const& occasions() const {
        return world_.fates.occasions();
    }
    [[nodiscard]] duration simulated() const {
        return world_.time.now().time_since_epoch();
    }

private:
    static constexpr char const* good_topic = "t";

    /// Where one worker after the other stands.
    struct post {
        stage::actor who{stage::none};
        std::unique_ptr<worker> now{};
    };

    [[nodiscard]] bool is_over() const {
        return over_ || !world_.log.violation().empty();
    }
    void pause(duration by) {
        world_.time.pause(by);
    }
    [[nodiscard]] monotonic_time now() const {
        return world_.time.now();
    }

    // Workers.
    std::unique_ptr<worker> hire() {
        message_id id{};
        auto const life = world_.book.begin_life();
        id.bytes[0] = 0xAA;
        id.bytes[14] = static_cast<std::uint8_t>(life >> 8);
        id.bytes[15] = static_cast<std::uint8_t>(life);
        auto const seed = load_.draw();
        auto const ahead = load_.up_to(std::chrono::hours{1});
        return std::make_unique<worker>(world_, life, id, seed, ahead, plan_.published_retention);
    }
    void work(post& at) {
        while (!is_over()) {
            at.now = hire();
            world_.sleepers[&at.now->line.signal] = at.who;
            live(*at.now);
            world_.sleepers.erase(&at.now->line.signal);
            world_.book.end_life(at.now->life);
            at.now.reset();
            if (!is_over())
                pause(load_.up_to(healed_ ? 10 * settings().poll_interval
                                          : duration{settings().lease_duration}));
        }
    }
    void live(worker& one) {
        while (!is_over() && !world_.book.is_dead(one.life)) {
            auto const did = one.engine.round();
            ++rounds_;
            if (world_.book.is_dead(one.life)) return;
            if (one.stopping && one.engine.finished()) return world_.book.stopped(one.life);
            // Not yet: what the clock of this worker says is another one's past or future.
            auto const until = one.engine.wake_at() - one.of.clock.now();
            pause(did.progress() ? duration{10} : std::max(duration{until}, duration{1}));
        }
    }

    // Producers.
    void produce() {
        while (!is_over() && !healed_) {
            pause(load_.up_to(plan_.suffering / 8));
            if (!healed_) transact();
        }
    }
    void transact() {
        memory_storage::connection connection;
        std::vector<ghost> staged;
        ++transacting_;
        world_.storage.begin(connection);
        for (auto left = 1 + load_.below(4); left > 0 && made_ < plan_.messages; --left) {
            staged.push_back(append(connection));
            if (load_.in_thousand(300)) pause(load_.up_to(std::chrono::milliseconds{50}));
        }
        --transacting_;
        if (load_.in_thousand(plan_.rolled_back)) {
            world_.log.mark("a transaction was rolled back");
            return connection.rollback();
        }
        world_.storage.commit(connection);
        world_.made_durable();
        for (auto& one : staged) world_.book.created(std::move(one));
        for (auto& place : workers_) {
            if (!place->now || load_.in_thousand(500)) continue;
            place->now->line.ring();
            world_.time.wake(place->who);
            world_.log.mark("a commit woke a worker");
        }
    }
    ghost append(memory_storage::connection& to) {
        ghost made;
        made.number = ++made_;
        made.id.bytes[14] = static_cast<std::uint8_t>(made.number >> 8);
        made.id.bytes[15] = static_cast<std::uint8_t>(made.number);
        made.payload = std::to_string(made.number);
        if (load_.in_thousand(100)) made.payload.resize(600, '.');
        made.topic = good_topic;
        auto const kind = load_.below(1'000);
        if (kind < plan_.unordered) {
            made.key = to_string(made.id);
        } else if (kind >= plan_.unordered + plan_.keyless) {
            made.key = std::string(1, static_cast<char>('a' + load_.below(plan_.keys)));
        }
        if (load_.in_thousand(plan_.poisoned)) {
            made.wrong = static_cast<poison>(1 + load_.below(6));
            if (made.wrong == poison::refused && load_.in_thousand(300)) made.topic = "bad topic";
        }
        made.scheduled = load_.in_thousand(plan_.scheduled);
        draft one{.id = made.id, .topic = made.topic, .key = made.key, .payload = made.payload};
        if (made.scheduled) {
            one.not_before =
                world_.time.clock().wall() + load_.up_to(std::chrono::milliseconds{800});
        }
        world_.storage.append(to, {&one, 1});
        return made;
    }

    // The nemesis, an operator, and the judge at the end.
    void trouble();
    void strike(fault what, chance sizes);
    void operate(chance& sizes);
    void discard(ghost& one);
    void discard_all();
    void count();
    void judge();
    void drain();
    void idle();
    [[nodiscard]] bool nothing_is_left() const {
        return std::ranges::none_of(world_.book.messages, [](auto const& entry) {
            return entry.second.at == ghost::place::stored;
        });
    }
    [[nodiscard]] options const& settings() const {
        return world_.book.settings;
    }

    scenario plan_;
    world world_;
    chance load_;  ///< who wants what, when
    std::vector<std::unique_ptr<post>> workers_{};
    int made_{0};
    int transacting_{0};
    std::int64_t rounds_{0};
    bool healed_{false};
    bool over_{false};
};

}  // namespace outbox::testing

#include "outbox/testing/simulation.ipp"
