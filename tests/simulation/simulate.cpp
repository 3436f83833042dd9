// SPDX-License-Identifier: MIT
//
// The simulation as a program: many seeds, or one seed's story, or every single fault and every
// pair of them. Fails when a guarantee was broken, or a marker was never seen.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <iostream>

#include "outbox/testing/shrink.hpp"
#include "simulation/exhaustive.hpp"
#include "simulation/markers.hpp"
#include "simulation/seeds.hpp"

namespace {

namespace testing = outbox::testing;

class stopwatch {
public:
    [[nodiscard]] double seconds() const {
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count();
    }

private:
    std::chrono::steady_clock::time_point began_{std::chrono::steady_clock::now()};
};

void tell_progress(std::int64_t done, std::int64_t of, char const* what) {
    if (of > 0) {
        std::fprintf(stderr, "\r%lld of %lld %s", static_cast<long long>(done),
                     static_cast<long long>(of), what);
    } else {
        std::fprintf(stderr, "\r%lld %s", static_cast<long long>(done), what);
    }
    std::fflush(stderr);
}

void print_counts(char const* title, std::map<std::string, std::int64_t> const& counts) {
    std::cout << '\n' << title << '\n';
    for (auto const& [what, count] : counts) {
        std::cout << "  "
                  << std::string(12 - std::min<std::size_t>(12, std::to_string(count).size()), ' ')
                  << count << "  " << what << '\n';
    }
}

void print_story(testing::scenario const& of) {
    testing::simulation one{of};
    one.keep_words();
    one.run();
    for (auto const& line : one.log().story()) std::cout << "  " << line << '\n';
    std::cout << "  " << (one.violation().empty() ? "no violation" : one.violation()) << '\n';
}

/// The first few failures, each as the shortest story that ends in the same way.
void print_failures(std::vector<simulated::sum::failure> const& failures) {
    for (std::size_t i = 0; i < failures.size() && i < 20; ++i) {
        std::cout << "seed " << failures[i].seed << ": " << failures[i].violation << '\n';
    }
    for (std::size_t i = 0; i < failures.size() && i < 2; ++i) {
        testing::shrinking shorter{testing::scenario_of(failures[i].seed)};
        auto const& story = shorter.run();
        std::cout << "\nseed " << failures[i].seed << " in short: " << story.plan->size()
                  << " faults, " << story.messages << " messages, " << story.workers
                  << " workers\n";
        print_story(story);
    }
}

int run_seeds(simulated::assignment const& asked, bool full) {
    stopwatch const time;
    auto const all = simulated::run_seeds(asked, [&](std::uint64_t done) {
        tell_progress(static_cast<std::int64_t>(done), static_cast<std::int64_t>(asked.count),
                      "seeds");
    });
    std::fputc('\n', stderr);
    auto const seconds = time.seconds();
    auto const simulated = std::chrono::duration<double>(all.simulated).count();
    auto const seeds = static_cast<double>(all.seeds);
    auto const calls = static_cast<double>(all.calls);
    print_counts("faults by kind", all.faults);
    print_counts("markers", all.marks);
    std::vector<std::string> missing;
    for (auto const marker : simulated::markers) {
        if (!all.marks.contains(std::string{marker})) missing.emplace_back(marker);
    }
    std::printf("\nseeds               %.0f, the first %llu\n", seeds,
                static_cast<unsigned long long>(asked.first));
    std::printf("simulated           %.1f hours in %.0f s, %.0f times real time\n",
                simulated / 3'600, seconds, simulated / seconds);
    std::printf("policy calls        %.0f, %.0f a second, %.0f a seed\n", calls, calls / seconds,
                calls / seeds);
    std::printf("markers             %zu of %zu seen\n", simulated::markers.size() - missing.size(),
                simulated::markers.size());
    std::printf("hash of all events  %016llx\n", static_cast<unsigned long long>(all.hash));
    std::printf("violations          %zu\n", all.failures.size());
    std::fflush(stdout);
    if (full) {
        for (auto const& one : missing) std::cout << "never seen: " << one << '\n';
    }
    if (!asked.until_first) {
        print_failures(all.failures);
    } else if (!all.failures.empty()) {
        std::cout << "seed " << all.failures[0].seed << ": " << all.failures[0].violation << '\n';
    }
    return all.failures.empty() && (!full || missing.empty()) ? 0 : 1;
}

int run_all_faults() {
    stopwatch const time;
    simulated::exhaustion all{[](std::int64_t runs) { tell_progress(runs, 0, "runs"); }};
    auto const& found = all.run(true);
    std::fputc('\n', stderr);
    std::printf(
        "single faults       %lld\npairs of faults     %lld\npolicy calls        %lld\n"
        "violations          %zu\ntime                %.0f s\n",
        static_cast<long long>(found.singles), static_cast<long long>(found.pairs),
        static_cast<long long>(found.calls), found.violations.size(), time.seconds());
    for (auto const& one : found.violations) std::cout << one << '\n';
    return found.violations.empty() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App words{"The relay under simulated faults."};
    simulated::assignment asked{.threads = 2};
    bool full = false;
    bool pairs = false;
    std::optional<std::uint64_t> story;
    words.add_option("--first", asked.first, "first seed");
    words.add_option("--seeds", asked.count, "how many");
    words.add_option("--threads", asked.threads, "run so many at once")->check(CLI::Range(1, 64));
    words.add_flag("--calm", asked.calm, "without faults");
    words.add_flag("--until-first", asked.until_first, "no further than to the first failure");
    words.add_flag("--all-markers", full, "fail when a marker was never seen");
    words.add_flag("--pairs", pairs, "every single fault and every pair, in a small scenario");
    words.add_option("--story", story, "tell what happens under this seed");
    CLI11_PARSE(words, argc, argv);
    if (story) {
        print_story(testing::scenario_of(*story));
        return 0;
    }
    return pairs ? run_all_faults() : run_seeds(asked, full);
}
