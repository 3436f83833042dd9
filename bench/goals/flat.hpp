// SPDX-License-Identifier: MIT
//
// Steady windows: what workers settle between two moments while they go on, so that neither their
// start nor their last round counts.
#pragma once

#include <chrono>
#include <cstdio>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "goals/goal.hpp"
#include "goals/site.hpp"

namespace bench::goals {

/// An observer that counts what each worker's thread has settled.
class tally {
public:
    using counts = std::map<std::thread::id, std::size_t>;

    void operator()(outbox::event::round_finished const& did) const {
        std::lock_guard const lock{shared_->mutex};
        shared_->settled[std::this_thread::get_id()] += did.settled;
    }
    void operator()(outbox::event::broker_lost const& why) const {
        std::fprintf(stderr, "    broker: %.*s\n", static_cast<int>(why.reason.size()),
                     why.reason.data());
    }
    void operator()(outbox::event::storage_lost const& why) const {
        std::fprintf(stderr, "    storage: %.*s\n", static_cast<int>(why.reason.size()),
                     why.reason.data());
    }
    [[nodiscard]] counts settled() const {
        std::lock_guard const lock{shared_->mutex};
        return shared_->settled;
    }
    [[nodiscard]] std::size_t total() const {
        std::size_t sum = 0;
        for (auto const& [worker, count] : settled()) sum += count;
        return sum;
    }

private:
    struct state {
        std::mutex mutex{};
        counts settled{};
    };
    std::shared_ptr<state> shared_{std::make_shared<state>()};
};

/// What was spent and settled between two moments, or in several such spans together.
struct span {
    double seconds{0};
    double messages{0};
    processor_time spent{};

    span& operator+=(span const& more) {
        seconds += more.seconds;
        messages += more.messages;
        spent = spent + more.spent;
        return *this;
    }
    [[nodiscard]] figures as(std::string const& name) const {
        return rates(name, messages, seconds, spent);
    }
};

struct moment {
    std::chrono::steady_clock::time_point at{};
    processor_time spent{};
    tally::counts settled{};

    [[nodiscard]] static moment now(servers const& on, tally const& watched) {
        auto spent = on.spent();
        return {std::chrono::steady_clock::now(), spent, watched.settled()};
    }
    /// The first one at which so many are settled.
    [[nodiscard]] static moment when_settled(servers const& on, tally const& watched,
                                             std::size_t count) {
        support::wait_until_ready(
            std::to_string(count) + " settled messages", [&] { return watched.total() >= count; },
            std::chrono::minutes{10});
        return now(on, watched);
    }
    friend span operator-(moment const& later, moment const& earlier) {
        span all{std::chrono::duration<double>(later.at - earlier.at).count(), 0,
                 later.spent - earlier.spent};
        for (auto const& [worker, count] : later.settled)
            all.messages += static_cast<double>(count);
        for (auto const& [worker, count] : earlier.settled)
            all.messages -= static_cast<double>(count);
        return all;
    }
};

/// Keeps the disk from filling up, and the broker's memory of ids from growing with the length of
/// a run: what is measured is how the relay behaves over time. The least that a worker accepts is
/// its lease and a publish timeout.
inline void keep_little(jsStreamConfig& config) {
    config.MaxMsgs = 10'000;
    config.Duplicates = std::chrono::nanoseconds{std::chrono::seconds{15}}.count();
}

[[nodiscard]] family flat_backlog(std::shared_ptr<servers> const& on, load const& wanted);
[[nodiscard]] family flat_workers(std::shared_ptr<servers> const& on, load const& wanted);
[[nodiscard]] family flat_troubled_keys(std::shared_ptr<servers> const& on, load const& wanted);
[[nodiscard]] family flat_horizon(std::shared_ptr<servers> const& on, load const& wanted);

}  // namespace bench::goals
