// SPDX-License-Identifier: MIT
//
// On what was measured: a figure says little without the machine, the versions and the servers'
// settings.
#pragma once

#include <nats/nats.h>
#include <sqlite3.h>
#include <sys/utsname.h>

#include <ctime>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "support/postgres_server.hpp"
#include "version.hpp"

namespace bench {

namespace detail {

/// The value behind `name` and a colon in a file of /proc, as it stands there.
[[nodiscard]] inline std::string value_in(char const* path, std::string const& name) {
    std::ifstream file{path};
    for (std::string line; std::getline(file, line);) {
        if (!line.starts_with(name)) continue;
        auto const colon = line.find(':');
        auto const begin = line.find_first_not_of(" \t", colon + 1);
        if (begin != std::string::npos) return line.substr(begin);
    }
    return "unknown";
}

/// What a program says of itself, its first line.
[[nodiscard]] inline std::string first_line_of(char const* command) {
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> const said{::popen(command, "r"), ::pclose};
    std::string line;
    for (int c = 0; said && (c = std::fgetc(said.get())) != EOF && c != '\n';)
        line += static_cast<char>(c);
    return line.empty() ? "unknown" : line;
}

}  // namespace detail

/// Ordered by name and value, for a program and for a person.
[[nodiscard]] inline nlohmann::ordered_json surroundings(support::postgres_server const& server) {
    auto sql = server.connect();
    nlohmann::ordered_json all;
    auto const now = std::time(nullptr);
    char day[32];
    std::strftime(day, sizeof day, "%Y-%m-%d %H:%M UTC", std::gmtime(&now));
    utsname system{};
    ::uname(&system);
    all["date"] = day;
    all["library"] = library_version;
    all["compiler"] = std::string{
#ifdef __clang__
        "clang "
#else
        "g++ "
#endif
        __VERSION__};
    all["processor"] = detail::value_in("/proc/cpuinfo", "model name");
    all["processors"] = std::thread::hardware_concurrency();
    all["memory"] = detail::value_in("/proc/meminfo", "MemTotal");
    all["kernel"] = std::string{system.sysname} + ' ' + system.release;
    all["PostgreSQL"] = sql("show server_version");
    for (auto const* name : {"fsync", "synchronous_commit", "shared_buffers", "wal_sync_method"})
        all[std::string{"PostgreSQL "} + name] = sql(std::string{"show "} + name);
    all["nats-server"] = detail::first_line_of("nats-server --version 2>&1");
    all["nats.c"] = nats_GetVersion();
    all["SQLite"] = sqlite3_libversion();
    return all;
}

}  // namespace bench
