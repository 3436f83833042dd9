// SPDX-License-Identifier: MIT
//
// What operators and the delete policy ask for: each call on a connection of its own, in one
// transaction, for at most `count` records.
#include <algorithm>
#include <limits>
#include <utility>

#include "outbox/storage/sql_columns.hpp"
#include "outbox/storage/sqlite.hpp"
#include "outbox/storage/sqlite_connection.hpp"
#include "outbox/storage/sqlite_statements.hpp"

namespace outbox {

namespace {

using sqlite::statement;

/// How long an operator waits for those who write. The worker purges, too, so not for long.
constexpr std::chrono::seconds patience{2};

/// Dead letters above an id (?1), of a topic unless it is empty (?2), of an id unless it is null
/// (?3), at most ?4.
constexpr char const* chosen_dead_letters = R"(
where sequence in (select sequence from outbox indexed by outbox_dead
                    where state = 3 and id > ?1 and (?2 = '' or topic = ?2)
                      and (?3 is null or id = ?3)
                    order by id limit ?4))";

std::int64_t limit_of(std::size_t count) {
    constexpr auto most = static_cast<std::size_t>(std::numeric_limits<std::int64_t>::max());
    return static_cast<std::int64_t>(std::min(count, most));
}

std::string text_of(std::optional<message_id> const& id) {
    return id ? to_string(*id) : std::string{};
}

/// An operator's connection.
class operation {
public:
    operation(std::string const& path, table_name const& table)
        : table_{table}, on_{path, patience} {}

    [[nodiscard]] statement prepare(std::string_view sql) {
        return {on_.handle(), sqlite::render(sql, table_), false};
    }
    [[nodiscard]] sqlite::connection& on() {
        return on_;
    }
    /// Changes rows in a transaction; `work` returns how many. The partition's owner is told to
    /// look for what changed behind its back.
    template <class Work>
    std::size_t change(Work&& work) {
        on_.begin_writing(true);
        sqlite::transaction_scope const ends{on_};
        std::size_t const done = std::forward<Work>(work)();
        if (done > 0) prepare("update outbox_partition set version = version + 1").execute();
        on_.commit();
        return done;
    }

private:
    table_name const& table_;
    sqlite::connection on_;
};

}  // namespace

std::vector<dead_letter> sqlite_storage::dead_letters(dead_letter_filter const& filter,
                                                      std::optional<message_id> after,
                                                      std::size_t count) const {
    operation work{path_, table_};
    auto find = work.prepare("select " + columns_of<dead_letter>() + " from outbox " +
                             chosen_dead_letters + " order by id");
    std::vector<dead_letter> letters;
    auto row = find.run(text_of(after), filter.topic, filter.id, limit_of(count));
    while (row.next()) {
        sqlite::row_reader from{row};
        letters.push_back(read_row<dead_letter>(from));
    }
    return letters;
}

std::size_t sqlite_storage::requeue(dead_letter_filter const& filter, std::size_t count) {
    operation work{path_, table_};
    auto change = work.prepare(
        std::string{"update outbox set state = 1, generation = generation + 1, attempts = 0,"
                    " deaths = 0, due = {now} "} +
        chosen_dead_letters);
    return work.change(
        [&] { return change.execute(std::string{}, filter.topic, filter.id, limit_of(count)); });
}

std::size_t sqlite_storage::discard(dead_letter_filter const& filter, std::size_t count) {
    operation work{path_, table_};
    auto change = work.prepare(std::string{"delete from outbox "} + chosen_dead_letters);
    return work.change(
        [&] { return change.execute(std::string{}, filter.topic, filter.id, limit_of(count)); });
}

std::vector<message_id> sqlite_storage::replay(time_range range, std::optional<message_id> after,
                                               std::size_t count) {
    operation work{path_, table_};
    // By id: it stays when a message is published again, so each comes up once.
    auto find = work.prepare(R"(
select sequence, id from outbox
 where state = 4 and published_at >= ?1 and published_at < ?2 and id > ?3 order by id limit ?4)");
    auto again = work.prepare("update outbox set state = 1, due = {now} where sequence = ?1");
    std::vector<message_id> ids;
    work.change([&] {
        std::vector<std::int64_t> sequences;
        auto row = find.run(range.from, range.to, text_of(after), limit_of(count));
        while (row.next()) {
            sequences.push_back(row.integer(0));
            ids.push_back(parse_message_id(row.text(1)).value_or(message_id{}));
        }
        for (auto const sequence : sequences) again.execute(sequence);
        return ids.size();
    });
    return ids;
}

std::size_t sqlite_storage::purge_published(duration older_than, std::size_t count) {
    operation work{path_, table_};
    // Looked at first: mostly there is nothing, and then no producer shall wait.
    auto any = work.prepare(R"(
select 1 from outbox indexed by outbox_published
 where state = 4 and published_at < {now} - ?1 limit 1)");
    if (!any.any(older_than)) return 0;
    auto change = work.prepare(R"(
delete from outbox where sequence in (select sequence from outbox indexed by outbox_published
                                       where state = 4 and published_at < {now} - ?1 limit ?2))");
    // Losing this in a power failure costs nothing: it is done again.
    work.on().begin_writing(false);
    sqlite::transaction_scope const ends{work.on()};
    auto const done = change.execute(older_than, limit_of(count));
    work.on().commit();
    return done;
}

std::size_t sqlite_storage::purge_dead(duration older_than, std::size_t count) {
    operation work{path_, table_};
    auto any =
        work.prepare("select 1 from outbox where state = 3 and died_at < {now} - ?1 limit 1");
    if (!any.any(older_than)) return 0;
    auto change = work.prepare(R"(
delete from outbox where sequence in (select sequence from outbox
                                       where state = 3 and died_at < {now} - ?1 limit ?2))");
    return work.change([&] { return change.execute(older_than, limit_of(count)); });
}

storage_statistics sqlite_storage::statistics() const {
    constexpr auto limit = storage_statistics::count_limit;
    operation work{path_, table_};
    auto const number = [&](std::string const& sql) {
        return work.prepare(sql).number().value_or(0);
    };
    auto const counted = [&](std::string const& which) {
        return number("select count(*) from (select 1 from outbox indexed by " + which + " limit " +
                      std::to_string(limit) + ")");
    };
    auto const of_ready = [&](std::string const& what, std::string const& order) {
        return number("select " + what + " from outbox indexed by outbox_ready where state = 0" +
                      " order by sequence " + order + " limit 1");
    };
    work.on().begin_reading();
    storage_statistics figures;
    auto ready = counted("outbox_ready where state = 0");
    figures.retrying = counted("outbox_retrying where state = 1");
    figures.scheduled = counted("outbox_scheduled where state = 2");
    figures.dead = counted("outbox_dead where state = 3");
    figures.backlog_is_estimate =
        ready == limit || figures.retrying == limit || figures.scheduled == limit;
    // Numbers are drawn one by one, so the span of many ready ones is close to their count.
    if (ready == limit) {
        ready = std::max(ready, of_ready("sequence", "desc") - of_ready("sequence", "asc") + 1);
    }
    figures.backlog = ready + figures.retrying + figures.scheduled;
    figures.oldest_age = duration{std::max<std::int64_t>(of_ready("{now} - created_at", "asc"), 0)};
    figures.partitions_held = static_cast<std::int32_t>(
        number("select count(*) from outbox_partition where owner is not null"
               " and lease_until > {now}"));
    return figures;
}

}  // namespace outbox
