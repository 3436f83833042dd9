// SPDX-License-Identifier: MIT
//
// Virtual time, and those who act in it: each actor runs until it pauses, then whoever is due first
// goes on. Nothing else decides the order, so that a seed tells the same story everywhere.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "outbox/clock.hpp"
#include "outbox/message_id.hpp"
#include "outbox/testing/fiber.hpp"

namespace outbox::testing {

/// A source of chance, the same for the same seed on every platform.
class chance {
public:
    explicit chance(std::uint64_t seed) : source_{seed} {}
    std::uint64_t draw() {
        return source_.random();
    }
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
    message_id_generator source_;
};

class stage {
public:
    using actor = std::size_t;

    /// What all actors' clocks go by.
    [[nodiscard]] manual_clock const& clock() const {
        return clock_;
    }
    [[nodiscard]] monotonic_time now() const {
        return clock_.now();
    }
    /// Lets `play` begin as soon as others pause. It must return some day.
    actor add(std::function<void()> play) {
        actors_.push_back(std::make_unique<standing>(std::move(play)));
        set(actors_.size() - 1, now());
        return actors_.size() - 1;
    }
    /// The one that runs; none between the acts.
    [[nodiscard]] actor current() const {
        return current_;
    }
    /// Called by an actor: others go on, and this one after `by`, or as soon as it is woken.
    void pause(duration by) {
        auto& mine = *actors_[current_];
        set(current_, now() + by);
        mine.play.pause();
    }
    /// Ends an actor's pause.
    void wake(actor one) {
        auto& other = *actors_[one];
        if (one == current_ || other.play.ended() || other.due.first <= now()) return;
        set(one, now());
    }
    /// At `when`, between the acts.
    void at(monotonic_time when, std::function<void()> what) {
        events_.emplace(when, std::move(what));
    }
    /// Until nobody has anything left to do.
    void run() {
        while (!due_.empty()) {
            auto const next = due_.begin()->first.first;
            if (!events_.empty() && events_.begin()->first <= next) {
                auto const what = std::move(events_.begin()->second);
                move_to(events_.begin()->first);
                events_.erase(events_.begin());
                what();
                continue;
            }
            move_to(next);
            current_ = due_.begin()->second;
            due_.erase(due_.begin());
            actors_[current_]->play.resume();
            current_ = none;
        }
    }

    static constexpr actor none = ~actor{0};

private:
    using turn = std::pair<monotonic_time, std::uint64_t>;

    struct standing {
        explicit standing(std::function<void()> body) : play{std::move(body)} {}
        fiber play;
        turn due{};
    };

    /// Those who are due at the same time go on in the order in which they paused.
    void set(actor one, monotonic_time due) {
        auto& of = *actors_[one];
        due_.erase(of.due);
        of.due = {due, ++turns_};
        due_.emplace(of.due, one);
    }
    void move_to(monotonic_time when) {
        if (when > now()) clock_.advance(when - now());
    }

    manual_clock clock_{};
    std::vector<std::unique_ptr<standing>> actors_{};
    std::map<turn, actor> due_{};
    std::multimap<monotonic_time, std::function<void()>> events_{};
    std::uint64_t turns_{0};
    actor current_{none};
};

}  // namespace outbox::testing
