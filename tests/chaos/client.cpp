// SPDX-License-Identifier: MIT
//
// A client of the example's service in the chaos run: one request after the other, many keys and
// none. Its ledger says what it meant before each request, and afterwards how that ended: stored,
// or unknown whenever it was not told so. Runs until SIGTERM.
#include <httplib.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <csignal>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "chaos/books.hpp"

namespace {

using namespace std::chrono_literals;

volatile std::sig_atomic_t asked_to_end = 0;

class client {
public:
    client(int port, std::string const& ledger, double rate, std::uint32_t seed)
        : http_{"127.0.0.1", port},
          ledger_{ledger},
          names_{(std::uint64_t{seed} << 32U) +
                 static_cast<std::uint64_t>(chaos::unix_milliseconds())},
          pause_{rate > 0 ? 1 / rate : 0},
          random_{seed} {
        http_.set_keep_alive(true);
    }

    void run() {
        while (asked_to_end == 0) {
            ask();
            std::this_thread::sleep_until(next_ += pause_);
        }
    }

private:
    void ask() {
        auto const name = names_.next(static_cast<std::uint64_t>(chaos::unix_milliseconds()));
        auto const place = random_() % 50;
        auto const key = place < 10 ? std::string{} : "key-" + std::to_string(place);
        nlohmann::ordered_json const request{
            {"type", "chaos." + std::to_string(random_() % 10) + "." + outbox::to_string(name)},
            {"key", key},
            {"data",
             {{"key", key}, {"number", ++number_}, {"text", std::string(random_() % 200, 'x')}}}};
        auto const digest =
            chaos::digest_of(request["type"].get<std::string>(), request["data"].dump());
        ledger_.intend(
            {chaos::intention{.id = name, .key = key, .number = number_, .digest = digest}});
        auto const answer = http_.Post("/create-message", request.dump(), "application/json");
        bool const stored = answer && answer->status == 201;
        ledger_.end(stored ? chaos::ending::committed : chaos::ending::unknown);
        if (!stored) std::this_thread::sleep_for(20ms);
    }

    httplib::Client http_;
    chaos::ledger_writer ledger_;
    outbox::message_id_generator names_;
    std::chrono::duration<double> pause_;
    std::mt19937 random_;
    std::int64_t number_{0};
    std::chrono::time_point<std::chrono::steady_clock, std::chrono::duration<double>> next_{
        std::chrono::steady_clock::now()};
};

}  // namespace

int main(int count, char** words) {
    int port = 0;
    std::string ledger;
    double rate = 100;
    std::uint32_t seed = 1;
    CLI::App app{"A client of the example's service in the chaos run"};
    app.add_option("--port", port)->required();
    app.add_option("--ledger", ledger)->required();
    app.add_option("--rate", rate, "messages a second");
    app.add_option("--seed", seed);
    CLI11_PARSE(app, count, words);
    std::signal(SIGTERM, [](int) { asked_to_end = 1; });
    client{port, ledger, rate, seed}.run();
    return 0;
}
