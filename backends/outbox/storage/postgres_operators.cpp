// SPDX-License-Identifier: MIT
#include "outbox/storage/postgres_operators.hpp"

#include <algorithm>
#include <limits>

#include "outbox/storage/postgres_connection.hpp"
#include "outbox/storage/postgres_parts.hpp"
#include "outbox/storage/sql_columns.hpp"

namespace outbox {

namespace postgres {

namespace {

/// How long an operator's call may take.
constexpr duration operator_limit = std::chrono::seconds{60};

constexpr std::string_view among_dead = R"(
     where m.state = 3 and ($1 = '' or m.topic = $1)
       and m.id >= coalesce($2, '00000000-0000-0000-0000-000000000000'::uuid)
       and m.id <= coalesce($2, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid))";

// Tells the owners of the partitions, in the same transaction. Rows are locked in one order.
constexpr std::string_view tell_owners = R"(,
touched as materialized (
    select p.partition from outbox_partition p
     where p.partition in (select c.partition from chosen c)
     order by p.partition for no key update),
told as (
    update outbox_partition p set version = p.version + 1
      from touched t where p.partition = t.partition))";

std::string choose(std::string_view which, std::string_view order, std::string_view limit) {
    return "with chosen as materialized (select m.id, m.sequence, m.partition, m.published_at from "
           "outbox m" +
           std::string{which} + " order by " + std::string{order} + " limit " + std::string{limit} +
           " for update skip locked)";
}

// Each is found again by the index that has its state.
constexpr std::string_view each_dead = R"(
     where m.state = 3 and m.id = c.id and m.sequence = c.sequence)";
constexpr std::string_view each_published = R"(
     where m.state = 4 and m.published_at = c.published_at and m.sequence = c.sequence)";

// Ages are told by the server's clock; no messages get lost by a worker's.
constexpr std::string_view statistics_sql = R"(
with first_ready as materialized (
    select m.sequence, m.created_at from outbox_partition p
     cross join lateral (
        select m.sequence, m.created_at from outbox m
         where m.state = 0 and m.partition = p.partition and m.sequence > p.low
         order by m.sequence limit 1) m)
select (select count(*) from (
            select from outbox_partition p cross join lateral (
                select from outbox m
                 where m.state = 0 and m.partition = p.partition and m.sequence > p.low
                 limit $1 + 1) m
             limit $1 + 1) c),
       (select s.last_value from outbox_sequence s)
           - (select min(f.sequence) from first_ready f) + 1,
       (extract(epoch from clock_timestamp() - (select min(f.created_at) from first_ready f))
           * 1000000)::bigint,
       (select count(*) from (select from outbox m where m.state = 1 limit $1) c),
       (select count(*) from (select from outbox m where m.state = 2 limit $1) c),
       (select count(*) from (select from outbox m where m.state = 3 limit $1) c),
       (select count(*) from outbox_partition p
         where p.owner is not null and p.lease_until > clock_timestamp()))";

std::int64_t bounded(std::size_t count) {
    return static_cast<std::int64_t>(
        std::min(count, static_cast<std::size_t>(std::numeric_limits<std::int64_t>::max())));
}

result ask(std::string const& connection_string, std::string_view doing, std::string const& sql,
           parameters values) {
    connection link{connection_string, operator_limit};
    try {
        link.start_limit();
        return link.run(command{sql, std::move(values)});
    } catch (failure const& why) {
        throw why.error(doing);
    }
}

std::size_t counted(result const& answer) {
    return static_cast<std::size_t>(row_reader{answer, 0}.number<std::int64_t>());
}

}  // namespace

operator_statements::operator_statements(table_name const& table) {
    auto const name = table.qualified();
    auto const put = [&](std::string& to, std::string const& sql) { to = render(sql, name); };
    std::string const told{tell_owners};
    std::string const dead{each_dead};
    std::string const published{each_published};
    std::string const remove = R"(,
gone as (delete from outbox m using chosen c)";
    std::string const count_gone = " returning 1) select count(*) from gone";

    put(dead_letters,
        "select " + columns_of<dead_letter>("m.") + " from outbox m" + std::string{among_dead} + R"(
       and ($3 is null or m.id > $3) order by m.id limit $4)");
    put(requeue, choose(among_dead, "m.id", "$3") + told + R"(,
moved as (
    update outbox m
       set state = 1, key = coalesce(m.key, ''), due = clock_timestamp(), died_at = null,
           generation = m.generation + 1, attempts = 0, deaths = 0
      from chosen c)" +
                     dead + " returning 1) select count(*) from moved");
    put(discard, choose(among_dead, "m.id", "$3") + told + remove + dead + count_gone);
    put(replay, choose(R"(
     where m.state = 4 and m.published_at >= $1 and m.published_at < $2
       and ($3 is null or m.id > $3))",
                       "m.id", "$4") +
                    told + R"(,
moved as (
    update outbox m
       set state = 1, key = coalesce(m.key, ''), due = clock_timestamp(), published_at = null
      from chosen c)" +
                    published + R"(
    returning m.id)
