// SPDX-License-Identifier: MIT
//
// The storage in PostgreSQL 14 or later. Messages are rows beside the caller's own, written in the
// caller's transaction; any number of workers share the work by leasing partitions of it.
//
//     outbox::postgres_storage storage{"host=db dbname=shop", "orders_outbox"};
//
// Whatever takes a `transaction` takes a `soci::session&` or a `PGconn*`. The handle must speak
// UTF-8 (client_encoding), which is PostgreSQL's default.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "outbox/concepts.hpp"
#include "outbox/table_name.hpp"

struct pg_conn;  // what libpq calls PGconn

namespace soci {
class session;
}  // namespace soci

namespace outbox {

namespace postgres {
class worker;
}  // namespace postgres

struct postgres_options {
    /// A commit wakes an idle worker of another process, too: its transaction sends a NOTIFY while
    /// there is one. PostgreSQL cannot prepare such a transaction (PREPARE TRANSACTION): set this
    /// to false where messages are added to those, and workers find them by polling alone.
    bool announce{true};
    /// The statements that add messages stay prepared on the caller's connection from their second
    /// use on, which makes them two to three times as fast. Not done through a pooler, and done
    /// anew after `DISCARD ALL` and `DEALLOCATE ALL`.
    bool prepare{true};
};

class postgres_storage {
public:
    /// A view of the caller's connection, for the length of a call.
    class transaction {
    public:
        transaction(pg_conn* on) : handle_{on} {}  // NOLINT: a connection is what callers have
        /// Throws `invalid_option` when the session is one of another database.
        transaction(soci::session& on);  // NOLINT: as above

        [[nodiscard]] pg_conn* handle() const {
            return handle_;
        }

    private:
        pg_conn* handle_;
    };

    /// A worker's own connection.
    class session {
    public:
        session(session&&) noexcept;
        session& operator=(session&&) noexcept;
        ~session();

        [[nodiscard]] acquired acquire(acquire_request const& request);
        [[nodiscard]] round_reply exchange(round_request const& request);
        void release(std::span<ending const> endings);
        [[nodiscard]] int descriptor() const;
        [[nodiscard]] outlook watch();
        void unwatch();
        [[nodiscard]] std::size_t heard();

    private:
        friend class postgres_storage;
        explicit session(std::unique_ptr<postgres::worker> of);

        std::unique_ptr<postgres::worker> worker_;
    };

    /// Opens nothing. `connection_string` as libpq takes it; malformed ones throw `invalid_option`.
    explicit postgres_storage(std::string connection_string, table_name table = {},
                              postgres_options const& options = {});

    void begin(transaction on);
    /// Throws `aborted_transaction` when the server rolled back, `commit_unknown` when the answer
    /// was lost.
    void commit(transaction on);
    void rollback(transaction on) noexcept;
    /// Adds to the caller's open transaction. What is refused here leaves that transaction usable;
    /// a failure of the server's (a lock that timed out, a lost connection) leaves it aborted.
    void append(transaction on, std::span<draft const> drafts);

    [[nodiscard]] session connect(message_id const& worker, duration limit);
    /// `schema.table` as given. Outboxes of one database that share a stream need distinct names,
    /// so name the schema where tables of one name live in several.
    [[nodiscard]] std::string_view name() const {
        return name_;
    }

    [[nodiscard]] std::vector<dead_letter> dead_letters(dead_letter_filter const& filter,
                                                        std::optional<message_id> after,
                                                        std::size_t count) const;
    std::size_t requeue(dead_letter_filter const& filter, std::size_t count);
    std::size_t discard(dead_letter_filter const& filter, std::size_t count);
    std::vector<message_id> replay(time_range range, std::optional<message_id> after,
                                   std::size_t count);
    std::size_t purge_published(duration older_than, std::size_t count);
    std::size_t purge_dead(duration older_than, std::size_t count);
    [[nodiscard]] storage_statistics statistics() const;

    /// Applies the migrations that are missing, each once, whoever else does so at the same time.
    /// Makes the schema when a name has one that does not exist. Not inside a transaction.
    static void migrate(transaction on, table_name const& table = {});
    /// Takes everything away again. Throws `refused_operation` while there are messages that were
    /// not published, unless forced.
    static void migrate_down(transaction on, table_name const& table, bool force = false);
    /// Throws `schema_mismatch` with a sentence that says what is missing or different.
    static void check_schema(transaction on, table_name const& table = {});

private:
    struct parts;

    std::string connection_string_;
    std::string name_;
    std::shared_ptr<parts const> parts_;
};

static_assert(storage<postgres_storage>);
static_assert(watchful_session<postgres_storage::session>);

}  // namespace outbox
