// SPDX-License-Identifier: MIT
//
// What operators and the delete policy ask for: each call on a connection of its own, in one
// transaction, for at most `count` records.
#include <algorithm>
#include <limits>

#include "outbox/storage/sqlite.hpp"
#include "outbox/storage/sqlite_connection.hpp"
#include "outbox/storage/sqlite_statements.hpp"

namespace outbox {

namespace {

using sqlite::now;
using sqlite::statement;

/// How long an operator waits for those who write.
constexpr std::chrono::seconds patience{5};

constexpr std::string_view matching_dead_letters =
    "from outbox indexed by outbox_dead where state = 3 and id > ?1"
    " and (?2 = '' or topic = ?2) and (?3 is null or id = ?3) order by id limit ?4";

std::int64_t limit_of(std::size_t count) {
    constexpr auto most = static_cast<std::size_t>(std::numeric_limits<std::int64_t>::max());
    return static_cast<std::int64_t>(std::min(count, most));
}

std::string text_of(std::optional<message_id> const& id) {
    return id ? to_string(*id) : std::string{};
}

/// A writing transaction of an operator's.
class operation {
public:
    operation(std::string const& path, table_name const& table)
        : table_{table}, on_{path, patience} {
        on_.begin_writing(true);
    }
    [[nodiscard]] statement prepare(std::string const& sql) {
        return {on_.handle(), sqlite::render(sql, table_), false};
    }
    /// Lets the partition's owner look for what changed behind its back.
    void tell_owner() {
        prepare("update outbox_partition set version = version + 1").execute();
    }
    void commit() {
        on_.commit();
    }

private:
    table_name const& table_;
    sqlite::connection on_;  // closing it rolls back
};

wall_time time_of(std::int64_t microseconds) {
    return wall_time{duration{microseconds}};
}

}  // namespace

std::vector<dead_letter> sqlite_storage::dead_letters(dead_letter_filter const& filter,
                                                      std::optional<message_id> after,
                                                      std::size_t count) const {
    sqlite::connection on{path_, patience};
    statement find{on.handle(),
                   sqlite::render("select id, topic, coalesce(key, ''), headers, payload, attempts,"
                                  " deaths, generation, last_error, created_at, died_at " +
                                      std::string{matching_dead_letters},
                                  table_),
                   false};
    std::vector<dead_letter> letters;
    auto row = find.run(text_of(after), filter.topic, filter.id, limit_of(count));
    while (row.next()) {
        letters.push_back({.id = parse_message_id(row.text(0)).value_or(message_id{}),
                           .topic = std::string{row.text(1)},
                           .key = std::string{row.text(2)},
                           .headers = std::string{row.text(3)},
                           .payload = std::string{row.text(4)},
                           .attempts = row.small(5),
                           .deaths = row.small(6),
                           .generation = row.small(7),
                           .last_error = std::string{row.text(8)},
                           .created_at = time_of(row.integer(9)),
                           .died_at = time_of(row.integer(10))});
    }
    return letters;
}

std::size_t sqlite_storage::requeue(dead_letter_filter const& filter, std::size_t count) {
    operation work{path_, table_};
    auto const done =
        work.prepare("update outbox set state = 1, generation = generation + 1, attempts = 0,"
                     " deaths = 0, due = " + std::string{now} +
                     " where sequence in (select sequence " + std::string{matching_dead_letters} +
                     ")")
            .execute(std::string{}, filter.topic, filter.id, limit_of(count));
    if (done > 0) work.tell_owner();
    work.commit();
    return done;
}

std::size_t sqlite_storage::discard(dead_letter_filter const& filter, std::size_t count) {
    operation work{path_, table_};
    auto const done =
        work.prepare("delete from outbox where sequence in (select sequence " +
                     std::string{matching_dead_letters} + ")")
            .execute(std::string{}, filter.topic, filter.id, limit_of(count));
    if (done > 0) work.tell_owner();
    work.commit();
    return done;
}

std::vector<message_id> sqlite_storage::replay(time_range range, std::optional<message_id> after,
                                               std::size_t count) {
    operation work{path_, table_};
    // By id: it does not change when a message is published again, so each comes up once.
    auto find = work.prepare(
        "select sequence, id from outbox where state = 4 and published_at >= ?1"
        " and published_at < ?2 and id > ?3 order by id limit ?4");
    auto again = work.prepare("update outbox set state = 1, due = " + std::string{now} +
                              " where sequence = ?1");
    std::vector<std::int64_t> sequences;
    std::vector<message_id> ids;
    {
        auto row = find.run(range.from, range.to, text_of(after), limit_of(count));
        while (row.next()) {
            sequences.push_back(row.integer(0));
            ids.push_back(parse_message_id(row.text(1)).value_or(message_id{}));
        }
    }
    for (auto const sequence : sequences) again.execute(sequence);
    if (!ids.empty()) work.tell_owner();
    work.commit();
    return ids;
}

std::size_t sqlite_storage::purge_published(duration older_than, std::size_t count) {
    operation work{path_, table_};
    auto const done =
        work.prepare("delete from outbox where sequence in (select sequence from outbox"
                     " indexed by outbox_published where state = 4 and published_at < " +
                     std::string{now} + " - ?1 limit ?2)")
            .execute(older_than, limit_of(count));
    work.commit();
    return done;
}

std::size_t sqlite_storage::purge_dead(duration older_than, std::size_t count) {
    operation work{path_, table_};
    auto const done = work.prepare("delete from outbox where sequence in (select sequence from"
                                   " outbox where state = 3 and died_at < " +
                                   std::string{now} + " - ?1 limit ?2)")
                          .execute(older_than, limit_of(count));
    if (done > 0) work.tell_owner();
    work.commit();
    return done;
}

storage_statistics sqlite_storage::statistics() const {
    constexpr auto limit = storage_statistics::count_limit;
    sqlite::connection on{path_, patience};
    auto const number = [&](std::string const& sql) {
        statement ask{on.handle(), sqlite::render(sql, table_), false};
        return ask.number().value_or(0);
    };
    auto const counted = [&](std::string const& which) {
        return number("select count(*) from (select 1 from outbox indexed by " + which + " limit " +
                      std::to_string(limit) + ")");
    };
    on.begin_reading();
    storage_statistics figures;
    auto const ready = counted("outbox_ready where state = 0");
    figures.retrying = counted("outbox_retrying where state = 1");
    figures.scheduled = counted("outbox_scheduled where state = 2");
    figures.dead = counted("outbox_dead where state = 3");
    figures.backlog = ready + figures.retrying + figures.scheduled;
    if (ready == limit) {
        // Numbers are drawn one by one, so the span of the ready ones is close to their count.
        auto const end = [&](std::string const& order) {
            return number("select sequence from outbox indexed by outbox_ready where state = 0"
                          " order by sequence" + order + " limit 1");
        };
        figures.backlog += std::max<std::int64_t>(end(" desc") - end("") + 1 - ready, 0);
    }
    figures.backlog_is_estimate =
        ready == limit || figures.retrying == limit || figures.scheduled == limit;
    figures.oldest_age = duration{std::max<std::int64_t>(
        number("select " + std::string{now} + " - created_at from outbox indexed by outbox_ready"
               " where state = 0 order by sequence limit 1"), 0)};
    figures.partitions_held = static_cast<std::int32_t>(
        number("select count(*) from outbox_partition where owner is not null and lease_until > " +
               std::string{now}));
    return figures;
}

}  // namespace outbox
