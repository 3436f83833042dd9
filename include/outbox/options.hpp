// SPDX-License-Identifier: MIT
//
// Everything that can be tuned, with unit, default and bound. `check(options)` refuses what would
// not work, at construction, and names option, value and bound.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "outbox/clock.hpp"
#include "outbox/error.hpp"

namespace outbox {

enum class after_dead_letter : std::uint8_t {
    go_on,  ///< the next message of the key is delivered
    block,  ///< its key waits until an operator requeues or discards the dead letter
};

struct options {
    /// How often an idle worker looks for work that nobody told it of. 1 ms to 1 h.
    std::chrono::milliseconds poll_interval{500};
    /// Records read and settled at once; up to three times as many are held. 1 to 10,000.
    std::int32_t batch_size{500};
    /// Bytes of records that a worker holds at once, beside one record. 1 KiB to 4 GiB.
    std::int64_t batch_bytes{8 * 1024 * 1024};
    /// How long a worker owns a partition without renewing; another one takes over after that.
    /// 100 ms to 1 h.
    std::chrono::milliseconds lease_duration{10'000};
    /// How long to wait for a receipt. Nothing: a quarter of the lease. At most a third of it: a
    /// longer one would let leases run out over messages that are still in flight, for ever.
    std::optional<std::chrono::milliseconds> publish_timeout{};
    /// A message that failed so often for its own sake is dead-lettered. 1 to 1,000,000.
    std::int32_t max_attempts{10};
    /// A message that took so many workers with it is dead-lettered. 1 to 1,000.
    std::int32_t max_deaths{3};
    /// Of those, so many an hour; the others wait, lest a bad deployment buries whatever it meets.
    /// 0 to 1,000,000.
    std::int32_t burials_an_hour{3};
    /// First wait after a failure; doubles with each further one. 1 ms to 24 h.
    std::chrono::milliseconds backoff_min{200};
    /// Longest wait after a failure. `backoff_min` to 24 h.
    std::chrono::milliseconds backoff_max{60'000};
    /// Longest wait between probes of a broker or storage that is down. `backoff_min` to 1 h.
    std::chrono::milliseconds probe_max{5'000};
    /// Largest payload. 1 B to 64 MiB; keep it below what the broker takes.
    std::int64_t max_payload_bytes{1024 * 1024 - 16 * 1024};
    bool allow_empty_payload{false};
    after_dead_letter on_dead_letter{after_dead_letter::go_on};
    /// How long a dropped worker may take to stop; `worker::stop` takes its own. 0 to 1 h.
    std::chrono::milliseconds stop_timeout{5'000};

    [[nodiscard]] std::chrono::milliseconds effective_publish_timeout() const {
        return publish_timeout.value_or(lease_duration / 4);
    }
};

namespace detail {

template <class Value>
void require_between(char const* option, Value value, Value low, Value high, char const* unit) {
    if (value >= low && value <= high) return;
    throw error{errc::invalid_option, std::string{option} + " = " + std::to_string(value) + unit +
                                          ", must be between " + std::to_string(low) + unit +
                                          " and " + std::to_string(high) + unit};
}

}  // namespace detail

/// Throws `invalid_option`.
inline void check(options const& o) {
    constexpr std::int64_t hour = 3'600'000;
    auto const milliseconds = [](char const* option, std::chrono::milliseconds value,
                                 std::int64_t low, std::int64_t high) {
        detail::require_between<std::int64_t>(option, value.count(), low, high, " ms");
    };
    milliseconds("poll_interval", o.poll_interval, 1, hour);
    detail::require_between("batch_size", o.batch_size, 1, 10'000, "");
    detail::require_between<std::int64_t>("batch_bytes", o.batch_bytes, 1024,
                                          std::int64_t{1} << 32U, " bytes");
    milliseconds("lease_duration", o.lease_duration, 100, hour);
    milliseconds("publish_timeout", o.effective_publish_timeout(), 1, o.lease_duration.count() / 3);
    detail::require_between("max_attempts", o.max_attempts, 1, 1'000'000, "");
    detail::require_between("max_deaths", o.max_deaths, 1, 1'000, "");
    detail::require_between("burials_an_hour", o.burials_an_hour, 0, 1'000'000, "");
    milliseconds("backoff_min", o.backoff_min, 1, 24 * hour);
    milliseconds("backoff_max", o.backoff_max, o.backoff_min.count(), 24 * hour);
    milliseconds("probe_max", o.probe_max, o.backoff_min.count(), hour);
    detail::require_between<std::int64_t>("max_payload_bytes", o.max_payload_bytes, 1,
                                          std::int64_t{64} << 20U, " bytes");
    milliseconds("stop_timeout", o.stop_timeout, 0, hour);
}

}  // namespace outbox
