// SPDX-License-Identifier: MIT
//
// Statements that stay prepared on a caller's connection: to parse and plan an insert takes several
// times as long as to run it. From its second run on a statement is prepared, unless a pooler
// stands in between. What is prepared is known to the connection itself (an event procedure of
// libpq), so it is forgotten with it, when it is reset, and when the caller discards or deallocates
// all. See docs/decisions/0013-prepared-on-your-connection.md.
#pragma once

#include <string>

#include "outbox/storage/postgres_blocking.hpp"

namespace outbox::postgres {

/// As `execute`.
[[nodiscard]] result execute_kept(PGconn* on, std::string const& sql, parameters const& values);

}  // namespace outbox::postgres
