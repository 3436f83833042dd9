// SPDX-License-Identifier: MIT
//
// The base case, and what is varied around it, one factor at a time.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "goals/site.hpp"

namespace bench::throughput {

enum class storage_kind : std::uint8_t { postgres, sqlite, memory };
enum class broker_kind : std::uint8_t { jetstream, nats, memory };
enum class delete_kind : std::uint8_t { hard, soft };

/// As it stands, the base case. Storage and broker in memory, and core NATS, are measured beside
/// PostgreSQL or JetStream alone, and soft delete with both of these.
struct setting {
    storage_kind storage{storage_kind::postgres};
    broker_kind broker{broker_kind::jetstream};
    delete_kind deletes{delete_kind::hard};
    int payload_bytes{256};
    int keys{5'000};  ///< 0: without keys
    int batch{1'000};
    int workers{1};
};

struct variation {
    std::string factor{};
    std::string value{};
    setting what{};
    bool enqueue{false};  ///< the factor bears on enqueueing, too
};

/// How much of it is measured. What is slower than `limit` allows is cut off there.
struct effort {
    int messages{60'000};           ///< to be delivered
    std::int64_t bytes{256 << 20};  ///< of payloads at the most
    double enqueue_seconds{1};      ///< of each way to enqueue
    double limit_seconds{10};
};

using figures = goals::figures;

/// By name: "one a transaction, 1 producer", "100 a transaction", "relay", "sustained"; all in
/// messages a second.
[[nodiscard]] figures measured(goals::servers& on, variation const& one, effort const& most);

/// In groups that each begin with the base case, so that all are compared with a neighbour in time.
[[nodiscard]] std::vector<std::vector<variation>> variations();

}  // namespace bench::throughput
