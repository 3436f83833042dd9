// SPDX-License-Identifier: MIT
//
// Messages a second, through the whole library: stored in transactions, then delivered by one
// worker until nothing is left. Pairs of storage and broker take turns, so that a slow minute of
// the machine meets all of them; medians are shown, with the slowest and the fastest run.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <exception>
#include <functional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "pairs.hpp"

namespace {

/// What was measured of one pair in one way, run by run.
struct row {
    std::string name{};
    std::function<bench::figures(bench::load const&)> measure{};
    bench::load wanted{};
    std::vector<bench::figures> runs{};
};

std::string grouped(double rate) {
    auto text = std::to_string(std::llround(rate));
    for (auto at = text.size(); at > 3;) text.insert(at -= 3, 1, ',');
    return text;
}

std::vector<double> sorted(row const& of, double bench::figures::*what) {
    std::vector<double> all;
    for (auto const& run : of.runs) all.push_back(run.*what);
    std::sort(all.begin(), all.end());
    return all;
}

void print(row const& of) {
    auto const median = [&](double bench::figures::*what) {
        return grouped(bench::median(sorted(of, what)));
    };
    auto const delivered = sorted(of, &bench::figures::delivered);
    std::printf("%-22s %-8s %11s %11s %11s   %s to %s\n", of.name.c_str(),
                of.wanted.keys == 0 ? "keyless" : "keyed", median(&bench::figures::alone).c_str(),
                median(&bench::figures::bulk).c_str(), median(&bench::figures::delivered).c_str(),
                grouped(delivered.front()).c_str(), grouped(delivered.back()).c_str());
}

int run(int count, char** arguments) {
    CLI::App program{"Messages a second, by storage and broker"};
    bench::load wanted;
    int repetitions = 5;
    int keys = 1'000;
    std::vector<std::string> only;
    program.add_option("-n,--messages", wanted.messages, "messages a run")
        ->check(CLI::Range(100, 10'000'000));
    program.add_option("-r,--repetitions", repetitions)->check(CLI::Range(1, 1'000));
    program.add_option("-k,--keys", keys, "keys of the keyed runs")
        ->check(CLI::Range(1, 1'000'000));
    program.add_option("-s,--size", wanted.payload_bytes, "bytes of a payload")
        ->check(CLI::Range(1, 900'000));
    program.add_option("-b,--batch", wanted.batch, "options.batch_size")
        ->check(CLI::Range(1, 10'000));
    program.add_option("-o,--only", only, "pairs whose name holds one of these words");
    CLI11_PARSE(program, count, arguments);

    std::vector<row> rows;
    auto const is_wanted = [&](bench::pair const& one) {
        return only.empty() || std::any_of(only.begin(), only.end(), [&](std::string const& word) {
                   return one.name.find(word) != std::string::npos;
               });
    };
    for (auto const& one : bench::pairs()) {
        if (!is_wanted(one)) continue;
        for (int const with : {0, keys}) {
            auto load = wanted;
            load.keys = with;
            rows.push_back({one.name, one.measure, load});
        }
    }
    if (rows.empty()) throw std::runtime_error{"no pair has such a name"};
    for (int i = 0; i < repetitions; ++i) {
        for (auto& one : rows) {
            std::fprintf(stderr, "\r\x1b[Krun %d of %d: %s", i + 1, repetitions, one.name.c_str());
            one.runs.push_back(one.measure(one.wanted));
        }
    }
    std::fprintf(stderr, "\r\x1b[K");
    std::printf("messages a second: medians of %d runs of %d messages, %d bytes each\n\n",
                repetitions, wanted.messages, wanted.payload_bytes);
    std::printf("%-22s %-8s %11s %11s %11s   %s\n", "", "", "enqueued", "enqueued", "delivered",
                "slowest to fastest");
    std::printf("%-22s %-8s %11s %11s\n", "", "", "one by one", "100 at once");
    for (auto const& one : rows) print(one);
    return 0;
}

}  // namespace

int main(int count, char** arguments) {
    try {
        return run(count, arguments);
    } catch (std::exception const& failure) {
        std::fprintf(stderr, "throughput: %s\n", failure.what());
        return 1;
    }
}
