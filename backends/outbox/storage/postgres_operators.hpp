// SPDX-License-Identifier: MIT
//
// What operators ask of the storage: dead letters, replay, retention, figures. Each call is one
// statement, bounded in rows, on a short connection of its own.
#pragma once

#include <string>

#include "outbox/table_name.hpp"

namespace outbox::postgres {

struct operator_statements {
    explicit operator_statements(table_name const& table);

    std::string dead_letters;     ///< $1 topic or '', $2 id or null, $3 after or null, $4 how many
    std::string requeue;          ///< $1 topic or '', $2 id or null, $3 how many
    std::string discard;          ///< likewise
    std::string replay;           ///< $1 from, $2 to, $3 after or null, $4 how many
    std::string purge_published;  ///< $1 microseconds, $2 how many
    std::string purge_dead;       ///< likewise
    std::string statistics;       ///< $1 how far to count
};

}  // namespace outbox::postgres
