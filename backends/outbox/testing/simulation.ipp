// SPDX-License-Identifier: MIT
//
// The nemesis of a simulated run, its operator, and its judge.
#pragma once

#include "outbox/testing/simulation.hpp"

namespace outbox::testing {

inline void simulation::trouble() {
    while (!is_over() && (now().time_since_epoch() < plan_.suffering || made_ < plan_.messages)) {
        pause(world_.pace.up_to(std::chrono::milliseconds{100}));
        if (world_.now_down() != outage::none && world_.pace.in_thousand(150)) {
            world_.go_down(outage::none);
        }
        auto const what = world_.fates.strike(occasion::tick);
        if (what != fault::none) strike(what, world_.fates.sizes());
        count();
    }
    world_.fates.heal();
    world_.go_down(outage::none);
    world_.log.tell(now(), "nothing goes wrong any more");
    healed_ = true;
    drain();
    judge();
    idle();
    over_ = true;
}

inline void simulation::strike(fault what, chance sizes) {
    auto const* kind = kind_of(what);
    world_.log.mark(kind->name);
    world_.log.tell(now(), kind->name);
    switch (what) {
        case fault::storage_down: return world_.go_down(outage::storage);
        case fault::storage_crashed: return world_.crash_storage(sizes);
        case fault::broker_down: return world_.go_down(outage::broker);
        case fault::broker_swallows: return world_.go_down(outage::swallowing);
        case fault::broker_unready: return world_.go_down(outage::unready);
        case fault::broker_routeless: return world_.go_down(outage::routeless);
        case fault::operator_acts: return operate(sizes);
        case fault::clock_jumps:
            world_.civil_jump = sizes.up_to(std::chrono::hours{48}) - std::chrono::hours{24};
            return;
        case fault::worker_stops: {
            auto& place = *workers_[static_cast<std::size_t>(
                sizes.below(static_cast<std::int64_t>(workers_.size())))];
            if (!place.now) return;
            place.now->engine.finish();
            place.now->stopping = true;
            world_.time.wake(place.who);
            return;
        }
        default: return;
    }
}

/// Requeues, discards or replays something.
inline void simulation::operate(chance& sizes) {
    auto& book = world_.book;
    if (sizes.in_thousand(300)) {
        for (auto const& id : world_.storage.replay({{}, world_.time.clock().wall()}, {}, 2)) {
            book.touched(id);
            book.tell("an operator replays message ", book.messages.at(id).number);
            world_.log.mark("a message was replayed");
            world_.made_durable();
        }
        return;
    }
    std::vector<ghost*> dead;
    for (auto& [id, one] : book.messages) {
        if (one.at == ghost::place::dead) dead.push_back(&one);
    }
    if (dead.empty()) return;
    auto& one =
        *dead[static_cast<std::size_t>(sizes.below(static_cast<std::int64_t>(dead.size())))];
    if (sizes.in_thousand(500)) return discard(one);
    book.require(world_.storage.requeue({.id = one.id}, 10) == 1, "G10: no dead letter", one);
    world_.made_durable();
    if (one.topic == good_topic && sizes.in_thousand(500)) one.wrong = poison::none;
    book.touched(one.id);
    one.failures = 0;
    one.accusations = 0;
    book.tell("an operator requeues message ", one.number);
    world_.log.mark("a dead letter was requeued");
}

inline void simulation::discard(ghost& one) {
    world_.book.require(world_.storage.discard({.id = one.id}, 10) == 1, "G10: no dead letter",
                        one);
    one.at = ghost::place::gone;
    world_.made_durable();
    world_.book.tell("an operator discards message ", one.number);
    world_.log.mark("a dead letter was discarded");
}

inline void simulation::discard_all() {
    for (auto& [id, one] : world_.book.messages) {
        if (one.at == ghost::place::dead) discard(one);
    }
}

inline void simulation::count() {
    std::int64_t stored = 0;
    std::int64_t dead = 0;
    for (auto const& [id, one] : world_.book.messages) {
        stored += one.at == ghost::place::stored ? 1 : 0;
        dead += one.at == ghost::place::dead ? 1 : 0;
    }
    auto const figures = world_.storage.statistics();
    world_.book.require(figures.backlog == stored && figures.dead == dead,
                        "G10: messages stored, dead: " + std::to_string(figures.backlog) + ", " +
                            std::to_string(figures.dead) + " instead of " + std::to_string(stored) +
                            ", " + std::to_string(dead));
}

/// Each worker wakes when it wants to, until nothing is left.
inline void simulation::drain() {
    constexpr auto limit = std::chrono::seconds{120};
    auto const until = now() + limit;
    for (int passes = 1; !is_over() && (transacting_ > 0 || !nothing_is_left()); ++passes) {
        if (now() >= until) break;
        pause(settings().poll_interval / 2);
        if (settings().on_dead_letter == after_dead_letter::block) discard_all();
        if (passes % 4 != 0 || plan_.poisoned == 0) continue;
        // Only beside what passes do some failures show as a message's own.
        ++plan_.messages;
        auto const poisoned = std::exchange(plan_.poisoned, 0);
        transact();
        plan_.poisoned = poisoned;
    }
}

/// Each message was delivered, or is dead for a reason.
inline void simulation::judge() {
    if (is_over()) return;
    count();
    auto& book = world_.book;
    for (auto const& [id, one] : book.messages) {
        book.require(one.at != ghost::place::stored, "G14: not delivered", one);
        book.require(one.at != ghost::place::published || one.copies > 0, "G2: lost", one);
        bool const hopeless = one.wrong != poison::none && one.wrong != poison::flaky;
        book.require(!hopeless || one.at != ghost::place::published, "G11: cured", one);
        book.require(plan_.poisoned > 0 || one.at != ghost::place::dead,
                     "G11: dead, and nothing was poisoned", one);
    }
}

/// Workers without work rest.
inline void simulation::idle() {
    if (is_over()) return;
    pause(std::chrono::seconds{2});
    rounds_ = 0;
    constexpr auto while_idle = std::chrono::seconds{5};
    pause(while_idle);
    auto const fair = plan_.workers * (while_idle / settings().poll_interval + 20) * 2;
    world_.book.require(rounds_ <= fair, "G15: idle workers took " + std::to_string(rounds_) +
                                             " rounds, " + std::to_string(fair) + " are fair");
}

}  // namespace outbox::testing
