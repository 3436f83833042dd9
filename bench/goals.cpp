// SPDX-License-Identifier: MIT
//
// What is to be reached, and what is reached: each figure of the library beside the floor that a
// careful person would write by hand, in the same run, taking turns. `./dev bench goals [--json]`.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>
#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "measure.hpp"
#include "relay_goals.hpp"

namespace {

using json = nlohmann::ordered_json;

class table {
public:
    void add(std::string const& series, double figure) {
        series_[series].push_back(figure);
    }
    [[nodiscard]] json rows() const {
        auto all = json::array();
        for (auto const& one : bench::goals()) {
            auto const value = figures(one.value);
            auto const floor = figures(one.floor);
            if (value.empty() || floor.empty()) continue;
            // Ratios of neighbours in time, so that a slow minute meets both.
            std::vector<double> ratios;
            for (std::size_t i = 0; i < std::min(value.size(), floor.size()); ++i) {
                ratios.push_back(value[i] / floor[i]);
            }
            auto const ratio = bench::median(ratios);
            all.push_back({{"id", one.id},
                           {"figure", one.figure},
                           {"value", bench::median(value)},
                           {"floor", bench::median(floor)},
                           {"ratio", ratio},
                           {"ratio_least", *std::min_element(ratios.begin(), ratios.end())},
                           {"ratio_most", *std::max_element(ratios.begin(), ratios.end())},
                           {"goal", one.goal ? json(*one.goal) : json{}},
                           {"reached", one.goal ? json(ratio >= *one.goal) : json{}}});
        }
        return all;
    }

private:
    [[nodiscard]] std::vector<double> figures(std::string const& series) const {
        auto const found = series_.find(series);
        return found == series_.end() ? std::vector<double>{} : found->second;
    }

    std::map<std::string, std::vector<double>> series_{};
};

void print(json const& rows) {
    std::printf("%-16s %10s %10s %7s %7s\n", "id", "value", "floor", "ratio", "goal");
    for (auto const& row : rows) {
        bool const has_goal = !row["goal"].is_null();
        auto const goal = has_goal ? std::to_string(row["goal"].get<double>()).substr(0, 4) : "-";
        char const* const verdict = !has_goal                    ? "shown"
                                    : row["reached"].get<bool>() ? "reached"
                                                                 : "short";
        std::printf("%-16s %10.0f %10.0f %7.2f %7s  %s (%.2f to %.2f)  %s\n",
                    row["id"].get<std::string>().c_str(), row["value"].get<double>(),
                    row["floor"].get<double>(), row["ratio"].get<double>(), goal.c_str(), verdict,
                    row["ratio_least"].get<double>(), row["ratio_most"].get<double>(),
                    row["figure"].get<std::string>().c_str());
    }
}

int run(int count, char** arguments) {
    CLI::App program{"What is to be reached, and what is reached"};
    bench::relay_load load;
    int repetitions = 5;
    bool as_json = false;
    std::vector<std::string> only;
    program.add_option("-n,--messages", load.messages, "messages a run")
        ->check(CLI::Range(1'000, 10'000'000))
        ->capture_default_str();
    program.add_option("-r,--repetitions", repetitions)
        ->check(CLI::Range(1, 1'000))
        ->capture_default_str();
    program.add_option("-k,--keys", load.keys)
        ->check(CLI::Range(1, 1'000'000))
        ->capture_default_str();
    program.add_option("-o,--only", only, "series whose name holds one of these words");
    program.add_flag("--json", as_json, "for a program to read");
    CLI11_PARSE(program, count, arguments);

    bench::relay_servers servers;
    table all;
    auto const wanted = bench::series(servers, load, only);
    for (int i = 0; i < repetitions; ++i) {
        for (auto const& [name, measure] : wanted) {
            std::fprintf(stderr, "\r\x1b[Krun %d of %d: %s", i + 1, repetitions, name.c_str());
            auto const read = measure();
            auto const each = read.spent_each * 1e6;
            std::fprintf(stderr,
                         ": %.0f, processor us each: own %.1f, database %.1f, broker %.1f\n",
                         read.rate, each.own, each.database, each.broker);
            all.add(name, read.rate);
        }
    }
    auto const rows = all.rows();
    if (as_json) {
        std::printf("%s\n", rows.dump(2).c_str());
    } else {
        print(rows);
    }
    return 0;
}

}  // namespace

int main(int count, char** arguments) {
    try {
        return run(count, arguments);
    } catch (std::exception const& failure) {
        std::fprintf(stderr, "goals: %s\n", failure.what());
        return 1;
    }
}
