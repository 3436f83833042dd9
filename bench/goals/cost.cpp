// SPDX-License-Identifier: MIT
//
// What a million messages cost, to enqueue and to relay, in what the servers count themselves; and
// what a program pays that includes the library. All of it is shown: there is no floor to it.
#include <filesystem>
#include <fstream>

#include "goals/site.hpp"

namespace bench::goals {

namespace {

/// Of the whole server, autovacuum and pages written in full after a checkpoint included.
struct counters {
    processor_time spent{};
    double transactions{0};
    double wal_bytes{0};
    double wal_syncs{0};
    double dead_rows{0};

    /// Sessions report what they did when they end, or when told to: no other one may be open.
    [[nodiscard]] static counters now(site& at) {
        support::wait_until_ready("the end of all other sessions", [&] {
            return at.sql(
                       "select count(*) from pg_stat_activity where backend_type = "
                       "'client backend' and pid <> pg_backend_pid()") == "0";
        });
        at.sql("select pg_stat_force_next_flush()");
        auto const number = [&](std::string const& sql) {
            return std::stod(at.sql("select " + sql));
        };
        auto const tables =
            " from pg_stat_user_tables where schemaname = '" + std::string{at.table.schema()} + "'";
        return {.spent = at.on.spent(),
                .transactions = number("xact_commit from pg_stat_database "
                                       "where datname = current_database()"),
                .wal_bytes = number("pg_current_wal_insert_lsn() - '0/0'"),
                .wal_syncs = number("wal_sync from pg_stat_wal"),
                .dead_rows = number("sum(n_tup_del + n_tup_upd)" + tables)};
    }
};

figures between(std::string const& name, int messages, counters const& before,
                counters const& after) {
    auto const million = 1e6 / messages;
    auto const spent = (after.spent - before.spent) * million;
    return {
        {name + ", own s", spent.own},
        {name + ", database s", spent.database},
        {name + ", broker s", spent.broker},
        {name + ", transactions", (after.transactions - before.transactions) * million},
        {name + ", WAL MB", (after.wal_bytes - before.wal_bytes) * million / 1e6},
        {name + ", fsyncs", (after.wal_syncs - before.wal_syncs) * million},
        {name + ", dead rows", (after.dead_rows - before.dead_rows) * million},
    };
}

template <class Delete>
figures spent(servers& on, std::string const& name, load const& wanted) {
    site at{on, wanted};
    at.settle_down();
    auto const empty = counters::now(at);
    {
        auto box = at.box<Delete>();
        at.fill(box, at.keys(wanted.keys));
    }
    auto const full = counters::now(at);
    at.settle_down();
    auto const ready = counters::now(at);
    {
        auto box = at.box<Delete>();
        auto worker = box.make_worker();
        if (!worker.drain(std::chrono::hours{1}))
            throw std::runtime_error{"the worker left messages behind"};
    }
    auto all = between("enqueue " + name, wanted.messages, empty, full);
    auto const relayed = between("relay " + name, wanted.messages, ready, counters::now(at));
    all.insert(all.end(), relayed.begin(), relayed.end());
    return all;
}

/// By the compiler that is called c++, without optimization.
figures compiled(std::string const& name, std::vector<std::string> const& headers) {
    if (!std::filesystem::exists("include/outbox/outbox.hpp")) {
        throw std::runtime_error{
            "include/outbox/outbox.hpp is not here: run this in the root of the repository"};
    }
    support::temporary_folder const folder;
    auto const file = (folder.path() / "one.cpp").string();
    std::ofstream source{file};
    for (auto const& header : headers) source << "#include <" << header << ">\n";
    source.close();
    auto const log = folder.path() / "log";
    auto const run = [&](std::string const& options) {
        support::child_process compiler{
            {"/bin/sh", "-c",
             "exec c++ -std=c++20 -Iinclude -Ibackends $(pkg-config --cflags libpq) " + options +
                 " " + file},
            log};
        if (compiler.wait() != 0) {
            std::ifstream text{log};
            throw std::runtime_error{"c++ failed: " +
                                     std::string{std::istreambuf_iterator<char>{text}, {}}};
        }
    };
    auto const lines_file = file + ".ii";
    run("-E -P -o " + lines_file);
    std::ifstream text{lines_file};
    auto const lines = std::count(std::istreambuf_iterator<char>{text}, {}, '\n');
    auto const took = seconds([&] { run("-c -o " + file + ".o"); });
    return {{name + ", lines", static_cast<double>(lines)}, {name + ", seconds", took}};
}

}  // namespace

family cost_family(std::shared_ptr<servers> const& on, load const& wanted) {
    family all{.name = "cost"};
    auto const show = [&](std::string const& id, std::string const& sentence,
                          std::string const& value) {
        all.goals.push_back({id, sentence, value, "", goal::kind::shown, 0});
    };
    for (std::string const name : {"hard", "soft"}) {
        for (std::string const what : {"enqueue", "relay"}) {
            auto const of = what + " " + name;
            auto const id = "cost_" + what + "_" + name;
            auto const million = ", a million messages, " + of;
            show(id + "_own", "processor seconds of the program" + million, of + ", own s");
            show(id + "_database", "of PostgreSQL" + million, of + ", database s");
            show(id + "_broker", "of nats-server" + million, of + ", broker s");
            show(id + "_transactions", "transactions committed" + million, of + ", transactions");
            show(id + "_wal", "megabytes of WAL" + million, of + ", WAL MB");
            show(id + "_fsyncs", "WAL flushes to disk" + million, of + ", fsyncs");
            show(id + "_dead", "rows deleted or replaced" + million, of + ", dead rows");
        }
        bool const hard = name == "hard";
        all.measurements.push_back({"cost " + name, [=] {
                                        return hard ? spent<outbox::hard_delete>(*on, name, wanted)
                                                    : spent<outbox::soft_delete>(*on, name, wanted);
                                    }});
    }
    auto const include = [&](std::string const& name, std::string const& id,
                             std::vector<std::string> const& headers) {
        show(id + "_lines", "lines after the preprocessor, " + name, name + ", lines");
        show(id + "_seconds", "seconds to compile, " + name, name + ", seconds");
        all.measurements.push_back({"cost of " + name, [=] { return compiled(name, headers); }});
    };
    include("outbox.hpp", "cost_include", {"outbox/outbox.hpp"});
    include("outbox.hpp and postgres.hpp", "cost_include_postgres",
            {"outbox/outbox.hpp", "outbox/storage/postgres.hpp"});
    return all;
}

}  // namespace bench::goals
