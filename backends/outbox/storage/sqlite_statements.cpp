// SPDX-License-Identifier: MIT
//
// From the SQL as it is written to the SQL as it is run.
#include "outbox/storage/sqlite_statements.hpp"

namespace outbox::sqlite {

namespace {

// It stands still during one step of a statement. (unixepoch('subsec') came with SQLite 3.42.)
constexpr std::string_view now =
    "(cast(round((julianday('now') - 2440587.5) * 86400000) as integer) * 1000)";

/// The same rule as in migrations/render.py.
std::string with_table(std::string_view sql, std::string_view table) {
    constexpr std::string_view word = "outbox";
    auto const letter_or_digit = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    };
    std::string text;
    text.reserve(sql.size() + sql.size() / 8);
    while (true) {
        auto const at = sql.find(word);
        text += sql.substr(0, at);
        if (at == std::string_view::npos) return text;
        auto const end = at + word.size();
        bool const inside = !text.empty() && (letter_or_digit(text.back()) || text.back() == '_');
        bool const goes_on = end < sql.size() && letter_or_digit(sql[end]);
        text += inside || goes_on ? word : table;
        sql.remove_prefix(end);
    }
}

}  // namespace

std::string render(std::string_view sql, table_name const& table) {
    constexpr std::string_view mark = "{now}";
    auto text = with_table(sql, table.table());
    for (auto at = text.find(mark); at != std::string::npos; at = text.find(mark, at)) {
        text.replace(at, mark.size(), now);
    }
    return text;
}

}  // namespace outbox::sqlite
