// SPDX-License-Identifier: MIT
//
// What a postgres_storage knows of its table, made once and shared by its copies and sessions.
#pragma once

#include <memory>
#include <utility>

#include "outbox/storage/postgres.hpp"
#include "outbox/storage/postgres_append.hpp"
#include "outbox/storage/postgres_operators.hpp"
#include "outbox/storage/postgres_statements.hpp"

namespace outbox {

struct postgres_storage::parts {
    parts(table_name of, postgres_options const& options)
        : table{std::move(of)},
          announced{options.announce},
          worker{std::make_shared<postgres::worker_statements const>(table)},
          append{table, options},
          operators{table} {}

    table_name table;
    bool announced;
    std::shared_ptr<postgres::worker_statements const> worker;
    postgres::append_statements append;
    postgres::operator_statements operators;
};

}  // namespace outbox
