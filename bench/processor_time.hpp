// SPDX-License-Identifier: MIT
//
// Processor time as the kernel counts it, of this process and of the servers with all their
// children: what a message costs, whichever process pays for it.
#pragma once

#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

namespace bench {

/// Seconds.
struct processor_time {
    double own{0};
    double database{0};
    double broker{0};

    friend processor_time operator-(processor_time const& a, processor_time const& b) {
        return {a.own - b.own, a.database - b.database, a.broker - b.broker};
    }
    friend processor_time operator*(processor_time const& a, double factor) {
        return {a.own * factor, a.database * factor, a.broker * factor};
    }
    [[nodiscard]] double sum() const {
        return own + database + broker;
    }
};

namespace detail {

/// Of a process and of all that it started, those included that ended and were waited for.
[[nodiscard]] inline double seconds_of_family(pid_t root) {
    struct process {
        pid_t parent{0};
        std::uint64_t ticks{0};
    };
    std::map<pid_t, process> all;
    for (auto const& entry : std::filesystem::directory_iterator{"/proc"}) {
        auto const name = entry.path().filename().string();
        if (name.find_first_not_of("0123456789") != std::string::npos) continue;
        std::ifstream file{entry.path() / "stat"};
        std::string const text{std::istreambuf_iterator<char>{file}, {}};
        auto const name_end = text.rfind(')');
        if (name_end == std::string::npos) continue;
        // See proc(5): the third field comes first here, utime is the fourteenth.
        std::istringstream fields{text.substr(name_end + 1)};
        std::string skipped;
        process one;
        fields >> skipped >> one.parent;
        for (int i = 5; i < 14; ++i) fields >> skipped;
        for (int i = 0; i < 4; ++i) {
            std::uint64_t ticks = 0;
            fields >> ticks;
            one.ticks += ticks;
        }
        all[static_cast<pid_t>(std::stol(name))] = one;
    }
    std::uint64_t ticks = 0;
    for (auto const& [id, one] : all) {
        auto ancestor = id;
        while (ancestor != root && all.contains(ancestor)) ancestor = all[ancestor].parent;
        if (ancestor == root) ticks += one.ticks;
    }
    return static_cast<double>(ticks) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

}  // namespace detail

/// `database` and `broker` are the servers' process ids.
[[nodiscard]] inline processor_time processor_time_until_now(pid_t database, pid_t broker) {
    std::ifstream file{"/proc/self/stat"};
    std::string const text{std::istreambuf_iterator<char>{file}, {}};
    std::istringstream fields{text.substr(text.rfind(')') + 1)};
    std::string skipped;
    for (int i = 3; i < 14; ++i) fields >> skipped;
    std::uint64_t user = 0;
    std::uint64_t system = 0;
    fields >> user >> system;
    return {static_cast<double>(user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK)),
            detail::seconds_of_family(database), detail::seconds_of_family(broker)};
}

}  // namespace bench
