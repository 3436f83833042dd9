// SPDX-License-Identifier: MIT
//
// What the library throws. Producing and constructing throw, so that the caller's transaction
// unwinds; a storage session throws to its relay, which turns failure into data. `code()` says what
// to do about it, `what()` says it to a person: what failed, on what, and what to do.
#pragma once

#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace outbox {

enum class errc {
    invalid_topic,
    invalid_payload,
    invalid_key,
    invalid_header,
    invalid_id,
    duplicate_id,  ///< the caller's own id is stored already, with other content
    invalid_option,
    invalid_identifier,   ///< a schema or table name that is not a plain name
    no_transaction,       ///< enqueue outside a transaction
    aborted_transaction,  ///< the transaction can no longer commit; nothing of it is stored
    commit_unknown,       ///< the connection was lost during commit: committed, or not at all
    contention,           ///< "again, now": certain that nothing was changed
    unavailable,          ///< the storage or broker cannot be used at the moment; waiting helps
    outcome_unknown,      ///< the connection was lost during a call: it may have taken effect
    schema_mismatch,      ///< tables missing, or of another version
    unsafe_setup,         ///< reachable, but set up so that guarantees would not hold
    refused_operation,    ///< an operator's request that would lose messages
};

[[nodiscard]] constexpr std::string_view to_string(errc code) {
    switch (code) {
        case errc::invalid_topic: return "invalid_topic";
        case errc::invalid_payload: return "invalid_payload";
        case errc::invalid_key: return "invalid_key";
        case errc::invalid_header: return "invalid_header";
        case errc::invalid_id: return "invalid_id";
        case errc::duplicate_id: return "duplicate_id";
        case errc::invalid_option: return "invalid_option";
        case errc::invalid_identifier: return "invalid_identifier";
        case errc::no_transaction: return "no_transaction";
        case errc::aborted_transaction: return "aborted_transaction";
        case errc::commit_unknown: return "commit_unknown";
        case errc::contention: return "contention";
        case errc::unavailable: return "unavailable";
        case errc::outcome_unknown: return "outcome_unknown";
        case errc::schema_mismatch: return "schema_mismatch";
        case errc::unsafe_setup: return "unsafe_setup";
        case errc::refused_operation: return "refused_operation";
    }
    return "unknown";
}

/// `what()` reads "<code>: <reason>"; it never holds a payload, a password or a token.
class error : public std::runtime_error {
public:
    error(errc code, std::string const& reason)
        : std::runtime_error{std::string{to_string(code)} + ": " + reason}, code_{code} {}

    [[nodiscard]] errc code() const noexcept {
        return code_;
    }

private:
    errc code_;
};

/// Why a message cannot be carried: which part of it, what is wrong, and at which byte.
struct problem {
    errc code{errc::invalid_topic};
    std::string reason{};
    std::optional<std::size_t> position{};

    [[nodiscard]] std::string text() const {
        return position ? reason + " at byte " + std::to_string(*position) : reason;
    }
};

}  // namespace outbox
