// SPDX-License-Identifier: MIT
//
// The statements of a worker's session, prepared once. Each names the index that it walks: without
// that it fails, instead of sorting the backlog in every round.
#include <string>
#include <string_view>

#include "outbox/storage/sql_columns.hpp"
#include "outbox/storage/sqlite_statements.hpp"
#include "outbox/storage/sqlite_worker.hpp"

namespace outbox::sqlite {

worker::statements::statements(sqlite3* on, table_name const& table) {
    auto const prepare = [&](std::string_view sql) { return statement{on, render(sql, table)}; };

    lease_row = prepare(
        "select {now}, owner, epoch, lease_until, version, suspect, strikes, care_left, reach"
        " from outbox_partition where partition = 0");
    take = prepare(
        "update outbox_partition set owner = ?1, epoch = ?2, lease_until = ?3, strikes = ?4,"
        " care_left = ?5, reach = ?6, suspect = null");
    extend = prepare(
        "update outbox_partition set lease_until = ?1, strikes = ?2, care_left = ?3, reach = ?4");
    give_back = prepare(
        "update outbox_partition set owner = null, lease_until = 0, strikes = ?1, care_left = ?2,"
        " reach = ?3, suspect = null");
    note_suspect = prepare("update outbox_partition set suspect = ?1");
    clear_suspect = prepare("update outbox_partition set suspect = null");

    // Settling: by exact sequence, and only what can be in hand.
    std::string const remove_where = "delete from outbox where ";
    std::string const stamp_where = "update outbox set state = 4, published_at = ?1 where ";
    std::string const run = "sequence between ?2 and ?3 and state in (0, 1)";
    std::string scattered;
    for (std::size_t i = 0; i < sequences_at_once; ++i) {
        scattered += (i == 0 ? "sequence in (?" : ", ?") + std::to_string(2 + i);
    }
    scattered += ") and state in (0, 1)";
    remove_run = prepare(remove_where + run);
    remove_scattered = prepare(remove_where + scattered);
    stamp_run = prepare(stamp_where + run);
    stamp_scattered = prepare(stamp_where + scattered);
    retry = prepare(
        "update outbox set state = 1, due = ?2, attempts = ?3, last_error = ?4"
        " where sequence = ?1 and state in (0, 1)");
    follow =
        prepare("update outbox set state = 1, due = ?2 where sequence = ?1 and state in (0, 1)");
    schedule =
        prepare("update outbox set state = 2, due = ?2 where sequence = ?1 and state in (0, 1)");
    bury = prepare(
        "update outbox set state = 3, died_at = ?2, attempts = ?3, last_error = ?4"
        " where sequence = ?1 and state in (0, 1)");

    any_ready = prepare("select 1 from outbox indexed by outbox_ready where state = 0 limit 1");
    any_scheduled_due = prepare(
        "select 1 from outbox indexed by outbox_scheduled where state = 2 and due <= {now} limit "
        "1");
    scheduled_due = prepare(
        "select sequence from outbox indexed by outbox_scheduled where state = 2 and due <= ?1"
        " order by due, sequence limit 1");
    draw_sequence =
        prepare("update sqlite_sequence set seq = seq + 1 where name = 'outbox' returning seq");
    promote = prepare("update outbox set state = 0, sequence = ?2 where sequence = ?1");

    accuse = prepare(
        "update outbox set state = 1, deaths = deaths + 1, due = ?2"
        " where sequence = ?1 and state in (0, 1)"
        " returning id, coalesce(key, ''), attempts, deaths");
    buried_since = prepare(
        "select count(*) from outbox indexed by outbox_killers"
        " where state = 3 and deaths > 0 and died_at > ?1");
    // From key to key through the index, however many records each has. Null: from the first on;
    // a number sorts before every text.
    next_retrying_key = prepare(
        "select coalesce(key, ''), sequence, coalesce(due, 0)"
        " from outbox indexed by outbox_retrying"
        " where state = 1 and coalesce(key, '') > coalesce(?1, 0)"
        " order by coalesce(key, ''), sequence limit 1");
    next_dead_key = prepare(
        "select coalesce(key, '') from outbox indexed by outbox_dead_key"
        " where state = 3 and coalesce(key, '') > coalesce(?1, 0)"
        " order by coalesce(key, ''), sequence limit 1");
    any_retrying = prepare(
        "select 1 from outbox indexed by outbox_retrying"
        " where state = 1 and coalesce(key, '') = ?1 limit 1");
    first_dead = prepare(
        "select sequence from outbox indexed by outbox_dead_key"
        " where state = 3 and coalesce(key, '') = ?1 order by sequence limit 1");

    ready = prepare(
        "select sequence from outbox indexed by outbox_ready where state = 0 and sequence > ?1"
        " order by sequence");
    retrying = prepare(
        "select sequence, deaths from outbox indexed by outbox_retrying"
        " where state = 1 and coalesce(key, '') = ?1 order by sequence");
    // Its time is read as it is stored; `take_in` makes of it what remains until then.
    auto const columns = "select " + columns_of<record>() +
                         " from (select *, 0 as partition, not_before as remaining from outbox ";
    one = prepare(columns + "where sequence = ?1)");
    ready_records = prepare(columns +
                            "indexed by outbox_ready where state = 0 and sequence >= ?1"
                            " order by sequence)");
}

}  // namespace outbox::sqlite
