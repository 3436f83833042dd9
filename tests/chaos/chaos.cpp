// SPDX-License-Identifier: MIT
//
// Real faults on real servers: `chaos --messages 50000 --faults 100`. Producers and workers go on
// while one fault after the other strikes; then everything heals, the outbox must drain, and the
// checker reads the books, the database and the stream. Ends with 0 when it finds nothing.
#include <CLI/CLI.hpp>
#include <iomanip>
#include <iostream>

#include "chaos/checker.hpp"
#include "chaos/nemesis.hpp"

namespace {

using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock;

class run {
public:
    struct plan {
        std::size_t messages{50'000};
        std::size_t faults{100};
        std::string only{};
        std::uint32_t seed{1};
        double rate{120};
        std::int64_t outage_seconds{0};
        bool keep{false};
    };

    explicit run(plan of)
        : plan_{std::move(of)},
          site_{{.programs = support::program_folder(), .rate = plan_.rate, .seed = plan_.seed}},
          nemesis_{site_, plan_.seed, std::chrono::seconds{plan_.outage_seconds}} {}

    int all() {
        suffer();
        heal();
        auto past = site_.read();
        past.faults = faults_;
        auto const found = chaos::check(past);
        print(found);
        return found.clean() && enough(found) ? 0 : 1;
    }

private:
    [[nodiscard]] std::int64_t seconds() const {
        return std::chrono::duration_cast<std::chrono::seconds>(clock_type::now() - began_).count();
    }
    void progress(std::string const& doing) {
        std::cerr << '[' << std::setw(5) << seconds() << " s] " << std::setw(7) << site_.intended()
                  << " messages, " << std::setw(4) << faults_.size() << " faults  " << doing
                  << std::endl;
    }
    /// Each kind in its turn, in an order that changes.
    void suffer() {
        std::vector<chaos::fault_kind const*> possible;
        for (auto const& one : nemesis_.kinds()) {
            bool const chosen = plan_.only.empty() || one.name == plan_.only;
            if (chosen && one.why_not.empty()) possible.push_back(&one);
        }
        if (possible.empty()) throw std::runtime_error{"no fault is called " + plan_.only};
        std::mt19937 random{plan_.seed};
        site_.pass(2s);
        auto next = possible.end();
        while (faults_.size() < plan_.faults || site_.intended() < plan_.messages) {
            if (next == possible.end()) {
                std::ranges::shuffle(possible, random);
                next = possible.begin();
            }
            auto const& kind = **next++;
            progress(std::string{kind.name});
            chaos::fault one{std::string{kind.name}, chaos::unix_milliseconds(), 0};
            kind.strike();
            one.end = chaos::unix_milliseconds();
            faults_.push_back(std::move(one));
            site_.pass(std::chrono::milliseconds{500 + random() % 1'500});
        }
    }
    /// Until nothing is pending, or nothing moves for a long time.
    void heal() {
        progress("nothing goes wrong any more");
        site_.pass(1s);
        site_.end_producers();
        auto const before = site_.intended();
        auto left = site_.pending();
        for (int idle = 0; left > 0 && idle < 60; ++idle) {
            site_.pass(1s);
            auto const now = site_.pending();
            if (now < left) idle = 0;
            left = now;
            progress(std::to_string(left) + " pending");
        }
        if (site_.intended() != before) throw std::logic_error{"a producer still writes"};
        site_.end_workers();
    }
    [[nodiscard]] bool enough(chaos::report const& found) const {
        return found.committed > 0 && faults_.size() >= plan_.faults;
    }
    void print(chaos::report const& found) const {
        std::cout << "seed " << plan_.seed << ", " << seconds() << " s: " << found.intended
                  << " messages intended, " << found.committed << " committed, "
                  << found.rolled_back << " rolled back; of these " << found.resolved
                  << " of unknown outcome\n"
                  << found.delivered << " delivered, " << found.dead << " dead; " << found.attempts
                  << " sends, of them " << found.explained_sends << " again for a reason; "
                  << found.explained_copies << " further copies for a reason\n\n";
        for (std::size_t i = 0; i < chaos::verdict_count; ++i) {
            auto const what = static_cast<chaos::verdict>(i);
            std::cout << std::setw(12) << to_string(what) << std::setw(8) << found.of(what).count
                      << '\n';
            for (auto const& example : found.of(what).examples) {
                std::cout << "              " << example << '\n';
            }
        }
        std::cout << "\nfault, times, milliseconds until the next delivery: median, longest\n";
        for (auto const& kind : nemesis_.kinds()) {
            std::cout << "  " << std::left << std::setw(38) << kind.name << std::right;
            auto const at = found.recoveries.find(std::string{kind.name});
            if (!kind.why_not.empty()) {
                std::cout << "not run: " << kind.why_not;
            } else if (at == found.recoveries.end()) {
                std::cout << std::setw(4) << 0;
            } else {
                auto const& waits = at->second.waits;
                std::cout << std::setw(4) << at->second.faults;
                if (!waits.empty())
                    std::cout << std::setw(8) << waits[waits.size() / 2] << std::setw(8)
                              << waits.back();
            }
            std::cout << '\n';
        }
        std::cout << faults_.size() << " faults of " << found.recoveries.size() << " kinds\n";
        if (plan_.keep) {
            std::filesystem::copy(site_.folder(), "chaos-books",
                                  std::filesystem::copy_options::recursive |
                                      std::filesystem::copy_options::overwrite_existing);
        }
    }

    plan plan_;
    chaos::site site_;
    chaos::nemesis nemesis_;
    std::vector<chaos::fault> faults_{};
    clock_type::time_point began_{clock_type::now()};
};

}  // namespace

int main(int count, char** words) {
    run::plan plan;
    CLI::App app{"Real faults on real servers, and a judge"};
    app.add_option("--messages", plan.messages, "at least so many")->capture_default_str();
    app.add_option("--faults", plan.faults, "at least so many")->capture_default_str();
    app.add_option("--only", plan.only, "one kind of fault alone, by its name");
    app.add_option("--seed", plan.seed);
    app.add_option("--rate", plan.rate, "messages a second of each producer")
        ->capture_default_str();
    app.add_option("--outage", plan.outage_seconds,
                   "seconds that a server is away for; 0: up to one and a half")
        ->check(CLI::Range(0, 86'400))
        ->capture_default_str();
    app.add_flag("--keep", plan.keep, "copies the books to ./chaos-books");
    CLI11_PARSE(app, count, words);
    try {
        return run{plan}.all();
    } catch (std::exception const& failed) {
        std::cerr << "chaos: " << failed.what() << '\n';
        return 2;
    }
}
