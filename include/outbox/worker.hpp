// SPDX-License-Identifier: MIT
//
// A worker publishes what producers committed. It runs on a thread of its own from `start` on, or
// round by round on the caller's thread with `step` and `drain`. Any number of workers, in this
// process and in others, share the work.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "outbox/parts.hpp"
#include "outbox/relay.hpp"

namespace outbox {

/// What could not be given back by the deadline of `stop`; others take it when its lease has run
/// out.
struct stop_report {
    std::vector<partition_number> held{};

    [[nodiscard]] bool clean() const {
        return held.empty();
    }
};

/// Owns what it needs of the outbox, so it may outlive the outbox object. Dropping it stops it.
/// One thread at a time.
template <class Parts>
class worker {
public:
    worker(std::shared_ptr<Parts> of, message_id const& id)
        : engine_{std::make_shared<engine>(std::move(of), id)} {}
    worker(worker&&) noexcept = default;
    worker& operator=(worker&& other) noexcept {
        if (this != &other) {
            end();
            engine_ = std::move(other.engine_);
            thread_ = std::move(other.thread_);
        }
        return *this;
    }
    worker(worker const&) = delete;
    worker& operator=(worker const&) = delete;
    ~worker() {
        end();
    }

    /// Names this worker among all that share the storage.
    [[nodiscard]] message_id const& id() const {
        return engine_->id;
    }
    /// Works on a thread of its own from now on. Nothing happens when it does already, or was
    /// stopped.
    void start() {
        if (thread_.joinable() || engine_->stopping) return;
        thread_ = std::thread{[engine = engine_] { engine->run(); }};
    }
    /// One round on the caller's thread: what is ready is published, answered and settled, with a
    /// broker that answers at once. Returns what it did. For tests; not after `start`.
    round_summary step() {
        auto did = engine_->relay_part.round();
        static_cast<void>(engine_->relay_part.settle());
        return did;
    }
    /// Works on the caller's thread until nothing is left to deliver, or `limit` has passed; then
    /// returns whether nothing is left. Messages whose time has not come do not count. With a clock
    /// that moves only when told to, it returns as soon as nothing but time could help. Not after
    /// `start`.
    bool drain(duration limit) {
        auto const until = engine_->of->clock.now() + limit;
        while (true) {
            auto const did = engine_->relay_part.round();
            auto const now = engine_->of->clock.now();
            // Where nothing more was found there may be nothing more: better to ask than to look.
            if (did.settled > 0 && did.read == 0 && is_all_done()) return true;
            if (did.progress() && now < until) continue;
            // Settlements wait for their batch mates only while receipts may still come in.
            bool const last = is_manual || now >= until;
            if (last && engine_->relay_part.settle() && now < until) continue;
            if (is_all_done()) return true;
            if (now >= until || is_manual) return false;
            engine_->wait(std::min(until, engine_->relay_part.wake_at()));
        }
    }
    /// Ends the work within `limit`: what is in flight is settled or given back, so that another
    /// worker goes on at once. Returns by then even when a server hangs; afterwards this worker
    /// begins no further call.
    stop_report stop(duration limit) {
        if (!engine_) return {};
        auto& shared = *engine_;
        auto const& clock = shared.of->clock;
        auto const deadline = clock.now() + limit;
        // The rest of the time is for the last releases themselves.
        shared.release_by = deadline - limit / 4;
        bool const first = !shared.stopping.exchange(true);
        if (thread_.joinable()) {
            shared.line.signal.notify();
            while (!shared.ended && clock.now() < deadline) clock.wait(shared.end, deadline, -1);
            if (shared.ended) {
                thread_.join();
            } else {
                shared.line.cut();
                thread_.detach();
            }
        } else if (first) {
            shared.finish(deadline, !is_manual);
        }
        return {shared.line.status().partitions};
    }

private:
    static constexpr bool is_manual = requires(decltype(std::declval<Parts&>().clock)& clock) {
        clock.advance(duration{});
    };

    /// What the thread works with. It owns itself, should the handle have given up waiting.
    struct engine {
        engine(std::shared_ptr<Parts> all, message_id const& name)
            : of{std::move(all)}, id{name}, relay_part{*of, line, id, of->random()} {
            of->join(line);
        }
        ~engine() {
            of->leave(line);
        }
        engine(engine const&) = delete;
        engine& operator=(engine const&) = delete;

        void run() {
            notify(of->observer, [&] { return event::worker_started{id}; });
            while (!stopping) {
                auto const did = relay_part.round();
                if (did.progress() || stopping || relay_part.watch()) continue;
                wait(relay_part.wake_at());
            }
            finish(release_by, true);
            ended = true;
            end.notify();
        }
        /// Brings what is in hand to its end, and gives back the rest at `until`; at once where
        /// nothing but time could help and nobody else could move it.
        void finish(monotonic_time until, bool may_wait) {
            relay_part.finish();
            while (!line.is_cut() && !relay_part.finished() && of->clock.now() < until) {
                if (relay_part.round().progress() || relay_part.finished()) continue;
                if (!may_wait) break;
                wait(std::min(until, relay_part.wake_at()));
            }
            if (line.is_cut()) return;
            relay_part.release_all();
            notify(of->observer, [&] {
                return event::worker_stopped{id, relay_part.held().size()};
            });
        }
        void wait(monotonic_time until) {
            of->clock.wait(line.signal, until, relay_part.descriptor());
        }

        std::shared_ptr<Parts> of;
        message_id id;
        worker_line line{};
        relay<Parts> relay_part;
        wakeup end{};
        std::atomic<bool> stopping{false};
        std::atomic<bool> ended{false};
        std::atomic<monotonic_time> release_by{monotonic_time{}};
    };

    [[nodiscard]] bool is_all_done() {
        if (!engine_->relay_part.has_empty_hands()) return false;
        try {
            auto const figures = engine_->of->storage.statistics();
            return figures.backlog == figures.scheduled;
        } catch (error const&) {
            return false;
        }
    }
    void end() noexcept {
        try {
            if (engine_) stop(engine_->of->settings.stop_timeout);
        } catch (std::exception const&) {  // NOLINT: a destructor has nobody to tell
        }
    }

    std::shared_ptr<engine> engine_;
    std::thread thread_{};
};

}  // namespace outbox
