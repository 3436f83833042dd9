// SPDX-License-Identifier: MIT
//
// SQL is written for a table of the name `outbox` and rendered for the one at hand. The pieces that
// several statements share are here, too.
#pragma once

#include <string>
#include <string_view>

#include "outbox/table_name.hpp"

namespace outbox::sqlite {

/// Puts the table's name where `outbox` stands as a word, or begins a longer name. The name was
/// checked when it became a table_name.
[[nodiscard]] std::string render(std::string_view sql, table_name const& table);

/// SQLite's clock in microseconds since 1970; it counts milliseconds, and stands still during one
/// step of a statement. (unixepoch('subsec') came with SQLite 3.42.)
inline constexpr std::string_view now =
    "(cast(round((julianday('now') - 2440587.5) * 86400000) as integer) * 1000)";

}  // namespace outbox::sqlite
