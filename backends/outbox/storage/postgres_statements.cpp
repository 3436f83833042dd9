// SPDX-License-Identifier: MIT
#include "outbox/storage/postgres_statements.hpp"

#include "outbox/storage/postgres_reading.hpp"
#include "outbox/storage/postgres_watching.hpp"

namespace outbox::postgres {

namespace {

bool is_word_byte(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// --- acquire ---------------------------------------------------------------------------------

// Loose scans: one probe of the index a key, however many records a key has.
constexpr std::string_view retrying_heads = R"(
    with recursive heads as (
        (select m.key, m.sequence, m.due from outbox m
          where m.state = 1 and m.partition = p.partition
          order by m.key, m.sequence limit 1)
        union all
        select n.key, n.sequence, n.due from heads h cross join lateral (
            select m.key, m.sequence, m.due from outbox m
             where m.state = 1 and m.partition = p.partition and m.key > h.key
             order by m.key, m.sequence limit 1) n))";

constexpr std::string_view dead_keys = R"(
    with recursive dead as (
        (select m.key from outbox m where m.state = 3 and m.partition = p.partition
          order by m.key limit 1)
        union all
        select n.key from dead d cross join lateral (
            select m.key from outbox m
             where m.state = 3 and m.partition = p.partition and m.key > d.key
             order by m.key limit 1) n))";

constexpr std::string_view dead_before_head = R"(
    (select d.sequence from outbox d
      where d.state = 3 and d.partition = p.partition and d.key = h.key and d.sequence < h.sequence
      limit 1) is not null)";

// Whether there is work in what others hold matters to a worker that holds nothing. What lies
// far behind is not looked for here: under a transaction that stays open it may be dead rows
// alone, which their holder goes through a stretch at a time. How many others there are, and how
// much one of them holds at the most, is told without work, too.
std::string find_work_sql() {
    return R"(
select o.others, o.most, w.partition, w.taken
  from (select clock_timestamp() as now) t
 cross join lateral (
    select count(*) as others, coalesce(max(h.partitions), 0) as most
      from (select count(*) as partitions from outbox_partition o
             where o.owner <> $2 and o.lease_until > t.now group by o.owner) h) o
  left join lateral (
select p.partition, p.served, coalesce(p.owner <> $2 and p.lease_until > t.now, false) as taken
  from outbox_partition p cross join outbox_sequence q
 where p.partition <> all ($1)
   and (cardinality($1) = 0 or p.owner is null or p.owner = $2 or p.lease_until <= t.now)
   and (q.last_value - p.low > 1000000
     or (select m.sequence from outbox m
          where m.state = 0 and m.partition = p.partition and m.sequence > p.low
          order by m.sequence limit 1) is not null
     or (select m.sequence from outbox m
          where m.state = 2 and m.partition = p.partition and m.due <= t.now
          order by m.due limit 1) is not null
     or ()" +
           std::string{retrying_heads} +
           R"( select h.sequence from heads h
           where (h.due is null or h.due <= t.now)
             and not ($3 and )" +
           std::string{dead_before_head} + R"() limit 1) is not null)) w on true
 order by w.served, w.partition)";
}

// The net below the low-water mark: nothing ready can be there, unless somebody truncated the
// table, set the sequence back or restored a copy. Costs a probe of each partition.
constexpr std::string_view mend_low_sql = R"(
with below as materialized (
    select p.partition, m.sequence from outbox_partition p
     cross join lateral (
        select m.sequence from outbox m
         where m.state = 0 and m.partition = p.partition and m.sequence <= p.low
         order by m.sequence limit 1) m
     where p.owner is null or p.owner = $1 or p.lease_until <= clock_timestamp()
       for no key update of p skip locked)
update outbox_partition p set low = b.sequence - 1 from below b where p.partition = b.partition)";

// Before the taking transaction gets its id.
constexpr std::string_view head_sql =
    "select q.last_value - (not q.is_called)::integer from outbox_sequence q";

constexpr std::string_view take_sql = R"(
with free as materialized (
    select p.partition, p.suspect, coalesce(p.owner <> $2, false) as died
      from outbox_partition p
     where p.partition = any ($1)
       and (p.owner is null or p.owner = $2 or p.lease_until <= clock_timestamp())
     order by p.served, p.partition limit $6
       for no key update skip locked)
update outbox_partition p
   set owner = $2, epoch = p.epoch + 1,
       lease_until = clock_timestamp() + $3 * interval '1 microsecond',
       wanted_until = null, served = clock_timestamp(), suspect = null,
       strikes = p.strikes + f.died::integer,
       care_left = case when f.died then p.reach else p.care_left end,
       reach = case when f.died or p.care_left > 0 then $5 else $4 end
  from free f
 where p.partition = f.partition
returning p.partition, p.epoch, p.low, pg_current_xact_id()::text::bigint, p.version, p.strikes,
          p.care_left, p.reach,
          case when f.died then f.suspect end)";

std::string accuse_sql(std::string_view state) {
    return R"(
update outbox m
   set state = 1, key = coalesce(m.key, ''), deaths = m.deaths + 1, due = clock_timestamp()
 where m.state = )" +
           std::string{state} + R"( and m.partition = $1 and m.sequence = $2
