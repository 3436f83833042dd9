// SPDX-License-Identifier: MIT
//
// SQL that reads records: what is ready, what is due of a parked key, and one by itself.
#pragma once

#include <string>
#include <string_view>

namespace outbox::postgres {

// The place, then what stands in `record`, as sql_columns.hpp reads it. What is mostly zero or
// empty is null then, which costs the server and the wire less, and reads as the same.
inline constexpr std::string_view record_columns = R"(
    m.ctid as place, m.sequence, m.partition, nullif(m.state, 0) as state, m.id,
    nullif(m.generation, 0) as generation, nullif(m.attempts, 0) as attempts,
    nullif(m.deaths, 0) as deaths,
    case when m.not_before is not null then
        greatest((extract(epoch from m.not_before - clock_timestamp()) * 1000000)::bigint, 0)
    end as remaining,
    m.topic, m.key, nullif(m.headers, '') as headers, )";

// Cuts off what lies beyond so many bytes of payload without touching a payload; the session cuts
// again, exactly. A window without an order takes the rows as they come, so nothing is sorted.
[[nodiscard]] inline std::string within_bytes(std::string const& records) {
    return R"((
    select w.place, w.sequence, w.partition, w.state, w.id, w.generation, w.attempts, w.deaths,
           w.remaining, w.topic, w.key, w.headers, case when $6 then w.payload end as payload
      from (select m.*, sum(octet_length(m.payload)) over (rows unbounded preceding)
                        - octet_length(m.payload) as before
              from ()" +
           records + R"( limit $4) m) w
     where w.before < $5))";
}

[[nodiscard]] inline std::string read_due_sql() {
    return "select r.* from " +
           within_bytes(R"(
            select m.* from unnest($1, $2) as p(partition, key)
             cross join lateral (select )" +
                        std::string{record_columns} + R"( m.payload from outbox m
                 where m.state = 1 and m.partition = p.partition and m.key = p.key
                   and m.sequence not in (select unnest($3))
                   and (not $7 or m.sequence < coalesce(
                       (select d.sequence from outbox d
                         where d.state = 3 and d.partition = p.partition and d.key = p.key
                         order by d.sequence limit 1), 9223372036854775807))
                 order by m.sequence limit $4) m)") +
           " r";
}

inline constexpr std::string_view drained_sql = R"(
select s.place::integer - 1 from unnest($1, $2) with ordinality as s(partition, key, place)
 where (select m.sequence from outbox m
         where m.state = 1 and m.partition = s.partition and m.key = s.key limit 1) is null
   and (not $3 or (select m.sequence from outbox m
         where m.state = 3 and m.partition = s.partition and m.key = s.key limit 1) is null))";

// What one snapshot can see, as `sight`, an open transaction a row. A read that follows it sees the
// same, so that what was made of the transactions that are open holds for it.
inline constexpr std::string_view begin_look_sql =
    "begin isolation level repeatable read, read only";
inline constexpr std::string_view sight_sql = R"(
select pg_snapshot_xmin(s.now), pg_snapshot_xmax(s.now),
       q.last_value - (not q.is_called)::integer, o.open
  from (select pg_current_snapshot() as now) s
 cross join outbox_sequence q
  left join lateral pg_snapshot_xip(s.now) as o(open) on true)";

// A read is the sweep, too: everything above the low-water mark that is not in hand, as seen by one
// snapshot. Where nobody else wrote since the last one, which shows by the id that our transaction
// got a moment ago, there is nothing to sweep; nor where all who might have brought something below
// are open still.
[[nodiscard]] inline std::string ready_records(std::string_view payload) {
    return R"(
            select m.* from unnest($1, $2, $7, $8, $9, $10, $12, $13)
                   as p(partition, low, share, quiet_from, own_id, open_from, held_to, reach)
             cross join lateral (select )" +
           std::string{record_columns} + std::string{payload} + R"( from outbox m
                 where m.state = 0 and m.partition = p.partition
                   and m.sequence > case when p.own_id = current_setting('relay.own_id', true)
                                         then p.quiet_from
                                         when not (select coalesce(bool_or(pg_visible_in_snapshot(
                                                              o.id::text::xid8,
                                                              pg_current_snapshot())), false)
                                                     from unnest($11) as o(id))
                                         then p.open_from else p.low end
                   and m.sequence <= p.reach
                   and (m.sequence > p.held_to or m.sequence not in (select unnest($3)))
                 order by m.sequence limit p.share) m)";
}

[[nodiscard]] inline std::string read_ready_sql() {
    return "select r.* from " + within_bytes(ready_records("m.payload")) + " r";
}

// The same, quicker: each payload within its share of the bytes, or null, which ends the read.
[[nodiscard]] inline std::string read_light_sql() {
    return "select r.* from (" +
           ready_records("case when $6 and octet_length(m.payload) <= $5 / $4 then m.payload end") +
           " limit $4) r";
}

[[nodiscard]] inline std::string read_one_sql(std::string_view among) {
    return "select " + std::string{record_columns} +
           " m.payload from outbox m where m.partition = $1 and m.sequence = $2 and " +
           std::string{among};
}

}  // namespace outbox::postgres
