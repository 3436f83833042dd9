// SPDX-License-Identifier: MIT
//
// A worker of the chaos run: the library's own, from PostgreSQL to JetStream. Writes down each
// attempt before it is made. Stops in order on SIGTERM.
#include <signal.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <iostream>

#include "chaos/books.hpp"
#include "outbox/broker/jetstream.hpp"
#include "outbox/outbox.hpp"
#include "outbox/storage/postgres.hpp"

namespace {

using namespace std::chrono_literals;

/// For whoever has to find out what went on.
std::ostream& log() {
    return std::cerr << chaos::unix_milliseconds() << ' ';
}

/// Until a signal to end arrives.
void work(std::string const& database, std::string const& nats, std::string const& attempts) {
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &ends, nullptr);

    chaos::book book{attempts};
    outbox::observers observer{
        [&](outbox::event::publishing const& e) {
            chaos::write_attempt(book,
                                 {chaos::identity(e.id, e.topic), chaos::unix_milliseconds()});
        },
        [](outbox::event::broker_lost const& e) { log() << "broker: " << e.reason << '\n'; },
        [](outbox::event::broker_back const&) { log() << "broker is back\n"; },
        [](outbox::event::storage_lost const& e) { log() << "storage: " << e.reason << '\n'; },
        [](outbox::event::storage_back const&) { log() << "storage is back\n"; },
        [](outbox::event::partition_lost const& e) { log() << "lost " << e.partition << '\n'; },
        [](outbox::event::worker_killed const& e) {
            log() << "died over " << to_string(e.id) << ", deaths " << e.deaths << '\n';
        },
        [&](outbox::event::attempt_failed const& e) {
            if (e.what == outbox::outcome::out_of_order)
                chaos::write_attempt(
                    book, {chaos::identity(e.id, e.topic), chaos::unix_milliseconds(), true});
            log() << to_string(e.id) << " failed: " << e.reason << '\n';
        },
        [](outbox::event::dead_lettered const& e) {
            log() << to_string(e.id) << " is dead after " << e.attempts << ": " << e.reason << '\n';
        }};
    outbox::basic_outbox box{
        outbox::postgres_storage{database},
        outbox::jetstream_broker{
            {.connection = {.url = nats, .user = "worker", .password = "right"},
             .streams = {"CHAOS"}}},
        outbox::options{.poll_interval = 100ms,
                        .lease_duration = 2s,
                        .backoff_min = 20ms,
                        .backoff_max = 500ms,
                        .probe_max = 500ms},
        outbox::system_clock{},
        outbox::hard_delete{},
        observer};
    auto worker = box.start_worker();
    int signal = 0;
    sigwait(&ends, &signal);
    if (!worker.stop(3s).clean()) log() << "could not give everything back\n";
}

}  // namespace

int main(int count, char** words) {
    std::string database;
    std::string nats;
    std::string attempts;
    CLI::App app{"A worker of the chaos run"};
    app.add_option("--database", database)->required();
    app.add_option("--nats", nats)->required();
    app.add_option("--attempts", attempts)->required();
    CLI11_PARSE(app, count, words);
    work(database, nats, attempts);
    return 0;
}
