// SPDX-License-Identifier: MIT
//
// The name of an outbox's table, and of its schema where a database has them. Identifiers cannot be
// bound as parameters, so a name is checked once, here, and only then becomes part of a statement.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "outbox/error.hpp"

namespace outbox {

class table_name {
public:
    /// Leaves room for the longest suffix that the library appends, within PostgreSQL's 63 bytes.
    static constexpr std::size_t table_limit = 44;
    static constexpr std::size_t schema_limit = 63;

    table_name() = default;

    /// `table` or `schema.table`, each a plain name: a lower-case letter or underscore, then those
    /// and digits. Throws `invalid_identifier`.
    table_name(std::string_view name)  // NOLINT: a name in quotes is a name
        : text_{name} {
        auto const dot = name.find('.');
        if (dot != std::string_view::npos) {
            check("schema", name.substr(0, dot), schema_limit);
            schema_size_ = dot;
            name.remove_prefix(dot + 1);
        }
        check("table", name, table_limit);
    }
    table_name(char const* name) : table_name{std::string_view{name}} {}  // NOLINT: as above

    /// Empty: the default schema of the connection.
    [[nodiscard]] std::string_view schema() const {
        return std::string_view{text_}.substr(0, schema_size_);
    }
    [[nodiscard]] std::string_view table() const {
        return std::string_view{text_}.substr(schema_size_ == 0 ? 0 : schema_size_ + 1);
    }
    /// `schema.table` or `table`, with `suffix` appended: safe to put into a statement.
    [[nodiscard]] std::string qualified(std::string_view suffix = {}) const {
        return text_ + std::string{suffix};
    }

    static void check(char const* what, std::string_view name, std::size_t limit) {
        auto const refuse = [&](std::string const& why) {
            throw error{errc::invalid_identifier, std::string{what} + " name " + why};
        };
        if (name.empty()) refuse("is empty");
        if (name.size() > limit) {
            refuse("has " + std::to_string(name.size()) + " bytes, at most " +
                   std::to_string(limit) + " fit");
        }
        for (std::size_t i = 0; i < name.size(); ++i) {
            char const c = name[i];
            bool const letter = (c >= 'a' && c <= 'z') || c == '_';
            bool const digit = c >= '0' && c <= '9';
            if (!letter && (!digit || i == 0)) {
                refuse("is not plain at byte " + std::to_string(i) +
                       ": lower-case letters, digits and underscores only, no digit first");
            }
        }
        if (name.starts_with("pg_") || name.starts_with("sqlite_")) {
            refuse("begins with pg_ or sqlite_, which databases reserve");
        }
    }

private:
    std::string text_{"outbox"};
    std::size_t schema_size_{0};
};

}  // namespace outbox
