// SPDX-License-Identifier: MIT
//
// The table of SQLite's result codes. An extended code means what its primary code means.
#include "outbox/storage/sqlite_failure.hpp"

#include <string>

namespace outbox::sqlite {

errc classify(int result) {
    switch (result & 0xFF) {
        case SQLITE_BUSY:    // another connection holds the lock that is needed
        case SQLITE_LOCKED:  // the same, of one shared cache
            return errc::contention;
        case SQLITE_FULL:
        case SQLITE_IOERR:
        case SQLITE_READONLY:
        case SQLITE_CANTOPEN:
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
        case SQLITE_NOMEM:
        case SQLITE_PERM:
        case SQLITE_AUTH:
        case SQLITE_PROTOCOL:
        case SQLITE_NOLFS:
        case SQLITE_INTERRUPT: return errc::unavailable;
        case SQLITE_ABORT: return errc::aborted_transaction;
        case SQLITE_TOOBIG: return errc::invalid_payload;
        // Our statements are right for the schema of this version.
        case SQLITE_ERROR:
        case SQLITE_SCHEMA:
        case SQLITE_CONSTRAINT:
        case SQLITE_MISMATCH: return errc::schema_mismatch;
        default: return errc::outcome_unknown;
    }
}

error failure(sqlite3* on) {
    return failure(on, classify(sqlite3_extended_errcode(on)));
}

error failure(sqlite3* on, errc code) {
    int const result = sqlite3_extended_errcode(on);
    std::string reason = std::string{"SQLite says: "} + sqlite3_errstr(result & 0xFF);
    // The message of a plain error names tables and columns of ours; others can quote rows.
    if (result == SQLITE_ERROR) reason += std::string{": "} + sqlite3_errmsg(on);
    return {code, reason + " (code " + std::to_string(result) + ")"};
}

}  // namespace outbox::sqlite
