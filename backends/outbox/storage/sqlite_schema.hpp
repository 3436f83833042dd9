// SPDX-License-Identifier: MIT
//
// Whether the tables are there, and those of this version.
#pragma once

#include <sqlite3.h>

#include "outbox/table_name.hpp"

namespace outbox::sqlite {

/// Throws `invalid_identifier` for a name with a schema: SQLite has none.
void require_no_schema(table_name const& table);

/// Throws `schema_mismatch` with a sentence that says what is missing or different.
void check_schema(sqlite3* on, table_name const& table);

}  // namespace outbox::sqlite
