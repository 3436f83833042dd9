// SPDX-License-Identifier: MIT
//
// Whether the tables are those that this version works with, and in one sentence what is not.
#pragma once

#include <functional>
#include <string>

#include "outbox/storage/postgres_binary.hpp"
#include "outbox/table_name.hpp"

namespace outbox::postgres {

/// `ask` runs one statement. Throws `schema_mismatch`. A newer schema is fine as long as it has all
/// that is needed, so that workers of adjacent versions can run side by side.
void check_schema(table_name const& table, std::function<result(std::string const&)> const& ask);

}  // namespace outbox::postgres
