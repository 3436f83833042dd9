// SPDX-License-Identifier: MIT
//
// What a failure of PostgreSQL means: one table from SQLSTATE to error code, and the sentence that
// tells a person. A sentence holds the server's primary message, never a bound value, a password
// or the connection string.
#pragma once

#include <libpq-fe.h>

#include <string>
#include <string_view>

#include "outbox/error.hpp"

namespace outbox::postgres {

/// `sqlstate` empty: the connection broke before the server answered. A code that the table does
/// not name says that the storage cannot be used at the moment; it is never a message's fault.
[[nodiscard]] errc classify(std::string_view sqlstate);

/// A statement that failed, before anybody decided what that means for the caller.
struct failure {
    std::string sqlstate{};
    std::string message{};
    std::size_t command{0};  ///< which of the commands that were sent together

    [[nodiscard]] outbox::error error(std::string_view doing) const;
    [[nodiscard]] outbox::error error(std::string_view doing, errc code) const;
};

[[nodiscard]] failure failure_of(PGresult const* result);
[[nodiscard]] failure failure_of(PGconn const* connection);

}  // namespace outbox::postgres
