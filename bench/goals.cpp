// SPDX-License-Identifier: MIT
//
// What is to be reached, and what is reached: each figure of the library beside the floor that a
// careful person would write by hand, in the same run, taking turns. `./dev bench goals [--json]`.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "goals/goal.hpp"
#include "goals/site.hpp"

namespace {

using json = nlohmann::ordered_json;

/// All that was measured, repetition by repetition.
class book {
public:
    void add(bench::goals::figures const& all) {
        for (auto const& [name, figure] : all) figures_[name].push_back(figure);
    }
    [[nodiscard]] std::vector<double> of(std::string const& name) const {
        auto const found = figures_.find(name);
        return found == figures_.end() ? std::vector<double>{} : found->second;
    }
    [[nodiscard]] json medians() const {
        json all;
        for (auto const& [name, values] : figures_) all[name] = bench::median(values);
        return all;
    }

private:
    std::map<std::string, std::vector<double>> figures_{};
};

std::optional<bool> reached(bench::goals::goal const& one, double held) {
    using enum bench::goals::goal::kind;
    if (one.what == shown) return std::nullopt;
    return one.what == at_least ? held >= one.bound : held <= one.bound;
}

/// Nothing where a figure is missing.
std::optional<json> row_of(bench::goals::goal const& one, book const& all) {
    auto const values = all.of(one.value);
    auto const floors = all.of(one.floor);
    if (values.empty() || (!one.floor.empty() && floors.empty())) return std::nullopt;
    // Ratios of neighbours in time, so that a slow minute meets both.
    std::vector<double> held;
    auto const pairs = one.floor.empty() ? values.size() : std::min(values.size(), floors.size());
    for (std::size_t i = 0; i < pairs; ++i)
        held.push_back(one.floor.empty() ? values[i] : values[i] / floors[i]);
    auto const middle = bench::median(held);
    json row{{"id", one.id}, {"figure", one.sentence}, {"value", bench::median(values)}};
    row["floor"] = floors.empty() ? json{} : json(bench::median(floors));
    row["ratio"] = floors.empty() ? json{} : json(middle);
    row["least"] = *std::min_element(held.begin(), held.end());
    row["most"] = *std::max_element(held.begin(), held.end());
    auto const verdict = reached(one, middle);
    row["goal"] = verdict ? json(one.bound) : json{};
    row["at_most"] = one.what == bench::goals::goal::kind::at_most;
    row["reached"] = verdict ? json(*verdict) : json{};
    return row;
}

std::string number(json const& value) {
    if (value.is_null()) return "-";
    auto const figure = value.get<double>();
    char text[32];
    std::snprintf(text, sizeof text, figure < 100 ? "%.2f" : "%.0f", figure);
    return text;
}

void print(json const& rows) {
    std::printf("%-22s %10s %10s %7s %8s\n", "id", "value", "floor", "ratio", "goal");
    for (auto const& row : rows) {
        std::string bound = "-";
        if (!row["goal"].is_null()) {
            bound = row["at_most"].get<bool>() ? "<= " : ">= ";
            bound += number(row["goal"]);
        }
        char const* const verdict = row["reached"].is_null()     ? "shown"
                                    : row["reached"].get<bool>() ? "reached"
                                                                 : "short";
        std::printf("%-22s %10s %10s %7s %8s  %-7s (%s to %s)  %s\n",
                    row["id"].get<std::string>().c_str(), number(row["value"]).c_str(),
                    number(row["floor"]).c_str(), number(row["ratio"]).c_str(), bound.c_str(),
                    verdict, number(row["least"]).c_str(), number(row["most"]).c_str(),
                    row["figure"].get<std::string>().c_str());
    }
}

std::vector<bench::goals::family> families(bench::goals::load const& wanted) {
    auto const on = std::make_shared<bench::goals::servers>();
    return {bench::goals::relay_family(on, wanted), bench::goals::doubles_family(),
            bench::goals::flat_family(on, wanted),  bench::goals::memory_family(on, wanted),
            bench::goals::cost_family(on, wanted),  bench::goals::sqlite_family(on, wanted),
            bench::goals::peers_family(on, wanted), bench::goals::latency_family(on, wanted),
            bench::goals::idle_family(on, wanted)};
}

bool holds_one_of(std::string const& name, std::vector<std::string> const& words) {
    return words.empty() || std::any_of(words.begin(), words.end(), [&](std::string const& word) {
               return name.find(word) != std::string::npos;
           });
}

int run(int count, char** arguments) {
    CLI::App program{"What is to be reached, and what is reached"};
    bench::goals::load wanted;
    int repetitions = 3;
    bool as_json = false;
    std::vector<std::string> names;
    std::vector<std::string> only;
    program.add_option("-n,--messages", wanted.messages, "messages a run")
        ->check(CLI::Range(1'000, 10'000'000))
        ->capture_default_str();
    program.add_option("-r,--repetitions", repetitions, "of what takes seconds")
        ->check(CLI::Range(1, 1'000))
        ->capture_default_str();
    program.add_option("-k,--keys", wanted.keys)
        ->check(CLI::Range(1, 1'000'000))
        ->capture_default_str();
    program.add_option("--pin-seconds", wanted.pin_seconds, "how long the horizon is pinned")
        ->check(CLI::Range(6, 3'600))
        ->capture_default_str();
    program.add_option("-f,--family", names, "goals of these families");
    program.add_option("-o,--only", only, "measurements whose name holds one of these words");
    program.add_flag("--json", as_json, "for a program to read");
    CLI11_PARSE(program, count, arguments);

    book all;
    auto rows = json::array();
    for (auto const& family : families(wanted)) {
        if (!holds_one_of(family.name, names)) continue;
        for (int i = 0; i < repetitions; ++i) {
            for (auto const& one : family.measurements) {
                if (!holds_one_of(one.name, only) || (one.once && i > 0)) continue;
                std::fprintf(stderr, "%s, run %d of %d: %s\n", family.name.c_str(), i + 1,
                             one.once ? 1 : repetitions, one.name.c_str());
                auto const read = one.run();
                for (auto const& [name, figure] : read)
                    std::fprintf(stderr, "    %s %s\n", name.c_str(), number(figure).c_str());
                all.add(read);
            }
        }
        for (auto const& one : family.goals) {
            if (auto row = row_of(one, all)) rows.push_back(std::move(*row));
        }
    }
    if (as_json) {
        std::printf("%s\n", json{{"goals", rows}, {"medians", all.medians()}}.dump(2).c_str());
    } else {
        print(rows);
    }
    return 0;
}

}  // namespace

int main(int count, char** arguments) {
    try {
        if (count == 5 && std::string_view{arguments[1]} == bench::goals::worker_word)
            return bench::goals::work(arguments[2], arguments[3], arguments[4]);
        return run(count, arguments);
    } catch (std::exception const& failure) {
        std::fprintf(stderr, "goals: %s\n", failure.what());
        return 1;
    }
}
