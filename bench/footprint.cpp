// SPDX-License-Identifier: MIT
//
// What a worker needs at its most, whatever waits to be delivered: a process of its own from
// PostgreSQL to JetStream, asked by the kernel's count of its resident memory. `./dev bench
// memory`.
#include <signal.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "outbox/broker/jetstream.hpp"
#include "outbox/outbox.hpp"
#include "outbox/storage/postgres.hpp"
#include "support/nats_server.hpp"
#include "support/postgres_server.hpp"

namespace {

using namespace std::chrono_literals;
using json = nlohmann::ordered_json;

struct load {
    std::int64_t messages{0};
    std::int64_t payload_bytes{256};
    double limit_mib{64};
};

/// Until SIGTERM.
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

/// The most that was resident since the process began, in MiB.
double peak_of(pid_t process) {
    std::ifstream file{"/proc/" + std::to_string(process) + "/status"};
    for (std::string word; file >> word;) {
        double kibibytes = 0;
        if (word == "VmHWM:" && file >> kibibytes) return kibibytes / 1'024;
    }
    throw std::runtime_error{"the worker is gone; see its log"};
}

class site {
public:
    double peak(load const& wanted) {
        outbox::table_name const table{std::string_view{postgres_.fresh_schema() + ".outbox"}};
        auto sql = postgres_.connect();
        outbox::postgres_storage::migrate(sql.handle(), table);
        admin_.add_stream("BENCH", {"bench.>"}, [](jsStreamConfig& config) {
            config.Storage = js_FileStorage;
            config.MaxMsgs = 10'000;
        });
        auto const name = std::string{table.qualified()};
        sql("insert into " + name +
            " (topic, key, payload) select 'bench.one', 'key-' || i % 5000, " +
            "convert_to(repeat('x', " + std::to_string(wanted.payload_bytes) + "), 'UTF8') from " +
            "generate_series(1, " + std::to_string(wanted.messages) + ") i");
        support::child_process worker{
            {"/proc/self/exe", "worker", postgres_.connection_string(), name, nats_.url()},
            folder_.path() / "log"};
        double most = 0;
        for (std::string left; left != "0"; std::this_thread::sleep_for(100ms)) {
            most = peak_of(worker.id());
            left = sql("select count(*) from (select from " + name + " limit 1) one");
        }
        worker.stop(SIGTERM);
        admin_.delete_stream("BENCH");
        sql("drop schema " + std::string{table.schema()} + " cascade");
        return most;
    }

private:
    support::postgres_server postgres_{};
    support::nats_server nats_{};
    support::nats_client admin_{nats_.url()};
    support::temporary_folder folder_{};
};

int measure(bool as_json, bool five_million) {
    std::vector<load> loads{{1'000}, {10'000}, {100'000}, {1'000'000}};
    if (five_million) loads.push_back({5'000'000});
    // Beside the bytes that may be in flight.
    constexpr double in_flight = 8;
    loads.push_back({200, 1'000'000, 64 + in_flight});
    loads.push_back({1'000, 1'000'000, 64 + in_flight});
    site at;
    auto rows = json::array();
    for (auto const& one : loads) {
        std::fprintf(stderr, "%lld messages of %lld bytes\n", static_cast<long long>(one.messages),
                     static_cast<long long>(one.payload_bytes));
        auto const most = at.peak(one);
        rows.push_back({{"id", "memory"},
                        {"messages", one.messages},
                        {"payload_bytes", one.payload_bytes},
                        {"value", most},
                        {"goal", one.limit_mib},
                        {"reached", most < one.limit_mib}});
    }
    if (as_json) {
        std::printf("%s\n", rows.dump(2).c_str());
        return 0;
    }
    std::printf("%10s %14s %10s %6s\n", "messages", "payload bytes", "MiB most", "goal");
    for (auto const& row : rows) {
        std::printf("%10lld %14lld %10.1f %6.0f  %s\n", row["messages"].get<long long>(),
                    row["payload_bytes"].get<long long>(), row["value"].get<double>(),
                    row["goal"].get<double>(), row["reached"].get<bool>() ? "reached" : "short");
    }
    return 0;
}

}  // namespace

int main(int count, char** arguments) {
    try {
        if (count == 5 && std::string_view{arguments[1]} == "worker")
            return work(arguments[2], arguments[3], arguments[4]);
        CLI::App program{"What a worker needs at its most"};
        bool as_json = false;
        bool five_million = false;
        program.add_flag("--json", as_json, "for a program to read");
        program.add_flag("--five-million", five_million, "also a backlog of five million");
        CLI11_PARSE(program, count, arguments);
        return measure(as_json, five_million);
    } catch (std::exception const& failure) {
        std::fprintf(stderr, "footprint: %s\n", failure.what());
        return 1;
    }
}
