// SPDX-License-Identifier: MIT
//
// The storage in a SQLite file. Messages are rows beside the caller's own, written in the caller's
// transaction. SQLite has one writer at a time, so of all workers one delivers, and the others
// stand by.
//
//     outbox::sqlite_storage storage{"shop.db", "orders_outbox"};
//
// Whatever takes a `transaction` takes a `soci::session&` or a `sqlite3*`. Give that connection a
// busy timeout (SOCI: "db=shop.db timeout=5"), so that it waits for its turn to write.
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

struct sqlite3;

namespace soci {
class session;
}  // namespace soci

namespace outbox {

namespace sqlite {
class connection;
class worker;
}  // namespace sqlite

class sqlite_storage {
public:
    /// A view of the caller's connection, for the length of a call.
    class transaction {
    public:
        transaction(sqlite3* on) : handle_{on} {}  // NOLINT: a connection is what callers have
        /// Throws `invalid_option` when the session is one of another database.
        transaction(soci::session& on);  // NOLINT: as above

        [[nodiscard]] sqlite3* handle() const {
            return handle_;
        }

    private:
        sqlite3* handle_;
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
        [[nodiscard]] int descriptor() const {
            return -1;
        }

    private:
        friend class sqlite_storage;
        explicit session(std::unique_ptr<sqlite::worker> of);

        std::unique_ptr<sqlite::worker> worker_;
    };

    /// Opens nothing. A table's name with a schema throws `invalid_identifier`: SQLite has none.
    explicit sqlite_storage(std::string path, table_name table = {});

    /// Takes the only write lock (BEGIN IMMEDIATE): nothing can come between, so a transaction that
    /// begins does not fail later for want of it.
    void begin(transaction on);
    /// Throws `aborted_transaction` when SQLite rolled back, `commit_unknown` when the disk failed,
    /// `contention` when others read what must not be read meanwhile. The transaction has ended.
    void commit(transaction on);
    void rollback(transaction on) noexcept;
    /// Adds to the caller's open transaction. What is refused leaves that transaction usable. A
    /// transaction that began with a plain BEGIN may fail here with `contention`, at once. The
    /// insert stays prepared on the connection, which can be closed all the same.
    void append(transaction on, std::span<draft const> drafts);

    [[nodiscard]] session connect(message_id const& worker, duration limit);
    [[nodiscard]] std::string_view name() const {
        return table_.table();
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

    /// Applies the migrations that are missing, each once, whoever else does so at the same time,
    /// and sets the file's journal mode to WAL. Not inside a transaction.
    static void migrate(transaction on, table_name const& table = {});
    /// Takes everything away again. Throws `refused_operation` while there are messages that were
    /// not published, unless forced.
    static void migrate_down(transaction on, table_name const& table, bool force = false);
    /// Throws `schema_mismatch` with a sentence that says what is missing or different.
    static void check_schema(transaction on, table_name const& table = {});

private:
    std::string path_;
    table_name table_;
};

static_assert(storage<sqlite_storage>);

}  // namespace outbox
