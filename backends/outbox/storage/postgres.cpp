// SPDX-License-Identifier: MIT
//
// The storage itself: the caller's transactions, and sessions for workers.
#include "outbox/storage/postgres.hpp"

#include <libpq-fe.h>

#include <string_view>
#include <utility>

#include "outbox/storage/postgres_blocking.hpp"
#include "outbox/storage/postgres_parts.hpp"
#include "outbox/storage/postgres_schema.hpp"
#include "outbox/storage/postgres_worker.hpp"

namespace outbox {

postgres_storage::postgres_storage(std::string connection_string, table_name table,
                                   postgres_options const& options)
    : connection_string_{std::move(connection_string)},
      name_{table.qualified()},
      parts_{std::make_shared<parts const>(std::move(table), options)} {
    postgres::connection::check_connection_string(connection_string_);
}

void postgres_storage::begin(transaction on) {
    if (PQtransactionStatus(on.handle()) == PQTRANS_INTRANS ||
        PQtransactionStatus(on.handle()) == PQTRANS_INERROR) {
        throw error{errc::no_transaction, "a transaction is open already"};
    }
    try {
        postgres::execute_script(on.handle(), "begin");
    } catch (postgres::failure const& why) {
        throw why.error("begin");
    }
}

void postgres_storage::commit(transaction on) {
    auto* const handle = on.handle();
    if (PQtransactionStatus(handle) == PQTRANS_IDLE)
        throw error{errc::no_transaction, "no transaction is open"};
    postgres::result const answer{PQexec(handle, "commit")};
    if (PQresultStatus(answer.get()) == PGRES_COMMAND_OK) {
        // The server answers the commit of a failed transaction with a friendly "ROLLBACK".
        if (std::string_view{PQcmdStatus(answer.get())} == "COMMIT") return;
        throw error{errc::aborted_transaction,
                    "an earlier statement failed, so the server rolled the transaction back"};
    }
    auto const why = postgres::failure_of(answer.get());
    bool const answered = PQstatus(handle) == CONNECTION_OK;
    throw why.error("commit", answered ? errc::aborted_transaction : errc::commit_unknown);
}

void postgres_storage::rollback(transaction on) noexcept {
    PQclear(PQexec(on.handle(), "rollback"));
}

void postgres_storage::append(transaction on, std::span<draft const> drafts) {
    postgres::append(on.handle(), parts_->append, drafts);
}

postgres_storage::session postgres_storage::connect(message_id const& worker, duration limit) {
    auto opened = std::make_unique<postgres::worker>(connection_string_, limit, worker,
                                                     parts_->worker, parts_->announced);
    try {
        postgres::check_schema(parts_->table, [&](std::string const& sql) {
            return opened->link().run(postgres::command{sql});
        });
    } catch (postgres::failure const& why) {
        throw why.error("check of the schema");
    }
    return session{std::move(opened)};
}

postgres_storage::session::session(std::unique_ptr<postgres::worker> of) : worker_{std::move(of)} {}
postgres_storage::session::session(session&&) noexcept = default;
postgres_storage::session& postgres_storage::session::operator=(session&&) noexcept = default;
postgres_storage::session::~session() = default;

acquired postgres_storage::session::acquire(acquire_request const& request) {
    return worker_->acquire(request);
}

round_reply postgres_storage::session::exchange(round_request const& request) {
    return worker_->exchange(request);
}

void postgres_storage::session::release(std::span<ending const> endings) {
    worker_->release(endings);
}

int postgres_storage::session::descriptor() const {
    return worker_->link().descriptor();
}

outlook postgres_storage::session::watch() {
    return worker_->watch();
}

void postgres_storage::session::unwatch() {
    worker_->unwatch();
}

std::size_t postgres_storage::session::heard() {
    return worker_->heard();
}

}  // namespace outbox
