// SPDX-License-Identifier: MIT
//
// What a failure of SQLite means: one table from result code to error code, and the sentence that
// tells a person. A sentence holds SQLite's own words for the code, never a bound value.
#pragma once

#include <sqlite3.h>

#include "outbox/error.hpp"

namespace outbox::sqlite {

/// Takes primary and extended result codes. One that the table does not name says that the outcome
/// may be unknown.
[[nodiscard]] errc classify(int result);

/// What the last call on `on` failed with.
[[nodiscard]] error failure(sqlite3* on);
[[nodiscard]] error failure(sqlite3* on, errc code);

}  // namespace outbox::sqlite
