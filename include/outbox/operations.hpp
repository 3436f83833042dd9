// SPDX-License-Identifier: MIT
//
// What an operator sees and does: dead letters, replay, figures.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "outbox/clock.hpp"
#include "outbox/message_id.hpp"

namespace outbox {

/// A message that was given up, with all that is needed to understand it and to send it again.
struct dead_letter {
    message_id id{};
    std::string topic{};
    std::string key{};
    std::string headers{};  ///< encoded as in headers.hpp
    std::string payload{};
    std::int32_t attempts{0};
    std::int32_t deaths{0};
    std::int32_t generation{0};
    std::string last_error{};
    wall_time created_at{};
    wall_time died_at{};
};

/// Which dead letters an operation means: all, those of a topic, or one.
struct dead_letter_filter {
    std::string topic{};             ///< empty: of every topic
    std::optional<message_id> id{};  ///< only this one
};

/// Published messages by the time of their publication, `from` included, `to` not.
struct time_range {
    wall_time from{};
    wall_time to{};
};

/// Figures of a storage. Cheap at any backlog: what could not be counted cheaply is an estimate.
struct storage_statistics {
    std::int64_t backlog{0};  ///< messages that wait for delivery, in whatever state
    bool backlog_is_estimate{false};
    duration oldest_age{0};           ///< age of the oldest ready message; zero when there is none
    std::int64_t retrying{0};         ///< counted up to `count_limit`
    std::int64_t scheduled{0};        ///< counted up to `count_limit`
    std::int64_t dead{0};             ///< counted up to `count_limit`
    std::int32_t partitions_held{0};  ///< by any worker
    static constexpr std::int64_t count_limit = 10'000;
};

}  // namespace outbox
