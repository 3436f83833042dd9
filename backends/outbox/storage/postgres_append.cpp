// SPDX-License-Identifier: MIT
#include "outbox/storage/postgres_append.hpp"

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <vector>

#include "outbox/storage/postgres_blocking.hpp"
#include "outbox/storage/postgres_kept.hpp"
#include "outbox/storage/postgres_statements.hpp"

namespace outbox::postgres {

namespace {

// A statement's size is bounded in rows and bytes: beyond this, more in one gains nothing.
constexpr std::size_t most_rows = 500;
constexpr std::size_t most_bytes = 4 * 1024 * 1024;

constexpr std::string_view doing = "create_message";

// Sequences are drawn row by row in the order of the calls.
constexpr std::string_view insert_sql = R"(
insert into outbox (id, caller_chose_id, topic, key, headers, payload, not_before, state, due)
select d.id, d.chosen, d.topic, d.key, d.headers, d.payload, d.not_before,
       case when d.not_before > clock_timestamp() then 2 else 0 end, d.not_before
  from unnest($1, $2, $3, $4, $5, $6, $7) with ordinality
       as d(id, chosen, topic, key, headers, payload, not_before, place))";
// Where it is not prepared, it is parsed and planned for each message, which takes several times as
// long as to insert one.
constexpr std::string_view insert_one_sql =
    "insert into outbox (id, topic, key, headers, payload) select $1, $2, $3, $4, $5";
constexpr std::string_view in_order = "\n order by d.place";

constexpr std::string_view compare_sql = R"(
select m.id is not null,
       coalesce(m.topic = d.topic and coalesce(m.key, '') = d.key and m.headers = d.headers
                and m.payload = d.payload, false)
  from unnest($1, $2, $3, $4, $5) with ordinality as d(id, topic, key, headers, payload, place)
  left join outbox m on m.id = d.id and m.caller_chose_id
 order by d.place)";

// In one order for all transactions, so that two never wait for each other.
constexpr std::string_view lock_keys_sql = R"(
select pg_advisory_xact_lock(l.number)
  from (select distinct hashtextextended(k.key, 'outbox'::regclass::oid::bigint) as number
          from unnest($1) as k(key) order by 1) l)";

using group = std::vector<draft const*>;

void check(PGconn* on) {
    switch (PQtransactionStatus(on)) {
        case PQTRANS_INTRANS: break;
        case PQTRANS_IDLE:
            throw error{errc::no_transaction,
                        "create_message needs an open transaction; begin one first"};
        case PQTRANS_INERROR:
            throw error{errc::aborted_transaction,
                        "an earlier statement failed; roll the transaction back"};
        case PQTRANS_ACTIVE:
            throw error{errc::no_transaction, "the connection is busy with another statement"};
        case PQTRANS_UNKNOWN: throw error{errc::aborted_transaction, "the connection is lost"};
    }
    char const* const encoding = PQparameterStatus(on, "client_encoding");
    if (encoding == nullptr || std::string_view{encoding} != "UTF8") {
        throw error{errc::unsafe_setup,
                    "client_encoding is " +
                        std::string{encoding == nullptr ? "unknown" : encoding} +
                        "; messages are UTF-8, so set it to UTF8"};
    }
}

void lock_keys(PGconn* on, append_statements const& sql, std::span<draft const> drafts) {
    std::vector<std::string_view> keys;
    for (auto const& one : drafts) {
        if (one.serialize_key) keys.push_back(one.key);
    }
    if (!keys.empty()) static_cast<void>(sql.run(on, sql.lock_keys, parameters{keys}));
}

bool is_ordinary(draft const& one) {
    return !one.caller_chose_id && !one.not_before;
}

