// SPDX-License-Identifier: MIT
//
// A connection of ours and prepared statements, as owners: what is bound is a parameter, what
// fails is thrown, what was begun is reset.
#pragma once

#include <sqlite3.h>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "outbox/clock.hpp"
#include "outbox/message_id.hpp"
#include "outbox/record.hpp"

namespace outbox::sqlite {

/// Bound as a blob, and not copied: it must outlive the statement's run.
struct blob {
    std::string_view bytes{};
};

/// Bound as text, and not copied: it must outlive the statement's run.
struct text {
    std::string_view characters{};
};

/// What a statement answers, row by row. The statement is free again when this is dropped.
class rows {
public:
    explicit rows(sqlite3_stmt* of) : of_{of} {}
    rows(rows const&) = delete;
    rows& operator=(rows const&) = delete;
    ~rows() {
        sqlite3_reset(of_);
        sqlite3_clear_bindings(of_);
    }

    [[nodiscard]] bool next();
    [[nodiscard]] bool is_null(int column) const {
        return sqlite3_column_type(of_, column) == SQLITE_NULL;
    }
    [[nodiscard]] std::int64_t integer(int column) const {
        return sqlite3_column_int64(of_, column);
    }
    [[nodiscard]] std::int32_t small(int column) const {
        return sqlite3_column_int(of_, column);
    }
    /// Text in UTF-8, or the bytes of a blob. Valid until the next row.
    [[nodiscard]] std::string_view text(int column) const;

private:
    sqlite3_stmt* of_;
};

/// The columns of the row that `rows` stands at, from the left.
class row_reader {
public:
    explicit row_reader(rows const& of) : rows_{of} {}

    void read(message_id& to) {
        to = parse_message_id(rows_.text(column_++)).value_or(message_id{});
    }
    void read(std::string_view& to) {
        to = rows_.text(column_++);
    }
    void read(std::string& to) {
        to = rows_.text(column_++);
    }
    void read(wall_time& to) {
        to = wall_time{duration{rows_.integer(column_++)}};
    }
    void read(duration& to) {
        to = duration{rows_.integer(column_++)};
    }
    void read(record_state& to) {
        to = static_cast<record_state>(rows_.small(column_++));
    }
    template <std::integral Number>
    void read(Number& to) {
        to = static_cast<Number>(rows_.integer(column_++));
    }

private:
    rows const& rows_;
    int column_{0};
};

struct finalize {
    bool owned{true};
    void operator()(sqlite3_stmt* of) const {
        if (owned) sqlite3_finalize(of);
    }
};

class statement {
public:
    /// `kept`: prepared once for many runs.
    statement() = default;
    statement(sqlite3* on, std::string const& sql, bool kept = true);
    /// One that belongs to its connection.
    explicit statement(sqlite3_stmt* of_the_connection)
        : prepared_{of_the_connection, finalize{.owned = false}} {}

    void leave_to_connection() {
        prepared_.get_deleter().owned = false;
    }

    template <class... Values>
    [[nodiscard]] rows run(Values const&... values) {
        int at = 0;
        (bind(++at, values), ...);
        return rows{prepared_.get()};
    }
    /// Runs it to its end and returns how many rows it changed.
    template <class... Values>
    std::size_t execute(Values const&... values) {
        auto all = run(values...);
        while (all.next()) {
        }
        return changed();
    }
    /// Runs it to its end with `values`, and behind them these numbers; what is left of its
    /// parameters is null.
    template <class... Values>
    void execute_for(std::span<std::int64_t const> numbers, Values const&... values) {
        int at = sizeof...(values);
        for (auto const number : numbers) bind(++at, number);
        execute(values...);
    }
    template <class... Values>
    [[nodiscard]] bool any(Values const&... values) {
        return run(values...).next();
    }
    template <class... Values>
    [[nodiscard]] std::optional<std::int64_t> number(Values const&... values) {
        auto all = run(values...);
        if (!all.next() || all.is_null(0)) return std::nullopt;
        return all.integer(0);
    }

private:
    void bind(int at, std::int64_t value);
    void bind(int at, std::int32_t value) {
        bind(at, std::int64_t{value});
    }
    void bind(int at, std::size_t value) {
        bind(at, static_cast<std::int64_t>(value));
    }
    void bind(int at, bool value) {
        bind(at, std::int64_t{value});
    }
    void bind(int at, duration value) {
        bind(at, std::int64_t{value.count()});
    }
    void bind(int at, wall_time value) {
        bind(at, value.time_since_epoch());
    }
    void bind(int at, std::string_view value);
    void bind(int at, std::string const& value) {
        bind(at, std::string_view{value});
    }
    void bind(int at, message_id const& value) {
        bind(at, to_string(value));
    }
    void bind(int at, text value);
    void bind(int at, blob value);
    template <class Value>
    void bind(int at, std::optional<Value> const& value) {
        if (value) bind(at, *value);  // otherwise it is null, as every parameter is at first
    }
    void check(int result) const;
    [[nodiscard]] std::size_t changed() const;

    std::unique_ptr<sqlite3_stmt, finalize> prepared_{};
};

/// Runs one or more statements that take no values and answer nothing.
void execute(sqlite3* on, std::string const& sql);

/// Opens an existing file for reading and writing. WAL, every commit on disk before it returns, and
/// no call that waits longer than `patience` for another connection's lock.
class connection {
public:
    connection(std::string const& path, duration patience);

    [[nodiscard]] sqlite3* handle() const {
        return handle_.get();
    }
    void begin_reading() {
        execute(handle(), "begin");
    }
    /// Takes the write lock, waiting for it. `durable`: the commit waits for the disk. One that
    /// does not is lost by a power failure at the worst, and only together with all later ones.
    void begin_writing(bool durable);
    void commit() {
        execute(handle(), "commit");
    }
    void rollback() noexcept;

private:
    struct close {
        void operator()(sqlite3* of) const {
            sqlite3_close_v2(of);
        }
    };

    std::unique_ptr<sqlite3, close> handle_{};
    bool durable_{true};
};

/// A transaction of a connection of ours: rolled back unless committed.
class transaction_scope {
public:
    explicit transaction_scope(connection& on) : on_{on} {}
    transaction_scope(transaction_scope const&) = delete;
    transaction_scope& operator=(transaction_scope const&) = delete;
    ~transaction_scope() {
        on_.rollback();
    }

private:
    connection& on_;
};

}  // namespace outbox::sqlite
