// SPDX-License-Identifier: MIT
//
// What an outbox is made of, shared with its workers: a worker that outlives the outbox object
// keeps the parts alive.
#pragma once

#include <algorithm>
#include <atomic>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "outbox/concepts.hpp"
#include "outbox/observer.hpp"
#include "outbox/options.hpp"
#include "outbox/wakeup.hpp"

namespace outbox {

/// What a worker tells `stats()`.
struct worker_status {
    std::vector<partition_number> partitions{};  ///< those it holds
    bool broker_down{false};
    bool storage_down{false};
    std::string last_error{};
};

/// The line between an outbox and one of its workers: wakes it, and hears how it is.
class worker_line {
public:
    wakeup signal{};

    /// Something was committed.
    void ring() {
        rung_ = true;
        signal.notify();
    }
    /// Something may be committed soon.
    void hint() {
        if (!hinted_.exchange(true)) signal.notify();
    }
    [[nodiscard]] bool was_rung() {
        return rung_.exchange(false);
    }
    [[nodiscard]] bool was_hinted() {
        return hinted_.exchange(false);
    }

    /// Nobody waits for the worker any more: it begins no further call, and tells nothing.
    void cut() {
        cut_ = true;
    }
    [[nodiscard]] bool is_cut() const {
        return cut_;
    }

    [[nodiscard]] worker_status status() const {
        std::lock_guard const lock{mutex_};
        return status_;
    }
    template <class Change>
    void update(Change&& change) {
        std::lock_guard const lock{mutex_};
        change(status_);
    }

private:
    std::atomic<bool> rung_{false};
    std::atomic<bool> hinted_{false};
    std::atomic<bool> cut_{false};
    mutable std::mutex mutex_{};
    worker_status status_{};
};

template <storage Storage, broker Broker, clock Clock, delete_policy DeletePolicy, class Observer>
class parts {
public:
    using storage_type = Storage;
    using broker_type = Broker;
    using delete_policy_type = DeletePolicy;

    parts(Storage storage_part, Broker broker_part, options const& settings_part, Clock clock_part,
          DeletePolicy policy_part, Observer observer_part, std::uint64_t seed)
        : storage{std::move(storage_part)},
          broker{std::move(broker_part)},
          settings{settings_part},
          clock{std::move(clock_part)},
          policy{std::move(policy_part)},
          observer{std::move(observer_part)},
          ids_{seed} {
        check(settings);
    }

    Storage storage;
    Broker broker;
    options settings;
    Clock clock;
    DeletePolicy policy;
    Observer observer;

    [[nodiscard]] message_id next_id() {
        message_id id;
        next_ids({&id, 1});
        return id;
    }
    void next_ids(std::span<message_id> ids) {
        auto const milliseconds =
            std::chrono::duration_cast<std::chrono::milliseconds>(clock.wall().time_since_epoch());
        std::lock_guard const lock{mutex_};
        for (auto& id : ids) id = ids_.next(static_cast<std::uint64_t>(milliseconds.count()));
    }
    [[nodiscard]] std::uint64_t random() {
        std::lock_guard const lock{mutex_};
        return ids_.random();
    }

    void join(worker_line& line) {
        std::lock_guard const lock{mutex_};
        lines_.push_back(&line);
        ++listening_;
    }
    void leave(worker_line& line) {
        std::lock_guard const lock{mutex_};
        listening_ -= static_cast<int>(std::erase(lines_, &line));
    }
    void ring() {
        for_each_line([](worker_line& line) { line.ring(); });
    }
    void hint() {
        for_each_line([](worker_line& line) { line.hint(); });
    }
    template <class Visit>
    void for_each_line(Visit&& visit) {
        if (listening_.load() == 0) return;
        std::lock_guard const lock{mutex_};
        for (auto* line : lines_) visit(*line);
    }

private:
    std::mutex mutex_{};
    std::vector<worker_line*> lines_{};
    std::atomic<int> listening_{0};
    message_id_generator ids_;
};

}  // namespace outbox
