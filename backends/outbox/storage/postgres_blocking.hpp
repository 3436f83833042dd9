// SPDX-License-Identifier: MIT
//
// Statements on the caller's own connection: one at a time, never prepared (a pooler may stand in
// between), waiting for as long as the caller's settings let them.
#pragma once

#include <string>

#include "outbox/storage/postgres_binary.hpp"
#include "outbox/storage/postgres_failure.hpp"

namespace outbox::postgres {

/// Throws `failure`. The answer is in binary.
[[nodiscard]] inline result execute(PGconn* on, std::string const& sql,
                                    parameters const& values = {}) {
    result answer{PQexecParams(on, sql.c_str(), values.count(), values.types(), values.values(),
                               values.lengths(), values.formats(), 1)};
    auto const status = PQresultStatus(answer.get());
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) return answer;
    throw PQstatus(on) == CONNECTION_OK ? failure_of(answer.get()) : failure_of(on);
}

/// Any number of statements without parameters.
inline void execute_script(PGconn* on, std::string const& sql) {
    result const answer{PQexec(on, sql.c_str())};
    auto const status = PQresultStatus(answer.get());
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) return;
    throw PQstatus(on) == CONNECTION_OK ? failure_of(answer.get()) : failure_of(on);
}

}  // namespace outbox::postgres
