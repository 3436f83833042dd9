// SPDX-License-Identifier: MIT
//
// What a careful person writes by hand on SQLite's C API, on the library's own table: rows read in
// order at a cursor, handed to the broker as they are read, deleted by their numbers in one
// transaction a batch; and inserts in the caller's transaction. Every statement is prepared once.
// No lease, no fence, no retry: for comparison only.
#pragma once

#include <sqlite3.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "outbox/concepts.hpp"
#include "outbox/message_id.hpp"
#include "outbox/record.hpp"

namespace bench::floor {

class sqlite_statement {
public:
    sqlite_statement(sqlite3* on, std::string const& sql) : on_{on} {
        sqlite3_stmt* prepared = nullptr;
        require(sqlite3_prepare_v3(on, sql.c_str(), -1, SQLITE_PREPARE_PERSISTENT, &prepared,
                                   nullptr) == SQLITE_OK);
        prepared_.reset(prepared);
    }
    void bind(int at, std::int64_t number) {
        require(sqlite3_bind_int64(prepared_.get(), at, number) == SQLITE_OK);
    }
    void bind_text(int at, std::string_view text) {
        require(sqlite3_bind_text(prepared_.get(), at, text.data(), static_cast<int>(text.size()),
                                  SQLITE_STATIC) == SQLITE_OK);
    }
    void bind_blob(int at, std::string_view bytes) {
        require(sqlite3_bind_blob(prepared_.get(), at, bytes.data(), static_cast<int>(bytes.size()),
                                  SQLITE_STATIC) == SQLITE_OK);
    }
    [[nodiscard]] bool next() {
        int const result = sqlite3_step(prepared_.get());
        require(result == SQLITE_ROW || result == SQLITE_DONE);
        return result == SQLITE_ROW;
    }
    void reset() {
        sqlite3_reset(prepared_.get());
    }
    void run() {
        while (next()) {
        }
        reset();
    }
    [[nodiscard]] std::int64_t number(int column) const {
        return sqlite3_column_int64(prepared_.get(), column);
    }
    [[nodiscard]] std::string_view bytes(int column) const {
        auto const* const data =
            static_cast<char const*>(sqlite3_column_blob(prepared_.get(), column));
        return {data, static_cast<std::size_t>(sqlite3_column_bytes(prepared_.get(), column))};
    }

private:
    struct finalize {
        void operator()(sqlite3_stmt* of) const {
            sqlite3_finalize(of);
        }
    };
    void require(bool fine) const {
        if (!fine) throw std::runtime_error{sqlite3_errmsg(on_)};
    }

    sqlite3* on_;
    std::unique_ptr<sqlite3_stmt, finalize> prepared_{};
};

/// To any of the library's brokers that answers at once.
template <class Channel>
class sqlite_relay {
public:
    /// Deletions are not synced one by one, as the library's are not: a power failure costs copies.
    sqlite_relay(sqlite3* on, Channel to, int batch)
        : to_{std::move(to)},
          batch_{batch},
          settings_{on, "pragma synchronous = normal"},
          begin_{on, "begin immediate"},
          commit_{on, "commit"},
          read_{on,
                "select sequence, id, topic, key, headers, payload"
                " from outbox indexed by outbox_ready where state = 0 and sequence > ?1"
                " order by sequence limit ?2"},
          remove_{on, "delete from outbox where sequence = ?1"} {
        settings_.run();
    }

    /// Until nothing is left. Returns how many there were.
    std::size_t drain() {
        std::size_t all = 0;
        while (publish() > 0) {
            begin_.run();
            for (auto const sequence : accepted()) {
                remove_.bind(1, sequence);
                remove_.run();
                ++all;
            }
            commit_.run();
        }
        return all;
    }

private:
    std::size_t publish() {
        std::size_t sent = 0;
        read_.bind(1, cursor_);
        read_.bind(2, batch_);
        while (read_.next()) {
            outbox::record one;
            one.sequence = cursor_ = read_.number(0);
            one.id = outbox::parse_message_id(read_.bytes(1)).value_or(outbox::message_id{});
            one.topic = read_.bytes(2);
            one.key = read_.bytes(3);
            one.headers = read_.bytes(4);
            one.payload = read_.bytes(5);
            outbox::dispatch const out{.token = static_cast<outbox::attempt_token>(cursor_),
                                       .message = &one};
            to_.send({&out, 1});
            ++sent;
        }
        read_.reset();
        return sent;
    }
    [[nodiscard]] std::span<std::int64_t const> accepted() {
        receipts_.clear();
        numbers_.clear();
        to_.collect(receipts_);
        for (auto const& one : receipts_) {
            if (one.what == outbox::outcome::accepted)
                numbers_.push_back(static_cast<std::int64_t>(one.token));
        }
        return numbers_;
    }

    Channel to_;
    int batch_;
    sqlite_statement settings_, begin_, commit_, read_, remove_;
    std::int64_t cursor_{0};
    std::vector<outbox::receipt> receipts_{};
    std::vector<std::int64_t> numbers_{};
};

class sqlite_insert {
public:
    explicit sqlite_insert(sqlite3* on)
        : begin_{on, "begin immediate"},
          commit_{on, "commit"},
          insert_{on, "insert into outbox (id, topic, key, payload) values (?1, ?2, ?3, ?4)"} {}

    /// One transaction with so many rows. `keys` are taken in turn; ids are drawn as the library
    /// draws them.
    void operator()(std::string_view topic, std::vector<std::string> const& keys,
                    std::string_view payload, int rows) {
        begin_.run();
        for (int i = 0; i < rows; ++i) {
            auto const now = std::chrono::duration_cast<std::chrono::milliseconds>(
                                 std::chrono::system_clock::now().time_since_epoch())
                                 .count();
            auto const id = to_string(ids_.next(static_cast<std::uint64_t>(now)));
            insert_.bind_text(1, id);
            insert_.bind_text(2, topic);
            insert_.bind_text(3, keys[next_key_++ % keys.size()]);
            insert_.bind_blob(4, payload);
            insert_.run();
        }
        commit_.run();
    }

private:
    sqlite_statement begin_, commit_, insert_;
    outbox::message_id_generator ids_{1};
    std::size_t next_key_{0};
};

}  // namespace bench::floor
