// SPDX-License-Identifier: MIT
//
// Statements that stay prepared on a caller's connection, since to prepare an insert takes twice as
// long as to run it. They are the connection's: nothing is remembered here, so that there is
// nothing that a connection which was closed and another at the same address could confuse. A kept
// statement is found among all those of the connection, by its text, and ends with it.
#pragma once

#include <sqlite3.h>

#include <string>

#include "outbox/storage/sqlite_connection.hpp"

namespace outbox::sqlite {

/// The connection's kept statement of that text, prepared if it is the first call; one of the
/// caller's own where it cannot be kept, or runs already.
[[nodiscard]] statement kept_on(sqlite3* on, std::string const& sql);

}  // namespace outbox::sqlite
