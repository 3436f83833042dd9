// SPDX-License-Identifier: MIT
//
// A database file of its own for one test case, with the outbox in it, and the few words that tests
// of the SQLite storage share.
#pragma once

#include <sqlite3.h>

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "outbox/storage/sqlite.hpp"
#include "support/process.hpp"

namespace support {

using namespace std::chrono_literals;

/// A connection as a caller has it.
class sqlite_handle {
public:
    explicit sqlite_handle(std::string const& path) {
        if (sqlite3_open(path.c_str(), &opened_) != SQLITE_OK) throw std::runtime_error{path};
    }
    sqlite_handle(sqlite_handle const&) = delete;
    sqlite_handle& operator=(sqlite_handle const&) = delete;
    ~sqlite_handle() {
        sqlite3_close_v2(opened_);
    }
    [[nodiscard]] sqlite3* handle() const {
        return opened_;
    }
    /// Runs SQL and returns its values, in one line.
    std::string operator()(std::string const& sql) const {
        std::string values;
        auto const collect = [](void* to, int count, char** row, char**) {
            auto& all = *static_cast<std::string*>(to);
            for (int i = 0; i < count; ++i) {
                if (!all.empty()) all += ' ';
                all += row[i] == nullptr ? "null" : row[i];
            }
            return 0;
        };
        if (sqlite3_exec(opened_, sql.c_str(), collect, &values, nullptr) != SQLITE_OK) {
            throw std::runtime_error{sqlite3_errmsg(opened_)};
        }
        return values;
    }

private:
    sqlite3* opened_{nullptr};
};

inline outbox::message_id numbered(int number) {
    outbox::message_id id{};
    id.bytes[14] = static_cast<std::uint8_t>(number / 256);
    id.bytes[15] = static_cast<std::uint8_t>(number % 256);
    return id;
}

/// What the call throws; `unknown` words when nothing.
template <class Call>
outbox::error refusal(Call&& call) {
    try {
        call();
    } catch (outbox::error const& failure) {
        return failure;
    }
    throw std::runtime_error{"nothing was thrown"};
}

inline constexpr outbox::acquire_request everything{
    .lease = 10s, .most = 10, .reach = 100, .careful_reach = 1};
inline constexpr outbox::partition_number only[] = {0};

struct sqlite_case {
    temporary_folder folder{};
    std::string path{(folder.path() / "shop.db").string()};
    sqlite_handle sql{path};
    outbox::sqlite_storage storage{path};

    sqlite_case() {
        outbox::sqlite_storage::migrate(sql.handle());
    }
    void add(outbox::draft const& one) {
        storage.append(sql.handle(), {&one, 1});
    }
    /// A message in a transaction of its own.
    void put(int number, std::string_view key = {}) {
        storage.begin(sql.handle());
        add({.id = numbered(number), .topic = "t", .key = key, .payload = "p"});
        storage.commit(sql.handle());
    }
    [[nodiscard]] outbox::sqlite_storage::session worker(int number = 1000,
                                                         outbox::duration limit = 1s) {
        return storage.connect(numbered(number), limit);
    }
    /// A worker that holds the partition.
    [[nodiscard]] outbox::sqlite_storage::session owner(int number = 1000) {
        auto session = worker(number);
        if (session.acquire(everything).tenures.size() != 1) throw std::runtime_error{"no tenure"};
        return session;
    }
};

inline outbox::round_reply read(outbox::sqlite_storage::session& session) {
    return session.exchange({.read = only, .records = 100, .bytes = 1'000'000, .promote = true});
}

inline outbox::round_reply settle(outbox::sqlite_storage::session& session,
                                  std::vector<outbox::settlement> const& all) {
    return session.exchange({.settlements = all});
}

/// The numbers of what was read.
inline std::vector<int> numbers(outbox::round_reply const& reply) {
    std::vector<int> all;
    for (auto const& one : reply.read.records) {
        all.push_back(one.id.bytes[14] * 256 + one.id.bytes[15]);
    }
    return all;
}

}  // namespace support
