// SPDX-License-Identifier: MIT
//
// The same rule as migrations/render.py.
#include "outbox/storage/sqlite_statements.hpp"

namespace outbox::sqlite {

std::string render(std::string_view sql, table_name const& table) {
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
        text += inside || goes_on ? word : table.table();
        sql.remove_prefix(end);
    }
}

}  // namespace outbox::sqlite
