// SPDX-License-Identifier: MIT
#include "outbox/storage/postgres_failure.hpp"

#include <array>

namespace outbox::postgres {

namespace {

struct entry {
    std::string_view sqlstate;  ///< five characters, or two for the whole class
    errc code;
};

// Whole codes come before their classes.
constexpr std::array table{
    entry{"", errc::outcome_unknown},
    // Rolled back, and worth another try at once.
    entry{"40001", errc::contention},  // serialization failure
    entry{"40P01", errc::contention},  // deadlock
    entry{"55P03", errc::contention},  // lock timeout
    entry{"57014", errc::contention},  // statement timeout, cancelled
    // The server itself does not know.
    entry{"40003", errc::outcome_unknown},  // statement completion unknown
    entry{"08007", errc::outcome_unknown},  // transaction resolution unknown
    // Ours are not the tables that stand there.
    entry{"3F000", errc::schema_mismatch},  // no such schema
    entry{"42P01", errc::schema_mismatch},  // no such table
    entry{"42703", errc::schema_mismatch},  // no such column
    entry{"42883", errc::schema_mismatch},  // no such function
    entry{"42804", errc::schema_mismatch},  // a column of another type
    entry{"42P10", errc::schema_mismatch},  // no such unique index
    // The transaction ended before; nothing of it is stored.
    entry{"25P02", errc::aborted_transaction},
    // Nothing to do but wait, or to mend the environment.
    entry{"08", errc::unavailable},     // connection
    entry{"25006", errc::unavailable},  // read-only: a standby
    entry{"25P03", errc::unavailable},  // idle in transaction for too long
    entry{"28", errc::unavailable},     // authorization
    entry{"42501", errc::unavailable},  // privilege
    entry{"53", errc::unavailable},     // disk, memory, connections
    entry{"57P", errc::unavailable},    // shut down, terminated, starting up
    entry{"58", errc::unavailable},     // input and output
};

/// The first line: those that follow can repeat statement and values.
std::string first_line(char const* text) {
    if (text == nullptr) return {};
    std::string_view const whole{text};
    return std::string{whole.substr(0, whole.find('\n'))};
}

}  // namespace

errc classify(std::string_view sqlstate) {
    for (auto const& one : table) {
        bool const whole = one.sqlstate.empty() || one.sqlstate.size() == 5;
        if (whole ? sqlstate == one.sqlstate : sqlstate.starts_with(one.sqlstate)) return one.code;
    }
    return errc::unavailable;
}

error failure::error(std::string_view doing) const {
    return error(doing, classify(sqlstate));
}

error failure::error(std::string_view doing, errc code) const {
    auto text = std::string{doing} + ": " + message;
    if (!sqlstate.empty()) text += " (SQLSTATE " + sqlstate + ")";
    return {code, text};
}

failure failure_of(PGresult const* result) {
    char const* const state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    char const* const primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    return {.sqlstate = state == nullptr ? "" : state,
            .message = primary != nullptr ? first_line(primary)
                                          : first_line(PQresultErrorMessage(result))};
}

failure failure_of(PGconn const* connection) {
    return {.message = first_line(PQerrorMessage(connection))};
}

}  // namespace outbox::postgres
