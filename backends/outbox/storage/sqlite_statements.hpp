// SPDX-License-Identifier: MIT
//
// SQL is written for a table of the name `outbox` and rendered for the one at hand.
#pragma once

#include <string>
#include <string_view>

#include "outbox/table_name.hpp"

namespace outbox::sqlite {

/// Puts the table's name where `outbox` stands as a word, or begins a longer name, and SQLite's
/// clock where `{now}` stands: microseconds since 1970, counted in milliseconds. The name was
/// checked when it became a table_name.
[[nodiscard]] std::string render(std::string_view sql, table_name const& table);

}  // namespace outbox::sqlite
