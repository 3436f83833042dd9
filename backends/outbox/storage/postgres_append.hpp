// SPDX-License-Identifier: MIT
//
// Adding messages to the caller's transaction: one statement for one message, one for each few
// hundred of many.
#pragma once

#include <libpq-fe.h>

#include <span>
#include <string>

#include "outbox/message.hpp"
#include "outbox/storage/postgres.hpp"
#include "outbox/storage/postgres_binary.hpp"
#include "outbox/table_name.hpp"

namespace outbox::postgres {

struct append_statements {
    append_statements(table_name const& table, postgres_options const& options);

    [[nodiscard]] result run(PGconn* on, std::string const& sql, parameters const& values) const;

    bool prepare;
    std::string insert_one;     ///< $1 id, $2 topic, $3 key, $4 headers, $5 payload
    std::string insert;         ///< $1 … $8: the columns of a draft, as arrays
    std::string insert_chosen;  ///< the same, leaving out ids that are stored already
    std::string compare;        ///< $1 ids, $2 topics, $3 keys, $4 headers, $5 payloads
    std::string lock_keys;      ///< $1 keys
};

void append(PGconn* on, append_statements const& sql, std::span<draft const> drafts);

}  // namespace outbox::postgres
