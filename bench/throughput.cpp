// SPDX-License-Identifier: MIT
//
// Messages a second, through the whole library, around one base case: PostgreSQL, JetStream, hard
// delete, 256 bytes, 5,000 keys, batch 1,000, one worker. One factor is varied at a time, and each
// figure stands beside the base case of the same minute. `./dev bench [--json [FILE]]`.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <exception>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "surroundings.hpp"
#include "throughput/setting.hpp"

namespace {

using json = nlohmann::ordered_json;
namespace throughput = bench::throughput;

/// One figure of one variation, repetition by repetition.
struct series {
    std::vector<double> values{};
    std::vector<double> ratios{};
};

struct row {
    throughput::variation what{};
    bool base{false};
    std::vector<std::string> names{};  ///< of the figures, in their order
    std::map<std::string, series> all{};

    void add(throughput::figures const& read, throughput::figures const& beside) {
        for (std::size_t i = 0; i < read.size(); ++i) {
            auto const& [name, value] = read[i];
            if (!all.contains(name)) names.push_back(name);
            all[name].values.push_back(value);
            all[name].ratios.push_back(value / beside.at(i).second);
        }
    }
};

/// A line that says how far it is; on a terminal always the same one.
class progress {
public:
    explicit progress(int of) : of_{of} {}
    void tell(int repetition, int repetitions, throughput::variation const& next) {
        std::fprintf(stderr, "%s[%4.0f s] run %d of %d, %d of %d: %s %s%s", terminal_ ? "\r" : "",
                     seconds(), repetition, repetitions, ++at_, of_, next.factor.c_str(),
                     next.value.c_str(), terminal_ ? "\x1b[K" : "\n");
    }
    [[nodiscard]] double seconds() const {
        return std::chrono::duration<double>(clock::now() - begin_).count();
    }
    void end() const {
        if (terminal_) std::fprintf(stderr, "\r\x1b[K");
    }

private:
    using clock = std::chrono::steady_clock;
    clock::time_point begin_{clock::now()};
    bool terminal_{::isatty(STDERR_FILENO) == 1};
    int of_;
    int at_{0};
};

std::string grouped(double rate) {
    auto text = std::to_string(std::llround(rate));
    for (auto at = text.size(); at > 3;) text.insert(at -= 3, 1, ',');
    return text;
}

json told(row const& of) {
    auto figures = json::array();
    for (auto const& name : of.names) {
        auto const& [values, ratios] = of.all.at(name);
        auto const [least, most] = std::minmax_element(values.begin(), values.end());
        auto const [low, high] = std::minmax_element(ratios.begin(), ratios.end());
        figures.push_back({{"figure", name},
                           {"median", bench::median(values)},
                           {"least", *least},
                           {"most", *most},
                           {"ratio", bench::median(ratios)},
                           {"least_ratio", *low},
                           {"most_ratio", *high},
                           {"values", values}});
    }
    return {{"factor", of.what.factor},
            {"value", of.what.value},
            {"base", of.base},
            {"figures", figures}};
}

void print(json const& report) {
    for (auto const& [name, value] : report["surroundings"].items())
        std::printf("%-30s %s\n", name.c_str(),
                    value.is_string() ? value.get<std::string>().c_str() : value.dump().c_str());
    auto const& effort = report["effort"];
    std::printf(
        "\nmessages a second: medians of %d runs of at most %d messages; beside them the slowest\n"
        "and the fastest run, and the median ratio to the base case of the same minute\n",
        effort["repetitions"].get<int>(), effort["messages"].get<int>());
    for (auto const& one : report["variations"]) {
        std::printf("\n%s: %s%s\n", one["factor"].get<std::string>().c_str(),
                    one["value"].get<std::string>().c_str(),
                    one["base"].get<bool>() ? "  (the base case)" : "");
        for (auto const& figure : one["figures"]) {
            std::printf("  %-34s %9s  %9s to %9s", figure["figure"].get<std::string>().c_str(),
                        grouped(figure["median"]).c_str(), grouped(figure["least"]).c_str(),
                        grouped(figure["most"]).c_str());
            if (!one["base"].get<bool>()) {
                std::printf("  %5.2f  (%.2f to %.2f)", figure["ratio"].get<double>(),
                            figure["least_ratio"].get<double>(),
                            figure["most_ratio"].get<double>());
            }
            std::printf("\n");
        }
    }
}

std::vector<std::vector<row>> rows_of(std::vector<std::string> const& only) {
    std::vector<std::vector<row>> all;
    for (auto const& group : throughput::variations()) {
        auto const wanted = [&](std::string const& word) {
            return group.front().factor.find(word) != std::string::npos;
        };
        if (!only.empty() && std::none_of(only.begin(), only.end(), wanted)) continue;
        auto& rows = all.emplace_back();
        for (auto const& one : group) rows.push_back({.what = one, .base = rows.empty()});
    }
    if (all.empty()) throw std::runtime_error{"no factor has such a name"};
    return all;
}

/// `minutes`: no further repetition begins that would not end by then.
json measured(std::vector<std::vector<row>> groups, throughput::effort const& most, int repetitions,
              double minutes) {
    bench::goals::servers on;
    int runs = 0;
    for (auto const& group : groups) runs += repetitions * static_cast<int>(group.size());
    progress line{runs};
    int done = 0;
    for (int i = 1; i <= repetitions; ++i) {
        if (done > 0 && line.seconds() / done * i > minutes * 60) break;
        for (auto& group : groups) {
            throughput::figures base;
            for (auto& one : group) {
                line.tell(i, repetitions, one.what);
                auto const read = throughput::measured(on, one.what, most);
                if (one.base) base = read;
                one.add(read, base);
            }
        }
        done = i;
    }
    line.end();
    json report{{"surroundings", bench::surroundings(on.postgres)},
                {"effort",
                 {{"repetitions", done},
                  {"messages", most.messages},
                  {"payload_bytes_at_most", most.bytes},
                  {"seconds_of_each_way_to_enqueue", most.enqueue_seconds},
                  {"seconds_to_deliver_at_most", most.limit_seconds}}},
                {"variations", json::array()}};
    for (auto const& group : groups) {
        for (auto const& one : group) report["variations"].push_back(told(one));
    }
    return report;
}

int run(int count, char** arguments) {
    CLI::App program{"Messages a second around one base case, one factor at a time"};
    throughput::effort most;
    int repetitions = 5;
    double minutes = 28;
    std::vector<std::string> only;
    std::string file;
    program.add_option("-n,--messages", most.messages, "messages to deliver in a run")
        ->check(CLI::Range(100, 10'000'000))
        ->capture_default_str();
    program.add_option("-r,--repetitions", repetitions)
        ->check(CLI::Range(1, 1'000))
        ->capture_default_str();
    program.add_option("-s,--seconds", most.enqueue_seconds, "of each way to enqueue")
        ->check(CLI::Range(0.01, 3'600.0))
        ->capture_default_str();
    program.add_option("-l,--limit", most.limit_seconds, "seconds to deliver, at the most")
        ->check(CLI::Range(0.1, 3'600.0))
        ->capture_default_str();
    program.add_option("-m,--minutes", minutes, "in which all must be done, or less is repeated")
        ->check(CLI::Range(0.1, 10'000.0))
        ->capture_default_str();
    program.add_option("-o,--only", only, "factors whose name holds one of these words");
    auto const* const as_json =
        program.add_option("--json", file, "for a program to read; to a file where one is named")
            ->expected(0, 1);
    CLI11_PARSE(program, count, arguments);

    auto const report = measured(rows_of(only), most, repetitions, minutes);
    if (as_json->count() > 0 && file.empty()) {
        std::printf("%s\n", report.dump(2).c_str());
        return 0;
    }
    print(report);
    if (!file.empty() && !(std::ofstream{file} << report.dump(2) << '\n'))
        throw std::runtime_error{"cannot write " + file};
    return 0;
}

}  // namespace

int main(int count, char** arguments) {
    try {
        return run(count, arguments);
    } catch (std::exception const& failure) {
        std::fprintf(stderr, "\nthroughput: %s\n", failure.what());
        return 1;
    }
}
