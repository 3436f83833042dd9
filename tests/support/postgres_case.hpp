// SPDX-License-Identifier: MIT
//
// What the cases about the PostgreSQL storage share: a migrated outbox in a new schema, a
// producer's connection, and the words that a worker uses.
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "outbox/storage/postgres.hpp"
#include "support/postgres_server.hpp"

namespace support {

[[nodiscard]] inline outbox::message_id numbered(std::uint8_t number) {
    outbox::message_id id{};
    id.bytes[15] = number;
    return id;
}

constexpr std::chrono::seconds patience{20};

struct postgres_case {
    postgres_server& server = postgres_server::shared();
    std::string schema = server.fresh_schema();
    outbox::table_name table{std::string_view{schema + ".outbox"}};
    sql_connection sql = server.connect();
    outbox::postgres_storage storage{server.connection_string(), table};

    postgres_case() {
        outbox::postgres_storage::migrate(sql.handle(), table);
    }

    /// Runs SQL in which `outbox` and `outbox_…` stand for the case's own.
    std::string run(std::string text) {
        constexpr std::string_view word = "outbox";
        for (auto at = text.find(word); at != std::string::npos; at = text.find(word, at)) {
            text.insert(at, schema + ".");
            at += schema.size() + 1 + word.size();
        }
        return sql(text);
    }

    void put(std::uint8_t number, std::string_view key, std::string_view payload = "p") {
        storage.begin(sql.handle());
        add(sql, number, key, payload);
        storage.commit(sql.handle());
    }
    void add(sql_connection& on, std::uint8_t number, std::string_view key,
             std::string_view payload = "p") {
        outbox::draft const one{
            .id = numbered(number), .topic = "t", .key = key, .payload = payload};
        storage.append(on.handle(), {&one, 1});
    }

    [[nodiscard]] outbox::postgres_storage::session worker(std::uint8_t number = 200,
                                                           outbox::duration limit = patience) {
        return storage.connect(numbered(number), limit);
    }
    [[nodiscard]] outbox::partition_number partition_of(std::string const& key) {
        return static_cast<outbox::partition_number>(std::stoi(
            sql("select (case when '" + key + "' = '' then 0 else 1 + abs(hashtextextended('" +
                key + "', 0) % 63) end)")));
    }
    [[nodiscard]] std::string low(outbox::partition_number partition) {
        return run("select low from outbox_partition where partition = " +
                   std::to_string(partition));
    }
};

constexpr outbox::acquire_request everything{
    .lease = std::chrono::seconds{60}, .most = 64, .reach = 9, .careful_reach = 1};

/// A read of one partition, beside settlements.
[[nodiscard]] inline outbox::round_reply read(outbox::postgres_storage::session& session,
                                              outbox::partition_number partition,
                                              std::vector<outbox::settlement> const& settled = {},
                                              std::int32_t records = 100) {
    return session.exchange({.settlements = settled,
                             .lease = std::chrono::seconds{60},
                             .read = {&partition, 1},
                             .records = records,
                             .bytes = 1'000'000});
}

[[nodiscard]] inline outbox::settlement removal(outbox::record const& of) {
    return {.partition = of.partition, .sequence = of.sequence, .what = outbox::fate::remove};
}

[[nodiscard]] inline std::vector<outbox::settlement> removals(outbox::round_reply const& reply) {
    std::vector<outbox::settlement> all;
    for (auto const& one : reply.read.records) all.push_back(removal(one));
    return all;
}

inline void renew(outbox::postgres_storage::session& session, outbox::partition_number partition) {
    outbox::renewal const one{.partition = partition, .care = {}};
    static_cast<void>(session.exchange({.renewals = {&one, 1}, .lease = std::chrono::seconds{60}}));
}

[[nodiscard]] inline std::vector<int> numbers(outbox::round_reply const& reply) {
    std::vector<int> found;
    for (auto const& one : reply.read.records) found.push_back(one.id.bytes[15]);
    return found;
}

/// The code of what `action` throws.
template <class Action>
[[nodiscard]] std::optional<outbox::errc> refusal(Action&& action) {
    try {
        action();
    } catch (outbox::error const& failure) {
        return failure.code();
    }
    return std::nullopt;
}

}  // namespace support
