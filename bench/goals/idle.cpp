// SPDX-License-Identifier: MIT
//
// A worker with nothing to do: its own processor time, what it makes the database do, and whether
// anything is written.
#include <chrono>
#include <ctime>
#include <string>
#include <thread>

#include "goals/goal.hpp"
#include "goals/site.hpp"

namespace bench::goals {

namespace {

using namespace std::chrono_literals;

constexpr std::chrono::seconds window{20};

double processor_seconds() {
    timespec now{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

/// What is written and asked for on the whole server. Who looks writes nothing, and the server's
/// own chores are switched off meanwhile.
struct account {
    double own_seconds{0};
    double database_seconds{0};
    double wal_bytes{0};
    double transactions{0};
    double row_changes{0};
    double numbers_drawn{0};  ///< transactions that wrote anything got one
};

account read(site& at) {
    auto const ask = [&](std::string const& sql) { return std::stod(at.sql(sql)); };
    account now;
    now.wal_bytes = ask("select pg_current_wal_insert_lsn() - '0/0'::pg_lsn");
    now.numbers_drawn = ask("select pg_snapshot_xmax(pg_current_snapshot())::text::bigint");
    now.transactions =
        ask("select xact_commit + xact_rollback from pg_stat_database "
            "where datname = current_database()");
    now.row_changes =
        ask("select coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0) from pg_stat_user_tables");
    now.own_seconds = processor_seconds();
    now.database_seconds = at.on.spent().database;
    return now;
}

account passed(site& at) {
    auto const before = read(at);
    std::this_thread::sleep_for(window);
    auto const after = read(at);
    return {
        after.own_seconds - before.own_seconds, after.database_seconds - before.database_seconds,
        after.wal_bytes - before.wal_bytes,     after.transactions - before.transactions,
        after.row_changes - before.row_changes, after.numbers_drawn - before.numbers_drawn};
}

figures idle(servers& on, std::string const& name, load const& wanted) {
    site at{on, wanted};
    at.sql("alter system set autovacuum = off");
    at.sql("alter system set checkpoint_timeout = '1h'");
    at.sql("select pg_reload_conf()");
    at.settle_down();
    std::this_thread::sleep_for(1s);
    auto const without = passed(at);
    auto box = at.box(outbox::options{});
    auto worker = box.start_worker();
    std::this_thread::sleep_for(5s);  // what it does only once is done
    auto const with = passed(at);
    worker.stop(20s);
    at.sql("alter system reset all");
    at.sql("select pg_reload_conf()");
    constexpr double seconds = window.count();
    return {
        {name + ", processor", 100 * (with.own_seconds - without.own_seconds) / seconds},
        {name + ", database processor",
         100 * (with.database_seconds - without.database_seconds) / seconds},
        {name + ", WAL bytes", with.wal_bytes - without.wal_bytes},
        {name + ", rows changed", with.row_changes - without.row_changes},
        {name + ", writes", with.row_changes + with.numbers_drawn - without.numbers_drawn},
        {name + ", transactions a second", (with.transactions - without.transactions) / seconds}};
}

}  // namespace

family idle_family(std::shared_ptr<servers> const& on, load const& wanted) {
    family all{.name = "idle"};
    using enum goal::kind;
    all.goals = {
        {"idle_processor", "% of a core that an idle worker's process takes", "idle, processor", "",
         at_most, 0.2},
        {"idle_writes", "rows changed and transactions that wrote, in 20 s", "idle, writes", "",
         at_most, 0},
        {"idle_wal", "bytes of WAL in 20 s, beyond those of a server without a worker",
         "idle, WAL bytes", "", shown, 0},
        {"idle_database", "% of a core that PostgreSQL takes for it", "idle, database processor",
         "", shown, 0},
        {"idle_queries", "transactions a second", "idle, transactions a second", "", shown, 0},
    };
    all.measurements.push_back({"idle", [=] { return idle(*on, "idle", wanted); }, true});
    return all;
}

}  // namespace bench::goals
