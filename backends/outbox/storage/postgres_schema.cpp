// SPDX-License-Identifier: MIT
#include "outbox/storage/postgres_schema.hpp"

#include <migrations_postgres.hpp>

#include "outbox/error.hpp"
#include "outbox/storage/postgres_statements.hpp"

namespace outbox::postgres {

namespace {

// One row a difference, the most telling first; it asks the catalogue, so nothing need exist.
constexpr std::string_view differences_sql = R"(
with expected_column(place, owner, name, type) as (values
    (1, 'outbox', 'sequence', 'bigint'), (2, 'outbox', 'partition', 'smallint'),
    (3, 'outbox', 'state', 'smallint'), (4, 'outbox', 'id', 'uuid'),
    (5, 'outbox', 'generation', 'integer'), (6, 'outbox', 'attempts', 'integer'),
    (7, 'outbox', 'deaths', 'integer'), (8, 'outbox', 'topic', 'text'),
    (9, 'outbox', 'key', 'text'), (10, 'outbox', 'headers', 'text'),
    (11, 'outbox', 'payload', 'bytea'), (12, 'outbox', 'last_error', 'text'),
    (13, 'outbox', 'caller_chose_id', 'boolean'),
    (14, 'outbox', 'created_at', 'timestamp with time zone'),
    (15, 'outbox', 'not_before', 'timestamp with time zone'),
    (16, 'outbox', 'due', 'timestamp with time zone'),
    (17, 'outbox', 'published_at', 'timestamp with time zone'),
    (18, 'outbox', 'died_at', 'timestamp with time zone'),
    (21, 'outbox_partition', 'partition', 'smallint'), (22, 'outbox_partition', 'owner', 'uuid'),
    (23, 'outbox_partition', 'epoch', 'bigint'), (24, 'outbox_partition', 'low', 'bigint'),
    (25, 'outbox_partition', 'version', 'bigint'), (26, 'outbox_partition', 'suspect', 'bigint'),
    (27, 'outbox_partition', 'strikes', 'integer'),
    (28, 'outbox_partition', 'care_left', 'integer'),
    (29, 'outbox_partition', 'reach', 'integer'),
    (30, 'outbox_partition', 'lease_until', 'timestamp with time zone'),
    (31, 'outbox_partition', 'wanted_until', 'timestamp with time zone'),
    (32, 'outbox_partition', 'served', 'timestamp with time zone')),
expected_index(name, owner) as (values
    ('outbox_ready', 'outbox'), ('outbox_retrying', 'outbox'), ('outbox_scheduled', 'outbox'),
    ('outbox_dead', 'outbox'), ('outbox_dead_key', 'outbox'), ('outbox_published', 'outbox'),
    ('outbox_killers', 'outbox'), ('outbox_chosen_id', 'outbox'))
select d.what from (
    select 1 as rank, e.place, 'table ' || e.owner || ' is missing' as what
      from expected_column e where to_regclass(e.owner) is null
    union all
    select 2, e.place,
           case when a.attname is null
                then 'table ' || e.owner || ' has no column ' || e.name
                else 'column ' || e.name || ' of table ' || e.owner || ' is '
                     || format_type(a.atttypid, a.atttypmod) || ', and ' || e.type || ' is needed'
           end
      from expected_column e
      left join pg_attribute a
        on a.attrelid = to_regclass(e.owner) and a.attname = e.name and not a.attisdropped
     where a.attname is null or format_type(a.atttypid, a.atttypmod) <> e.type
    union all
    select 3, 0, 'index ' || e.name || ' is missing or not valid' from expected_index e
     where not coalesce((select i.indisvalid from pg_index i
                          where i.indexrelid = to_regclass(e.name)
                            and i.indrelid = to_regclass(e.owner)), false)
    union all
    select 4, 0, 'sequence outbox_sequence is missing or does not have CACHE 1'
     where coalesce((select q.seqcache from pg_sequence q
                      where q.seqrelid = to_regclass('outbox_sequence')), 0) <> 1
    union all
    select 5, 0, 'the default of column sequence of table outbox is not the one of the migration'
     where not coalesce((
        select pg_get_expr(f.adbin, f.adrelid) like '%pg_current_xact_id()%nextval(%'
          from pg_attrdef f join pg_attribute a
            on a.attrelid = f.adrelid and a.attnum = f.adnum
         where f.adrelid = to_regclass('outbox') and a.attname = 'sequence'), false)) d
 order by d.rank, d.place limit 1)";

constexpr std::string_view has_version_sql = "select to_regclass('outbox_version') is not null";
constexpr std::string_view state_sql =
    "select max(v.version), (select count(*) from outbox_partition) from outbox_version v";

}  // namespace

void check_schema(table_name const& table, std::function<result(std::string const&)> const& ask) {
    auto const name = table.qualified();
    auto const refuse = [](std::string const& why) {
        throw error{errc::schema_mismatch, why + "; apply the migrations"};
    };
    constexpr int needed = static_cast<int>(migrations::postgres.size());

    auto const versioned = ask(render(has_version_sql, name));
    if (!row_reader{versioned, 0}.boolean())
        refuse("table " + table.qualified("_version") + " is missing");
    auto const differences = ask(render(differences_sql, name));
    if (row_count(differences) > 0) refuse(row_reader{differences, 0}.string());
    auto const state = ask(render(state_sql, name));
    row_reader from{state, 0};
    auto const version = from.number<std::int32_t>();
    if (version < needed) {
        refuse("the schema of " + name + " has version " + std::to_string(version) + ", and " +
               std::to_string(needed) + " is needed");
    }
    if (auto const partitions = from.number<std::int64_t>(); partitions != 64) {
        refuse("table " + table.qualified("_partition") + " has " + std::to_string(partitions) +
               " rows, and 64 are needed");
    }
}

}  // namespace outbox::postgres
