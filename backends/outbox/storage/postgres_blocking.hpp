// SPDX-License-Identifier: MIT
//
// Statements on the caller's own connection: one at a time, waiting for as long as the caller's
// settings let them.
#pragma once

#include <string>

#include "outbox/storage/postgres_binary.hpp"
#include "outbox/storage/postgres_failure.hpp"

namespace outbox::postgres {

/// Throws `failure`.
[[nodiscard]] inline result good(PGconn* on, PGresult* came) {
    result answer{came};
    auto const status = PQresultStatus(came);
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) return answer;
    throw PQstatus(on) == CONNECTION_OK ? failure_of(came) : failure_of(on);
}

/// Not prepared; its answer is in binary.
[[nodiscard]] inline result execute(PGconn* on, std::string const& sql,
                                    parameters const& values = {}) {
    return good(on, PQexecParams(on, sql.c_str(), values.count(), values.types(), values.values(),
                                 values.lengths(), values.formats(), 1));
}

/// Any number of statements without parameters.
inline void execute_script(PGconn* on, std::string const& sql) {
    static_cast<void>(good(on, PQexec(on, sql.c_str())));
}

}  // namespace outbox::postgres
