// SPDX-License-Identifier: MIT
//
// A producer of the chaos run: business rows and messages in transactions of a few, many keys and
// none, some rolled back on purpose, some that can never be delivered. Its ledger says what it
// meant before each commit, and afterwards how that ended, as far as it knows. Runs until SIGTERM.
#include <CLI/CLI.hpp>
#include <chrono>
#include <csignal>
#include <iostream>
#include <random>
#include <thread>

#include "chaos/books.hpp"
#include "outbox/broker/jetstream.hpp"
#include "outbox/outbox.hpp"
#include "outbox/storage/postgres.hpp"
#include "support/postgres_server.hpp"

namespace {

using namespace std::chrono_literals;

volatile std::sig_atomic_t asked_to_end = 0;

class producer {
public:
    producer(std::string database, std::string const& ledger, double rate, std::uint32_t seed)
        : database_{std::move(database)},
          ledger_{ledger},
          box_{outbox::postgres_storage{database_}, outbox::jetstream_broker{{}}},
          pause_{rate > 0 ? 1 / rate : 0},
          random_{seed} {}

    void run() {
        while (asked_to_end == 0) {
            try {
                support::sql_connection sql{database_};
                while (asked_to_end == 0) transact(sql);
            } catch (std::exception const& failed) {
                std::cerr << failed.what() << '\n';
                std::this_thread::sleep_for(20ms);
            }
        }
    }

private:
    [[nodiscard]] std::uint32_t below(std::uint32_t limit) {
        return static_cast<std::uint32_t>(random_()) % limit;
    }

    void transact(support::sql_connection& sql) {
        auto how = chaos::ending::rolled_back;
        try {
            auto work = box_.begin(sql.handle());
            std::vector<chaos::intention> meant;
            for (auto left = 1 + below(8); left > 0; --left) {
                meant.push_back(below(500) == 0 ? poison(sql) : message(work));
                sql("insert into business values ('" + to_string(meant.back().id) + "')");
            }
            ledger_.intend(meant);
            if (below(20) == 0) {
                work.rollback();
            } else {
                how = chaos::ending::unknown;
                work.commit();
                how = chaos::ending::committed;
            }
            ledger_.end(how);
            std::this_thread::sleep_until(next_ += pause_ * meant.size());
        } catch (outbox::error const& failed) {
            // What the library says to be certain is taken by its word, and judged by it.
            if (failed.code() == outbox::errc::aborted_transaction ||
                failed.code() == outbox::errc::contention) {
                how = chaos::ending::rolled_back;
            }
            ledger_.end(how);
            throw;
        } catch (std::exception const&) {
            ledger_.end(how);
            throw;
        }
    }
    /// A fifth of the messages without a key.
    [[nodiscard]] std::string some_key() {
        auto const place = below(50);
        return place < 10 ? std::string{} : "key-" + std::to_string(place);
    }
    /// Says where it comes from, and goes on with bytes of all kinds.
    [[nodiscard]] std::string some_payload() {
        auto text = std::to_string(number_) + ' ';
        for (auto left = below(200); left > 0; --left) text += static_cast<char>(below(256));
        return text;
    }
    template <class Work>
    chaos::intention message(Work const& work) {
        auto const key = some_key();
        ++number_;
        auto const topic = "chaos." + std::to_string(below(10));
        auto const payload = some_payload();
        outbox::header const header{"Key", key};
        return {
            .id = box_.create_message(work, topic, payload,
                                      {.key = key, .headers = {&header, key.empty() ? 0U : 1U}}),
            .key = key,
            .number = number_,
            .digest = chaos::digest_of(topic, payload)};
    }
    /// By SQL, past the library's own checks: no topic, or one that no stream takes.
    chaos::intention poison(support::sql_connection& sql) {
        auto const key = some_key();
        auto const id = sql("insert into outbox (topic, payload, key) values ('" +
                            std::string{below(2) == 0 ? "chaos with blanks" : "elsewhere"} +
                            "', 'x', '" + key + "') returning id");
        return {.id = outbox::parse_message_id(id).value(),
                .key = key,
                .number = ++number_,
                .poisoned = true};
    }

    std::string database_;
    chaos::ledger_writer ledger_;
    outbox::basic_outbox<outbox::postgres_storage, outbox::jetstream_broker> box_;
    std::chrono::duration<double> pause_;
    std::mt19937 random_;
    std::int64_t number_{0};
    std::chrono::time_point<std::chrono::steady_clock, std::chrono::duration<double>> next_{
        std::chrono::steady_clock::now()};
};

}  // namespace

int main(int count, char** words) {
    std::string database;
    std::string ledger;
    double rate = 100;
    std::uint32_t seed = 1;
    CLI::App app{"A producer of the chaos run"};
    app.add_option("--database", database)->required();
    app.add_option("--ledger", ledger)->required();
    app.add_option("--rate", rate, "messages a second");
    app.add_option("--seed", seed);
    CLI11_PARSE(app, count, words);
    std::signal(SIGTERM, [](int) { asked_to_end = 1; });
    producer{database, ledger, rate, seed}.run();
    return 0;
}
