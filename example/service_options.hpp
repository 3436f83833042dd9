// SPDX-License-Identifier: MIT
//
// What the example's service can be told, by flag or by the environment variables of the origin.
#pragma once

#include <CLI/CLI.hpp>
#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "outbox/options.hpp"

namespace example {

struct service_options {
    int port{9090};
    std::string database{"host=127.0.0.1 port=5433 dbname=testdb user=testuser password=testpass"};
    std::string nats{"nats://127.0.0.1:4322"};
    std::string stream{"EVENTS"};
    std::vector<std::string> subjects{"order.>"};
    outbox::options settings{};
    bool migrate{false};
    bool debug{false};

    /// Adds everything to `app`. Durations are written as in Go: 500ms, 10s, 2m, 1h.
    void add_to(CLI::App& app) {
        app.add_option("--port", port, "port of the HTTP interface, on 127.0.0.1")
            ->envname("HTTP_PORT")
            ->check(CLI::Range(1, 65'535))
            ->capture_default_str();
        app.add_option("--database", database, "connection string of PostgreSQL")
            ->envname("DATABASE_URL");
        app.add_option("--nats", nats, "address of nats-server")
            ->envname("NATS_URL")
            ->capture_default_str();
        app.add_option("--stream", stream, "JetStream stream, created when absent")
            ->capture_default_str();
        app.add_option("--subjects", subjects, "subjects of that stream")
            ->envname("SUBJECTS")
            ->delimiter(',')
            ->capture_default_str();
        add_duration(app, "--poll-interval", "POLL_INTERVAL", settings.poll_interval);
        app.add_option("--batch-size", settings.batch_size, "messages in flight at once")
            ->envname("POLL_BATCH_SIZE")
            ->capture_default_str();
        add_duration(app, "--lease-duration", "LEASE_DURATION", settings.lease_duration);
        app.add_flag("--migrate", migrate, "create the tables and exit");
        app.add_flag("--debug", debug, "log every step");
    }

private:
    static void add_duration(CLI::App& app, std::string const& flag, std::string const& variable,
                             std::chrono::milliseconds& target) {
        using unit = std::map<std::string, std::int64_t>;
        auto const parse = [&target](std::int64_t const& value) {
            target = std::chrono::milliseconds{value};
        };
        app.add_option_function<std::int64_t>(flag, parse, "a duration: 500ms, 10s, 2m")
            ->envname(variable)
            ->transform(CLI::AsNumberWithUnit(
                unit{{"ms", 1}, {"s", 1'000}, {"m", 60'000}, {"h", 3'600'000}},
                CLI::AsNumberWithUnit::UNIT_REQUIRED));
    }
};

}  // namespace example