returning m.sequence, m.id, m.key, m.attempts, m.deaths,
          (select count(*) from outbox d
            where d.state = 3 and d.deaths > 0
              and d.died_at > now() - interval '1 hour')::integer)";
}

constexpr std::string_view want_sql = R"(
with beyond as materialized (
    select r.partition,
           coalesce(r.wanted_until > clock_timestamp() + $3 / 2 * interval '1 microsecond', false)
               as asked
      from (select o.partition, o.wanted_until,
                   row_number() over (partition by o.owner order by o.partition) as place
              from outbox_partition o
             where o.owner <> $1 and o.lease_until > clock_timestamp()) r
     where r.place > $2),
chosen as materialized (
    select p.partition from outbox_partition p join beyond b on b.partition = p.partition
     where not b.asked
     order by p.partition
     limit greatest($4 - (select count(*) from beyond where asked), 0)
       for no key update of p skip locked)
update outbox_partition p set wanted_until = clock_timestamp() + $3 * interval '1 microsecond'
  from chosen c where p.partition = c.partition)";

std::string parked_sql() {
    return R"(
select p.partition, k.key, k.due_in, k.blocked, k.retrying
  from (select clock_timestamp() as now) t
 cross join unnest($1) as p(partition)
 cross join lateral (()" +
           std::string{retrying_heads} + R"(
    select h.key,
           coalesce((extract(epoch from h.due - t.now) * 1000000)::bigint, 0) as due_in,
           $2 and )" +
           std::string{dead_before_head} + R"( as blocked, true as retrying
      from heads h)
    union all
    ()" + std::string{dead_keys} +
           R"(
    select d.key, 0::bigint, true, false from dead d
     where $2 and (select m.sequence from outbox m
                    where m.state = 1 and m.partition = p.partition and m.key = d.key
                    limit 1) is null)) k)";
}

constexpr std::string_view release_sql = R"(
with mine as materialized (
    select s.* from unnest($1, $2, $4, $5, $6, $7)
           as s(partition, epoch, low, strikes, care_left, reach)
      join outbox_partition p on p.partition = s.partition and p.epoch = s.epoch
     where p.owner = $3
     order by p.partition
       for no key update of p)
update outbox_partition p
   set owner = null, lease_until = null, wanted_until = null, suspect = null,
       served = clock_timestamp(), low = m.low,
       strikes = m.strikes, care_left = m.care_left, reach = m.reach
  from mine m where p.partition = m.partition)";

// --- exchange --------------------------------------------------------------------------------

// Raises (division by zero) unless all of the partitions are ours, so that nothing behind it in the
// pipeline runs. Locks in the order of the partitions given, and waits for nobody but an operator.
constexpr std::string_view fence_sql = R"(
with mine as materialized (
    select p.* from unnest($1, $2) as s(partition, epoch)
     cross join lateral (
        select o.partition, o.version, o.wanted_until from outbox_partition o
         where o.partition = s.partition and o.epoch = s.epoch and o.owner = $3
           for no key update) p)
select m.partition, m.version, coalesce(m.wanted_until > clock_timestamp(), false), false,
       1 / ((select count(*) from mine) = $4)::integer
  from (values (1)) one left join mine m on true)";

constexpr std::string_view peek_sql = R"(
select p.partition, p.version, coalesce(p.wanted_until > t.now, false),
       $4 and (select m.sequence from outbox m
                where m.state = 2 and m.partition = p.partition and m.due <= t.now
                order by m.due limit 1) is not null
  from (select clock_timestamp() as now) t
 cross join unnest($1, $2) as s(partition, epoch)
 cross join lateral (
    select o.partition, o.version, o.wanted_until from outbox_partition o
     where o.partition = s.partition and o.epoch = s.epoch and o.owner = $3 limit 1) p)";

constexpr std::string_view among_ready = R"(
 where m.state = 0 and m.partition = s.partition and m.sequence = s.sequence)";
constexpr std::string_view among_retrying = R"(
 where m.state = 1 and m.partition = s.partition and m.key = s.key and m.sequence = s.sequence)";

std::string remove_sql(std::string_view columns, std::string_view among) {
    return "delete from outbox m using unnest(" + std::string{columns} + std::string{among};
}
constexpr std::string_view stamping =
    " set state = 4, due = null, published_at = clock_timestamp()";
std::string stamp_sql(std::string_view columns, std::string_view among) {
    return "update outbox m" + std::string{stamping} + " from unnest(" + std::string{columns} +
           std::string{among};
}
// A ready row lies where it was read, since nobody updates it; reaching it there spares a descent
// of the index. Should somebody have rewritten the table, another row may lie there, or none: then
// it raises (division by zero). There is no other condition, since no index that serves one tempts
// the planner then: under a pinned horizon a vacuum can count next to no live rows in a large
// table, and reading all of a small index looks cheap.
std::string placed_sql(std::string_view settling) {
    return "with met as (" + std::string{settling} +
           " where m.ctid = any ($2) returning m.sequence) "
           "select 1 / coalesce((select array_agg(sequence order by sequence) from met) = $1, "
           "false)::integer";
}
std::string flag_sql(std::string_view columns, std::string_view among) {
    return R"(
update outbox m
   set state = s.new_state, key = coalesce(m.key, ''),
       attempts = coalesce(s.attempts, m.attempts),
       due = clock_timestamp() + s.delay * interval '1 microsecond',
       last_error = coalesce(s.error, m.last_error),
       died_at = case when s.new_state = 3 then clock_timestamp() end
  from unnest()" +
           std::string{columns} + std::string{among};
}

