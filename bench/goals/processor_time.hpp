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

    friend processor_time operator+(processor_time const& a, processor_time const& b) {
        return {a.own + b.own, a.database + b.database, a.broker + b.broker};
    }
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

struct process {
    pid_t parent{0};
    std::uint64_t own_ticks{0};
    std::uint64_t children_ticks{0};  ///< of those that ended and were waited for
};

[[nodiscard]] inline process read_process(std::filesystem::path const& folder) {
    std::ifstream file{folder / "stat"};
    std::string const text{std::istreambuf_iterator<char>{file}, {}};
    process one;
    auto const name_end = text.rfind(')');
    if (name_end == std::string::npos) return one;
    // See proc(5): the third field comes first here, utime is the fourteenth.
    std::istringstream fields{text.substr(name_end + 1)};
    std::string skipped;
    fields >> skipped >> one.parent;
    for (int i = 5; i < 14; ++i) fields >> skipped;
    std::uint64_t user = 0;
    std::uint64_t system = 0;
    fields >> user >> system;
    one.own_ticks = user + system;
    fields >> user >> system;
    one.children_ticks = user + system;
    return one;
}

[[nodiscard]] inline double seconds_of(std::uint64_t ticks) {
    return static_cast<double>(ticks) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

/// Of a process and of all that it started.
[[nodiscard]] inline double seconds_of_family(pid_t root) {
    std::map<pid_t, process> all;
    for (auto const& entry : std::filesystem::directory_iterator{"/proc"}) {
        auto const name = entry.path().filename().string();
        if (name.find_first_not_of("0123456789") != std::string::npos) continue;
        all[static_cast<pid_t>(std::stol(name))] = read_process(entry.path());
    }
    std::uint64_t ticks = 0;
    for (auto const& [id, one] : all) {
        auto ancestor = id;
        while (ancestor != root && all.contains(ancestor)) ancestor = all[ancestor].parent;
        if (ancestor == root) ticks += one.own_ticks + one.children_ticks;
    }
    return seconds_of(ticks);
}

}  // namespace detail

/// `database` and `broker` are the servers' process ids.
[[nodiscard]] inline processor_time processor_time_until_now(pid_t database, pid_t broker) {
    return {detail::seconds_of(detail::read_process("/proc/self").own_ticks),
            detail::seconds_of_family(database), detail::seconds_of_family(broker)};
}

}  // namespace bench
