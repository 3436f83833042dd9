// SPDX-License-Identifier: MIT
//
// What a drained backlog cost PostgreSQL, counted and not timed: prints it as JSON for check.py.
//
// A round trip is a synchronization of libpq's pipeline: all that was sent since the last one goes
// to the server together, and the worker waits for the answers together. Counted where the library
// calls libpq, from the worker's first call to its last. A dead row is a version of a row that an
// update or a delete left behind, in any table of the outbox. The broker answers at once and the
// clock stands still, so that no count depends on how fast the machine is.
#include <dlfcn.h>

#include <array>
#include <cstdio>
#include <exception>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "outbox/broker/memory.hpp"
#include "outbox/outbox.hpp"
#include "support/postgres_case.hpp"

namespace {

long round_trips = 0;

}  // namespace

/// Takes the place of libpq's, and calls it.
extern "C" int PQpipelineSync(PGconn* connection) {
    using function = int (*)(PGconn*);
    static auto const next = reinterpret_cast<function>(::dlsym(RTLD_NEXT, "PQpipelineSync"));
    ++round_trips;
    return next(connection);
}

namespace {

using json = nlohmann::ordered_json;

constexpr int batches = 100;
constexpr int batch_size = 100;
constexpr int messages = batches * batch_size;
constexpr int keys = 500;

struct cost {
    long round_trips{0};
    long dead_rows{0};
};

template <class Outbox>
void fill(Outbox& box, PGconn* connection) {
    std::vector<std::string> names;
    for (int i = 0; i < keys; ++i) names.push_back("key-" + std::to_string(i));
    for (int i = 0; i < messages; i += keys) {
        std::vector<outbox::message> all;
        for (auto const& name : names) all.push_back({"counted.one", "payload", {.key = name}});
        auto work = box.begin(connection);
        box.create_messages(work, all);
        work.commit();
    }
}

/// Once no session is left that has figures to hand in.
long dead_rows(support::postgres_case& at) {
    support::wait_until_ready("the end of the worker's session", [&] {
        return at.sql("select count(*) from pg_stat_activity where application_name = 'outbox'") ==
               "0";
    });
    at.sql("select pg_stat_force_next_flush()");
    return std::stol(
        at.sql("select sum(n_tup_upd + n_tup_del) from pg_stat_user_tables where schemaname = '" +
               at.schema + "'"));
}

template <class Delete>
cost drained() {
    support::postgres_case at;
    auto const dead_before = dead_rows(at);
    cost found;
    {
        outbox::memory_broker broker;
        broker.keep_copies(false);
        outbox::basic_outbox box{at.storage,
                                 broker,
                                 outbox::options{.batch_size = batch_size},
                                 outbox::manual_clock{},
                                 Delete{},
                                 outbox::silent{},
                                 1};
        fill(box, at.sql.handle());
        auto worker = box.make_worker();
        auto const trips_before = round_trips;
        if (!worker.drain(std::chrono::hours{1}) || broker.count() != messages)
            throw std::runtime_error{"the worker left messages behind"};
        found.round_trips = round_trips - trips_before;
    }
    found.dead_rows = dead_rows(at) - dead_before;
    return found;
}

void add(json& to, std::string const& policy, cost const& of) {
    to["round trips a batch, " + policy] = static_cast<double>(of.round_trips) / batches;
    to["dead rows a message, " + policy] = static_cast<double>(of.dead_rows) / messages;
}

}  // namespace

int main() {
    try {
        json all;
        add(all, "hard delete", drained<outbox::hard_delete>());
        add(all, "soft delete", drained<outbox::soft_delete>());
        std::printf("%s\n", all.dump(2).c_str());
        return 0;
    } catch (std::exception const& failure) {
        std::fprintf(stderr, "postgres_counts: %s\n", failure.what());
        return 1;
    }
}