constexpr std::string_view renew_sql = R"(
update outbox_partition p
   set lease_until = clock_timestamp() + $6 * interval '1 microsecond', low = s.low,
       strikes = s.strikes, care_left = s.care_left, reach = s.reach
  from unnest($1, $2, $3, $4, $5) as s(partition, low, strikes, care_left, reach)
 where p.partition = s.partition)";

// Where scheduled records are to be promoted, too, the commit must wait for the disk.
constexpr std::string_view relax_unless_due_sql = R"(
select set_config('synchronous_commit', 'off', true)
 where not exists (
    select from (select clock_timestamp() as now) t
     cross join unnest($1) as p(partition)
     cross join lateral (
        select from outbox m
         where m.state = 2 and m.partition = p.partition and m.due <= t.now limit 1) d))";

// The fence before it gave the transaction its id, so the numbers are drawn after that.
constexpr std::string_view promote_sql = R"(
with fallen_due as materialized (
    select d.* from (select clock_timestamp() as now) t
     cross join unnest($1) as p(partition)
     cross join lateral (
        select m.partition, m.due, m.sequence from outbox m
         where m.state = 2 and m.partition = p.partition and m.due <= t.now
           and current_setting('synchronous_commit') <> 'off'
         order by m.due, m.sequence limit $2) d
     order by d.due, d.sequence limit $2),
numbered as materialized (
    select f.*, case when pg_current_xact_id() is not null then nextval('outbox_sequence') end
                as next_sequence
      from fallen_due f)
update outbox m set state = 0, due = null, sequence = n.next_sequence
  from numbered n
 where m.state = 2 and m.partition = n.partition and m.due = n.due and m.sequence = n.sequence)";

}  // namespace

std::string render(std::string_view sql, std::string_view name) {
    constexpr std::string_view word = "outbox";
    std::string rendered;
    rendered.reserve(sql.size() + 256);
    std::size_t from = 0;
    for (auto at = sql.find(word); at != std::string_view::npos; at = sql.find(word, from)) {
        auto const end = at + word.size();
        bool const begins = at == 0 || !is_word_byte(sql[at - 1]);
        bool const ends = end == sql.size() || sql[end] == '_' || !is_word_byte(sql[end]);
        rendered.append(sql, from, at - from);
        rendered.append(begins && ends ? name : word);
        from = end;
    }
    rendered.append(sql, from, std::string_view::npos);
    return rendered;
}

worker_statements::worker_statements(table_name const& table) {
    auto const name = table.qualified();
    auto const put = [&](std::string& to, std::string_view sql) { to = render(sql, name); };
    constexpr std::string_view two = "$1, $2) as s(partition, sequence)";
    constexpr std::string_view three = "$1, $2, $3) as s(partition, sequence, key)";
    constexpr std::string_view seven =
        "$1, $2, $3, $4, $5, $6, $7) as s(partition, sequence, key, new_state, attempts, delay, "
        "error)";

    put(find_work, find_work_sql());
    put(mend_low, mend_low_sql);
    put(head, head_sql);
    put(take, take_sql);
    put(accuse_retrying, accuse_sql("1"));
    put(accuse_ready, accuse_sql("0"));
    put(want, want_sql);
    put(parked, parked_sql());
    put(release, release_sql);

    put(watch, watch_sql);
    listen = "listen " + std::string{channel};
    unwatch = unwatch_sql;

    put(fence, fence_sql);
    put(peek, peek_sql);
    put(remove_placed, placed_sql("delete from outbox m"));
    put(remove_ready, remove_sql(two, among_ready));
    put(remove_retrying, remove_sql(three, among_retrying));
    put(stamp_placed, placed_sql("update outbox m" + std::string{stamping}));
    put(stamp_ready, stamp_sql(two, among_ready));
    put(stamp_retrying, stamp_sql(three, among_retrying));
    put(flag_ready, flag_sql(seven, among_ready));
    put(flag_retrying, flag_sql(seven, among_retrying));
    put(clear_note, "update outbox_partition p set suspect = null where p.partition = any ($1)");
    put(renew, renew_sql);
    put(relax_unless_due, relax_unless_due_sql);
    put(promote, promote_sql);
    put(read_due, read_due_sql());
    put(drained, drained_sql);
    put(look, sight_sql);
    put(read_ready, read_ready_sql());
    put(read_light, read_light_sql());
    put(note, "update outbox_partition p set suspect = $2 where p.partition = $1");
    put(read_one_ready, read_one_sql("m.state = 0"));
    put(read_one_retrying, read_one_sql("m.state = 1 and m.key = $3"));
}

}  // namespace outbox::postgres
