// SPDX-License-Identifier: MIT
//
// What becomes of a message once the broker has it.
//
// hard_delete   the record is deleted. Smallest tables; nothing to look at or to replay afterwards.
// soft_delete   the record is kept, stamped with `published_at`, and purged after a while. The
//               default, as in the origin: a broker that loses acknowledged data can be replayed.
//
// Deliberately absent: moving records to another table, because a stamp says the same in place.
#pragma once

#include <chrono>
#include <optional>

#include "outbox/settlement.hpp"

namespace outbox {

struct hard_delete {
    /// Dead letters older than this are purged; nothing: kept for ever.
    std::optional<duration> keep_dead{};

    static constexpr fate on_published = fate::remove;

    [[nodiscard]] std::optional<duration> published_retention() const {
        return std::nullopt;
    }
    [[nodiscard]] std::optional<duration> dead_retention() const {
        return keep_dead;
    }
};

struct soft_delete {
    /// Published messages older than this are purged; nothing: kept for ever. The default is far
    /// longer than a broker takes to bring an acknowledged message to its disk (JetStream: two
    /// minutes by default), so that `replay` can mend a broker's power loss.
    std::optional<duration> keep_published{std::chrono::hours{72}};
    /// Dead letters older than this are purged; nothing: kept for ever.
    std::optional<duration> keep_dead{};

    static constexpr fate on_published = fate::stamp;

    [[nodiscard]] std::optional<duration> published_retention() const {
        return keep_published;
    }
    [[nodiscard]] std::optional<duration> dead_retention() const {
        return keep_dead;
    }
};

}  // namespace outbox
