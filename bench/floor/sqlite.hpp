// SPDX-License-Identifier: MIT
//
// What a careful person writes by hand on SQLite's C API, on the library's own table: rows read in
// order at a cursor, handed to the broker as they are read, deleted by their numbers in one
// transaction a batch, some at a time; and inserts in the caller's transaction. Every statement is
// prepared once. No lease, no fence, no retry: for comparison only.
#pragma once

#include <sqlite3.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "floor/jetstream.hpp"
#include "outbox/broker/memory.hpp"
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
    [[nodiscard]] char const* text(int column) const {
        return reinterpret_cast<char const*>(sqlite3_column_text(prepared_.get(), column));
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

/// The library's memory double, as the loop below publishes to it.
class memory_channel {
public:
    explicit memory_channel(outbox::memory_broker& to) : to_{to.connect({.signal = nobody_})} {}
    memory_channel(memory_channel const&) = delete;
    memory_channel& operator=(memory_channel const&) = delete;

    void publish(std::string_view id, char const* topic, std::string_view payload) {
        outbox::record one;
        one.id = outbox::parse_message_id(id).value_or(outbox::message_id{});
        one.topic = topic;
        one.payload = payload;
        outbox::dispatch const out{.token = ++sent_, .message = &one};
        to_.send({&out, 1});
    }
    /// It has answered already.
    void wait_for_all_but(std::size_t /*open*/) {
        receipts_.clear();
        to_.collect(receipts_);
        for (auto const& one : receipts_) {
            if (one.what != outbox::outcome::accepted) throw std::runtime_error{one.reason};
        }
    }

private:
    outbox::wakeup nobody_{};
    outbox::memory_broker::channel to_;
    outbox::attempt_token sent_{0};
    std::vector<outbox::receipt> receipts_{};
};

/// JetStream, with the ids that the library gives it.
class jetstream_channel {
public:
    explicit jetstream_channel(std::string const& url) : to_{url} {}

    void publish(std::string_view id, char const* topic, std::string_view payload) {
        id_.assign("outbox.").append(id);
        to_.publish(topic, payload, id_.c_str());
    }
    void wait_for_all_but(std::size_t open) {
        to_.wait_for_all_but(open);
    }

private:
    jetstream to_;
    std::string id_{};
};

template <class Channel>
class sqlite_relay {
public:
    /// Deletions are not synced one by one, as the library's are not: a power failure costs copies.
    sqlite_relay(sqlite3* on, Channel& to, int batch)
        : to_{to},
          batch_{batch},
          settings_{on, "pragma synchronous = normal"},
          begin_{on, "begin immediate"},
          commit_{on, "commit"},
          read_{on,
                "select sequence, id, topic, payload, key, headers"
                " from outbox indexed by outbox_ready where state = 0 and sequence > ?1"
                " order by sequence limit ?2"},
          remove_{on, "delete from outbox where sequence in (" + parameters() + ')'} {
        settings_.run();
    }

    /// Until nothing is left. One batch is on its way while the next one is read.
    void drain() {
        std::vector<std::int64_t> before;
        std::vector<std::int64_t> page;
        do {
            publish(page);
            to_.wait_for_all_but(page.size());
            remove(before);
            std::swap(before, page);
        } while (!before.empty());
    }

private:
    /// By so many numbers a statement: one for each row opens all indexes anew each time.
    static constexpr std::size_t at_once = 64;

    [[nodiscard]] static std::string parameters() {
        std::string all{"?"};
        for (std::size_t i = 1; i < at_once; ++i) all += ", ?";
        return all;
    }
    void remove(std::span<std::int64_t const> numbers) {
        if (numbers.empty()) return;
        begin_.run();
        while (!numbers.empty()) {
            auto const some = numbers.first(std::min(numbers.size(), at_once));
            int at = 0;
            for (auto const sequence : some) remove_.bind(++at, sequence);
            // The last ones again, so that none of another round is left there.
            while (at < static_cast<int>(at_once)) remove_.bind(++at, some.back());
            remove_.run();
            numbers = numbers.subspan(some.size());
        }
        commit_.run();
    }
    void publish(std::vector<std::int64_t>& page) {
        page.clear();
        read_.bind(1, cursor_);
        read_.bind(2, batch_);
        while (read_.next()) {
            cursor_ = read_.number(0);
            page.push_back(cursor_);
            to_.publish(read_.bytes(1), read_.text(2), read_.bytes(3));
        }
        read_.reset();
    }

    Channel& to_;
    int batch_;
    sqlite_statement settings_, begin_, commit_, read_, remove_;
    std::int64_t cursor_{0};
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
