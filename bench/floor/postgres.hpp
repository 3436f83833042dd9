// SPDX-License-Identifier: MIT
//
// The loops that a careful person writes by hand over libpq and nats.c, on the library's own table:
// rows in order at a cursor, published in a window, deleted or stamped by their numbers once they
// are acknowledged, the database at work on one batch while the broker is on the next; and a
// multi-row insert. No lease, no guard against late committers, no retry: for comparison only.
#pragma once

#include <libpq-fe.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "floor/jetstream.hpp"
#include "outbox/storage/postgres_binary.hpp"

namespace bench::floor {

struct clear_result {
    void operator()(PGresult* result) const {
        PQclear(result);
    }
};
using result = std::unique_ptr<PGresult, clear_result>;

inline result checked(PGconn* sql, PGresult* raw) {
    result answer{raw};
    auto const status = PQresultStatus(raw);
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
        throw std::runtime_error{PQerrorMessage(sql)};
    }
    return answer;
}

class relay {
public:
    relay(PGconn* sql, std::string const& table, jetstream& to, bool stamp, int batch = 1'000)
        : sql_{sql}, to_{to}, outbox_name_{table}, batch_{std::to_string(batch)} {
        prepare("floor_read", "select sequence, id, topic, payload, key, headers from " + table +
                                  " where state = 0 and partition = 0 and sequence > $1"
                                  " order by sequence limit $2");
        auto const what =
            stamp ? "update " + table + " set state = 4, published_at = clock_timestamp()"
                  : "delete from " + table;
        prepare("floor_settle", what +
                                    " where state = 0 and partition = 0"
                                    " and sequence = any ($1::bigint[])");
        if (PQenterPipelineMode(sql) != 1) fail();
    }
    relay(relay const&) = delete;
    relay& operator=(relay const&) = delete;
    ~relay() {
        PQexitPipelineMode(sql_);
        PQclear(PQexec(sql_, "deallocate floor_read; deallocate floor_settle"));
    }

    /// Until nothing is left. Returns how many there were.
    std::size_t drain() {
        std::size_t all = 0;
        std::string settled;
        ask(settled);
        auto page = answer(settled);
        while (PQntuples(page.get()) > 0) {
            all += static_cast<std::size_t>(PQntuples(page.get()));
            cursor_ = std::to_string(number(page.get(), PQntuples(page.get()) - 1));
            ask(settled);
            publish(page.get());
            auto next = answer(settled);
            to_.wait_for_all_but(0);
            settled = numbers(page.get());
            page = std::move(next);
        }
        ask(settled);
        answer(settled);
        return all;
    }

private:
    void prepare(char const* name, std::string const& text) {
        checked(sql_, PQprepare(sql_, name, text.c_str(), 0, nullptr));
    }
    /// To settle those, and to read what is behind the cursor; in one go.
    void ask(std::string const& settled) {
        if (!settled.empty()) send("floor_settle", std::array{settled.c_str()});
        send("floor_read", std::array{cursor_.c_str(), batch_.c_str()});
        if (PQflush(sql_) < 0) fail();
    }
    /// Parameters are text, answers binary. Each statement is a transaction of its own.
    template <std::size_t Count>
    void send(char const* name, std::array<char const*, Count> const& values) {
        if (PQsendQueryPrepared(sql_, name, static_cast<int>(Count), values.data(), nullptr,
                                nullptr, 1) != 1 ||
            PQpipelineSync(sql_) != 1) {
            fail();
        }
    }
    result answer(std::string const& settled) {
        if (!settled.empty()) take();
        return take();
    }
    result take() {
        auto one = checked(sql_, PQgetResult(sql_));
        while (auto* const rest = PQgetResult(sql_)) PQclear(rest);
        result const sync{PQgetResult(sql_)};
        if (PQresultStatus(sync.get()) != PGRES_PIPELINE_SYNC) fail();
        return one;
    }
    [[noreturn]] void fail() const {
        throw std::runtime_error{PQerrorMessage(sql_)};
    }
    [[nodiscard]] static std::int64_t number(PGresult const* of, int row) {
        return outbox::postgres::read_number<std::int64_t>(PQgetvalue(of, row, 0));
    }
    [[nodiscard]] static std::string numbers(PGresult const* of) {
        std::string all{"{"};
        for (int row = 0; row < PQntuples(of); ++row) {
            all += (row == 0 ? "" : ",") + std::to_string(number(of, row));
        }
        return all + '}';
    }
    void publish(PGresult const* page) {
        for (int row = 0; row < PQntuples(page); ++row) {
            outbox::message_id id;
            std::memcpy(id.bytes.data(), PQgetvalue(page, row, 1), id.bytes.size());
            to_.publish(
                PQgetvalue(page, row, 2),
                {PQgetvalue(page, row, 3), static_cast<std::size_t>(PQgetlength(page, row, 3))},
                (outbox_name_ + '.' + to_string(id)).c_str());
        }
    }

    PGconn* sql_;
    jetstream& to_;
    std::string outbox_name_;
    std::string batch_;
    std::string cursor_{"0"};
};

/// Rows of one statement: `insert into … values ($1, $2, $3, $4), …`, prepared once.
class insert {
public:
    insert(PGconn* sql, std::string const& table, int rows) : sql_{sql}, rows_{rows} {
        std::string text{"insert into " + table + " (id, topic, key, payload) values "};
        for (int i = 0; i < rows; ++i) {
            text += i == 0 ? "(" : ", (";
            for (int column = 1; column <= 4; ++column) {
                text += (column == 1 ? "$" : ", $") + std::to_string(4 * i + column);
            }
            text += ')';
        }
        checked(sql, PQprepare(sql, "floor_insert", text.c_str(), 0, nullptr));
    }
    insert(insert const&) = delete;
    insert& operator=(insert const&) = delete;
    ~insert() {
        PQclear(PQexec(sql_, "deallocate floor_insert"));
    }

    /// One transaction with one statement. `keys` are taken in turn; ids are drawn as the library
    /// draws them.
    void operator()(std::string const& topic, std::vector<std::string> const& keys,
                    std::string const& payload) {
        auto const count = std::size_t{4} * static_cast<std::size_t>(rows_);
        std::vector<char const*> values;
        std::vector<int> lengths;
        std::vector<int> const formats(count, 1);
        std::vector<outbox::message_id> ids(static_cast<std::size_t>(rows_));
        auto const add = [&](void const* bytes, std::size_t size) {
            values.push_back(static_cast<char const*>(bytes));
            lengths.push_back(static_cast<int>(size));
        };
        auto const now = std::chrono::duration_cast<std::chrono::milliseconds>(
                             std::chrono::system_clock::now().time_since_epoch())
                             .count();
        for (auto& id : ids) {
            id = ids_.next(static_cast<std::uint64_t>(now));
            auto const& key = keys[next_key_++ % keys.size()];
            add(id.bytes.data(), id.bytes.size());
            add(topic.data(), topic.size());
            add(key.data(), key.size());
            add(payload.data(), payload.size());
        }
        checked(sql_, PQexec(sql_, "begin"));
        checked(sql_, PQexecPrepared(sql_, "floor_insert", static_cast<int>(count), values.data(),
                                     lengths.data(), formats.data(), 0));
        checked(sql_, PQexec(sql_, "commit"));
    }

private:
    PGconn* sql_;
    int rows_;
    outbox::message_id_generator ids_{1};
    std::size_t next_key_{0};
};

}  // namespace bench::floor