select r.id from moved r order by r.id)");
    put(purge_published, choose(R"(
     where m.state = 4 and m.published_at < clock_timestamp() - $1 * interval '1 microsecond')",
                                "m.published_at", "$2") +
                             remove + published + count_gone);
    put(purge_dead, choose(R"(
     where m.state = 3 and m.died_at < clock_timestamp() - $1 * interval '1 microsecond')",
                           "m.id", "$2") +
                        told + remove + dead + count_gone);
    put(statistics, std::string{statistics_sql});
}

}  // namespace postgres

std::vector<dead_letter> postgres_storage::dead_letters(dead_letter_filter const& filter,
                                                        std::optional<message_id> after,
                                                        std::size_t count) const {
    using namespace postgres;
    auto const rows =
        ask(connection_string_, "dead letters", parts_->operators.dead_letters,
            parameters{std::string_view{filter.topic}, filter.id, after, bounded(count)});
    std::vector<dead_letter> found;
    for (int row = 0; row < row_count(rows); ++row) {
        row_reader from{rows, row};
        found.push_back(read_row<dead_letter>(from));
    }
    return found;
}

std::size_t postgres_storage::requeue(dead_letter_filter const& filter, std::size_t count) {
    using namespace postgres;
    return counted(ask(connection_string_, "requeue", parts_->operators.requeue,
                       parameters{std::string_view{filter.topic}, filter.id, bounded(count)}));
}

std::size_t postgres_storage::discard(dead_letter_filter const& filter, std::size_t count) {
    using namespace postgres;
    return counted(ask(connection_string_, "discard", parts_->operators.discard,
                       parameters{std::string_view{filter.topic}, filter.id, bounded(count)}));
}

std::vector<message_id> postgres_storage::replay(time_range range, std::optional<message_id> after,
                                                 std::size_t count) {
    using namespace postgres;
    auto const rows = ask(connection_string_, "replay", parts_->operators.replay,
                          parameters{range.from, range.to, after, bounded(count)});
    std::vector<message_id> done;
    for (int row = 0; row < row_count(rows); ++row) done.push_back(row_reader{rows, row}.id());
    return done;
}

std::size_t postgres_storage::purge_published(duration older_than, std::size_t count) {
    using namespace postgres;
    return counted(ask(connection_string_, "purge", parts_->operators.purge_published,
                       parameters{std::int64_t{older_than.count()}, bounded(count)}));
}

std::size_t postgres_storage::purge_dead(duration older_than, std::size_t count) {
    using namespace postgres;
    return counted(ask(connection_string_, "purge", parts_->operators.purge_dead,
                       parameters{std::int64_t{older_than.count()}, bounded(count)}));
}

storage_statistics postgres_storage::statistics() const {
    using namespace postgres;
    constexpr auto limit = storage_statistics::count_limit;
    auto const answer = ask(connection_string_, "statistics", parts_->operators.statistics,
                            parameters{std::int64_t{limit}});
    row_reader from{answer, 0};
    storage_statistics figures;
    auto ready = from.number<std::int64_t>();
    auto const numbers_drawn_since = from.number<std::int64_t>();
    figures.oldest_age = std::max(from.microseconds(), duration::zero());
    figures.retrying = from.number<std::int64_t>();
    figures.scheduled = from.number<std::int64_t>();
    figures.dead = from.number<std::int64_t>();
    figures.partitions_held = static_cast<std::int32_t>(from.number<std::int64_t>());
    figures.backlog_is_estimate =
        ready > limit || figures.retrying == limit || figures.scheduled == limit;
    // All numbers drawn since the first ready record: too many by those delivered out of turn.
    if (ready > limit) ready = std::max(ready, numbers_drawn_since);
    figures.backlog = ready + figures.retrying + figures.scheduled;
    return figures;
}

}  // namespace outbox
