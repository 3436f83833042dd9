// SPDX-License-Identifier: MIT
//
// The one file that sees SOCI: from the caller's session to the handle of SQLite. SOCI 4.0 includes
// sqlite3.h inside a namespace of its own, so this file must not, and the handle changes its type
// here. SOCI hides the type information of its backends, so the name decides.
#include <soci/soci.h>
#include <soci/sqlite3/soci-sqlite3.h>

#include "outbox/storage/sqlite.hpp"

namespace outbox {

sqlite_storage::transaction::transaction(soci::session& on) : handle_{nullptr} {
    std::string backend;
    try {
        backend = on.get_backend_name();
        if (backend == "sqlite3") {
            void* const native =
                static_cast<soci::sqlite3_session_backend*>(on.get_backend())->conn_;
            handle_ = static_cast<::sqlite3*>(native);
        }
    } catch (soci::soci_error const&) {
        throw error{errc::unavailable, "the SOCI session is not connected"};
    }
    if (handle_ == nullptr) {
        throw error{errc::invalid_option, "the SOCI session is one of " + backend +
                                              "; sqlite_storage needs one of sqlite3"};
    }
}

}  // namespace outbox
