// SPDX-License-Identifier: MIT
//
// The one file that sees SOCI: from the caller's session to the handle of libpq. SOCI 4.0 hides the
// type information of its backends, so the name decides instead of a dynamic_cast.
#include <soci/postgresql/soci-postgresql.h>
#include <soci/soci.h>

#include "outbox/storage/postgres.hpp"

namespace outbox {

postgres_storage::transaction::transaction(soci::session& on) : handle_{nullptr} {
    try {
        if (on.get_backend_name() == "postgresql") {
            handle_ = static_cast<soci::postgresql_session_backend*>(on.get_backend())->conn_;
        }
    } catch (soci::soci_error const&) {
        throw error{errc::unavailable, "the SOCI session is not connected"};
    }
    if (handle_ == nullptr) {
        throw error{errc::invalid_option, "the SOCI session is one of " + on.get_backend_name() +
                                              "; postgres_storage needs one of postgresql"};
    }
}

}  // namespace outbox