std::size_t insert(PGconn* on, append_statements const& sql, std::span<draft const* const> drafts) {
    if (drafts.size() == 1 && is_ordinary(*drafts[0])) {
        auto const& one = *drafts[0];
        parameters const values{one.id, one.topic, one.key, one.headers, byte_string{one.payload}};
        return std::stoul(PQcmdTuples(sql.run(on, sql.insert_one, values).get()));
    }
    parameters values;
    bool chosen = false;
    values.add_array(drafts, [](auto const* one) { return one->id; });
    values.add_array(drafts, [](auto const* one) { return one->caller_chose_id; });
    values.add_array(drafts, [](auto const* one) { return one->topic; });
    values.add_array(drafts, [](auto const* one) { return one->key; });
    values.add_array(drafts, [](auto const* one) { return one->headers; });
    values.add_array(drafts, [](auto const* one) { return byte_string{one->payload}; });
    values.add_array(drafts, [](auto const* one) { return one->not_before; });
    for (auto const* one : drafts) chosen = chosen || one->caller_chose_id;
    auto const answer = sql.run(on, chosen ? sql.insert_chosen : sql.insert, values);
    return std::stoul(PQcmdTuples(answer.get()));
}

/// Those of the drafts whose id is stored no more. Throws when one is stored with other content.
group missing_after_comparison(PGconn* on, append_statements const& sql,
                               std::span<draft const* const> drafts) {
    group chosen;
    for (auto const* one : drafts) {
        if (one->caller_chose_id) chosen.push_back(one);
    }
    parameters values;
    values.add_array(chosen, [](auto const* one) { return one->id; });
    values.add_array(chosen, [](auto const* one) { return one->topic; });
    values.add_array(chosen, [](auto const* one) { return one->key; });
    values.add_array(chosen, [](auto const* one) { return one->headers; });
    values.add_array(chosen, [](auto const* one) { return byte_string{one->payload}; });
    auto const answer = sql.run(on, sql.compare, values);
    group missing;
    for (std::size_t i = 0; i < chosen.size(); ++i) {
        row_reader from{answer, static_cast<int>(i)};
        if (!from.boolean()) {
            missing.push_back(chosen[i]);
        } else if (!from.boolean()) {
            throw error{errc::duplicate_id, "message id " + to_string(chosen[i]->id) +
                                                " is stored already with other content"};
        }
    }
    return missing;
}

void insert_all(PGconn* on, append_statements const& sql, group drafts) {
    // An id that was taken when we inserted, and free when we looked, was delivered in between.
    while (!drafts.empty()) {
        if (insert(on, sql, drafts) == drafts.size()) return;
        drafts = missing_after_comparison(on, sql, drafts);
    }
}

void insert_in_groups(PGconn* on, append_statements const& sql, std::span<draft const> drafts) {
    group next;
    std::size_t bytes = 0;
    for (auto const& one : drafts) {
        if (next.size() == most_rows || bytes >= most_bytes) {
            insert_all(on, sql, std::exchange(next, {}));
            bytes = 0;
        }
        next.push_back(&one);
        bytes += one.payload.size() + one.headers.size();
    }
    insert_all(on, sql, std::move(next));
}

}  // namespace

append_statements::append_statements(table_name const& table, postgres_options const& options)
    : prepare{options.prepare} {
    auto const name = table.qualified();
    std::string one{insert_one_sql};
    std::string many{insert_sql};
    if (options.announce) {
        one.append(" where outbox_wake()");
        many.append("\n where (select outbox_wake())");
    }
    insert_one = render(one, name);
    insert = render(many.append(in_order), name);
    insert_chosen = insert + "\n    on conflict (id) where caller_chose_id do nothing";
    compare = render(compare_sql, name);
    lock_keys = render(lock_keys_sql, name);
}

result append_statements::run(PGconn* on, std::string const& sql, parameters const& values) const {
    return prepare ? execute_kept(on, sql, values) : execute(on, sql, values);
}

void append(PGconn* on, append_statements const& sql, std::span<draft const> drafts) {
    check(on);
    if (drafts.empty()) return;
    // A refusal halfway through must not leave half of the call in the caller's transaction.
    bool const refusable = drafts.size() > 1 && std::ranges::any_of(drafts, [](draft const& one) {
                               return one.caller_chose_id;
                           });
    try {
        lock_keys(on, sql, drafts);
        if (!refusable) {
            insert_in_groups(on, sql, drafts);
            return;
        }
        execute_script(on, "savepoint outbox_append");
        try {
            insert_in_groups(on, sql, drafts);
        } catch (error const&) {
            execute_script(on, "rollback to savepoint outbox_append");
            execute_script(on, "release savepoint outbox_append");
            throw;
        }
        execute_script(on, "release savepoint outbox_append");
    } catch (failure const& why) {
        throw why.error(doing);
    }
}

}  // namespace outbox::postgres
