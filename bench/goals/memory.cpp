// SPDX-License-Identifier: MIT
//
// What a worker needs at its most, whatever waits to be delivered: a process of its own, with all
// options as they are by default, asked by the kernel's count of its resident memory.
#include <signal.h>

#include <cstdio>
#include <fstream>
#include <thread>

#include "goals/producing.hpp"
#include "goals/site.hpp"

namespace bench::goals {

namespace {

using namespace std::chrono_literals;

constexpr int megabyte = 1'000'000;

/// The most that was resident since the process began, in MiB.
double peak_of(pid_t process) {
    std::ifstream file{"/proc/" + std::to_string(process) + "/status"};
    for (std::string word; file >> word;) {
        double kibibytes = 0;
        if (word == "VmHWM:" && file >> kibibytes) return kibibytes / 1'024;
    }
    throw std::runtime_error{"the worker is gone; see its log"};
}

figures peak(servers& on, std::string const& name, load const& wanted) {
    site at{on, wanted, [](jsStreamConfig& config) { config.MaxMsgs = 10'000; }};
    at.fill_at_once(wanted.messages);
    support::temporary_folder const folder;
    auto const table = std::string{at.table.qualified()};
    support::child_process worker{
        {"/proc/self/exe", worker_word, on.postgres.connection_string(), table, on.nats.url()},
        folder.path() / "log"};
    double most = 0;
    for (std::string left; left != "0"; std::this_thread::sleep_for(100ms)) {
        most = peak_of(worker.id());
        left = at.sql("select count(*) from (select from " + table + " limit 1) one");
    }
    worker.stop(SIGTERM);
    return {{name, most}};
}

/// The broker goes down while a worker is at work, and producers go on.
figures peak_without_broker(servers& on, std::string const& name, load const& wanted) {
    constexpr pace all_the_time{.threads = 4, .each_second = 0, .seconds = 20};
    support::nats_server broker;
    support::nats_client admin{broker.url()};
    admin.add_stream("BENCH", {"bench.>"});
    site at{on, wanted};
    auto box = at.box();
    support::temporary_folder const folder;
    support::child_process worker{{"/proc/self/exe", worker_word, on.postgres.connection_string(),
                                   std::string{at.table.qualified()}, broker.url()},
                                  folder.path() / "log"};
    std::jthread const ending{[&] {
        std::this_thread::sleep_for(all_the_time.seconds * 1s / 4);
        broker.kill();
    }};
    auto const made = produce(box, on.postgres.connection_string(), all_the_time, wanted.keys,
                              static_cast<std::size_t>(wanted.payload_bytes));
    auto const most = peak_of(worker.id());
    worker.stop(SIGTERM);
    return {{name, most}, {name + ", messages", static_cast<double>(made.size())}};
}

}  // namespace

int work(std::string const& database, std::string const& table, std::string const& nats) {
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &ends, nullptr);
    outbox::jetstream_options options;
    options.connection.url = nats;
    options.streams = {"BENCH"};
    outbox::observers const tells{[](outbox::event::broker_lost const& e) {
        std::fprintf(stderr, "%.*s\n", static_cast<int>(e.reason.size()), e.reason.data());
    }};
    outbox::basic_outbox box{
        outbox::postgres_storage{database, outbox::table_name{std::string_view{table}}},
        outbox::jetstream_broker{options},
        outbox::options{},
        outbox::system_clock{},
        outbox::hard_delete{},
        tells};
    auto worker = box.start_worker();
    int signal = 0;
    sigwait(&ends, &signal);
    return worker.stop(5s).clean() ? 0 : 1;
}

family memory_family(std::shared_ptr<servers> const& on, load const& wanted) {
    family all{.name = "memory"};
    using enum goal::kind;
    // Beside the bytes that may be in flight.
    constexpr double in_flight = 8;
    auto const add = [&](std::string const& id, int messages, int payload_bytes, goal::kind what,
                         double bound) {
        auto const name =
            "memory " + std::to_string(messages) + " of " + std::to_string(payload_bytes) + " B";
        auto one = wanted;
        one.messages = messages;
        one.payload_bytes = payload_bytes;
        all.goals.push_back({id, "MiB at most, " + name.substr(7), name, "", what, bound});
        all.measurements.push_back({name, [=] { return peak(*on, name, one); }, true});
    };
    add("memory_thousand", 1'000, 256, shown, 0);
    add("memory_ten_thousand", 10'000, 256, shown, 0);
    add("memory_hundred_thousand", 100'000, 256, shown, 0);
    add("memory_small", 1'000'000, 256, at_most, 64);
    add("memory_most", 5'000'000, 256, at_most, 64);
    add("memory_few_large", 200, megabyte, shown, 0);
    add("memory_large", 1'000, megabyte, at_most, 64 + in_flight);
    std::string const down{"memory, broker down"};
    all.goals.push_back({"memory_broker_down",
                         "MiB at most, where the broker is gone and producers go on", down, "",
                         at_most, 64});
    all.measurements.push_back(
        {down, [=] { return peak_without_broker(*on, down, wanted); }, true});
    return all;
}

}  // namespace bench::goals
