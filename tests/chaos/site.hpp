// SPDX-License-Identifier: MIT
//
// Everything that takes part in a run: both servers, a bad network in front of each, producers,
// workers and the example's service, which are started again when they end. What the run leaves
// behind is read from here.
#pragma once

#include <charconv>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "chaos/books.hpp"
#include "chaos/proxy.hpp"
#include "chaos/small_disk.hpp"
#include "outbox/storage/postgres.hpp"
#include "support/nats_server.hpp"
#include "support/postgres_server.hpp"

namespace chaos {

using namespace std::chrono_literals;

/// Where one process after the other does the same.
class post {
public:
    explicit post(std::function<support::child_process()> start) : start_{std::move(start)} {}

    support::child_process now{};

    /// Not started again before this time has passed.
    void rest(std::chrono::milliseconds time) {
        not_before_ = std::chrono::steady_clock::now() + time;
    }
    void keep_alive() {
        if (!now.running() && std::chrono::steady_clock::now() >= not_before_) now = start_();
    }

private:
    std::function<support::child_process()> start_;
    std::chrono::steady_clock::time_point not_before_{};
};

/// What the NATS server lets the workers do.
struct worker_rights {
    bool right_password{true};
    bool may_publish{true};
};

class site {
public:
    struct plan {
        std::filesystem::path programs{};
        double rate{100};  ///< messages a second of each producer
        std::uint32_t seed{1};
    };
    static constexpr int worker_count = 3;
    static constexpr int producer_count = 3;

    explicit site(plan of) : plan_{std::move(of)} {
        nats_admin().add_stream(stream, {"chaos.>"}, [](jsStreamConfig& config) {
            config.Storage = js_FileStorage;
            config.Duplicates = 120'000'000'000;
        });
        auto sql = postgres.connect();
        outbox::postgres_storage::migrate(sql.handle());
        sql("create table business (id uuid primary key);"
            "create table orders (id bigserial primary key, type text not null,"
            " status text not null);"
            "create role service login password 'right';"
            "grant all on all tables in schema public to service;"
            "grant all on all sequences in schema public to service");
        postgres.add_access_rule("host all service 127.0.0.1/32 scram-sha-256");
        sql("select pg_reload_conf()");
        for (int i = 0; i < worker_count; ++i) workers.emplace_back([this] { return worker(); });
        for (int i = 0; i < producer_count; ++i)
            producers.emplace_back([this] { return producer(); });
        services.emplace_back([this] { return service(); });
        producers.emplace_back([this] { return client(); });
    }

    static constexpr char const* stream = "CHAOS";
    small_disk postgres_disk{"postgres"};
    small_disk nats_disk{"nats"};
    support::postgres_server postgres{postgres_disk.path()};
    support::nats_server nats{rights_text({}), nats_disk.path()};
    proxy to_postgres{postgres.port()};
    proxy to_nats{nats.port()};
    std::vector<post> workers{};
    std::vector<post> services{};   ///< each with a worker of its own
    std::vector<post> producers{};  ///< the last one is a client of the service

    [[nodiscard]] support::nats_client nats_admin() const {
        return support::nats_client{"nats://judge:all@127.0.0.1:" + std::to_string(nats.port())};
    }
    void give(worker_rights const& rights) const {
        nats.configure(rights_text(rights));
        nats.reload();
    }
    /// Lets time pass in which who ended is started again.
    void pass(std::chrono::milliseconds time) {
        auto const until = std::chrono::steady_clock::now() + time;
        do {
            for (auto& one : workers) one.keep_alive();
            for (auto& one : services) one.keep_alive();
            for (auto& one : producers) one.keep_alive();
            std::this_thread::sleep_for(10ms);
        } while (std::chrono::steady_clock::now() < until);
    }
    [[nodiscard]] std::size_t intended() {
        std::size_t all = 0;
        for (auto& one : ledgers_) {
            one.read_on();
            all += one.all().size();
        }
        return all;
    }
    /// The next worker that starts is killed at its n-th call of this kind.
    void set_trap(std::string const& system_call, std::uint64_t n) {
        trap_ = {"strace", "-D",
                 "-f",     "-qq",
                 "-o",     "/dev/null",
                 "-e",     "trace=" + system_call,
                 "-e",     "inject=" + system_call + ":signal=SIGKILL:when=" + std::to_string(n)};
    }
    void end_producers() {
        for (auto& one : producers) one.now.stop(SIGTERM);
        producers.clear();
    }
    void signal_workers(int signal) const {
        for (auto const& one : workers) one.now.send(signal);
        for (auto const& one : services) one.now.send(signal);
    }
    void end_workers() {
        for (auto& one : workers) one.now.stop(SIGTERM);
        for (auto& one : services) one.now.stop(SIGTERM);
        workers.clear();
        services.clear();
    }
    [[nodiscard]] std::size_t pending() const {
        return std::stoul(postgres.connect()("select count(*) from outbox where " + undecided));
    }
    /// Takes what is known from the books, the database and the stream.
    [[nodiscard]] history read();
    [[nodiscard]] std::filesystem::path const& folder() const {
        return folder_.path();
    }

private:
    [[nodiscard]] static std::string rights_text(worker_rights const& rights) {
        return std::string{"authorization { users = [{user: judge, password: all}, "} +
               "{user: worker, password: " + (rights.right_password ? "right" : "wrong") +
               (rights.may_publish ? "" : ", permissions: {publish: {deny: \"chaos.>\"}}") + "}] }";
    }
    [[nodiscard]] std::string database() const {
        return "host=127.0.0.1 port=" + std::to_string(to_postgres.port()) +
               " user=service password=right dbname=postgres connect_timeout=3"
               " tcp_user_timeout=5000";
    }
    [[nodiscard]] std::filesystem::path book_of(std::string_view kind, std::size_t number) const {
        return folder_.path() / (std::string{kind} + "-" + std::to_string(number));
    }
    support::child_process worker() {
        auto const number = ++lives_;
        auto command = std::exchange(trap_, {});
        command.insert(command.end(),
                       {plan_.programs / "worker", "--database", database(), "--nats",
                        "nats://127.0.0.1:" + std::to_string(to_nats.port()), "--attempts",
                        book_of("attempts", number)});
        return {std::move(command), folder_.path() / ("worker-log-" + std::to_string(number))};
    }
    support::child_process producer() {
        auto const number = ++lives_;
        ledgers_.emplace_back(book_of("ledger", number), static_cast<std::int32_t>(number));
        return {{plan_.programs / "producer", "--database", database(), "--ledger",
                 book_of("ledger", number), "--rate", std::to_string(plan_.rate), "--seed",
                 std::to_string(plan_.seed + number)},
                folder_.path() / ("producer-log-" + std::to_string(number))};
    }
    support::child_process service() {
        return {{plan_.programs.parent_path().parent_path() / "example" / "service", "--port",
                 std::to_string(service_port_), "--database", database(), "--nats",
                 "nats://worker:right@127.0.0.1:" + std::to_string(to_nats.port()), "--stream",
                 stream, "--subjects", "chaos.>", "--poll-interval", "100ms", "--lease-duration",
                 "2s", "--debug"},
                folder_.path() / ("service-log-" + std::to_string(++lives_))};
    }
    support::child_process client() {
        auto const number = ++lives_;
        ledgers_.emplace_back(book_of("ledger", number), static_cast<std::int32_t>(number));
        return {{plan_.programs / "client", "--port", std::to_string(service_port_), "--ledger",
                 book_of("ledger", number), "--rate", std::to_string(plan_.rate), "--seed",
                 std::to_string(plan_.seed + number)},
                folder_.path() / ("client-log-" + std::to_string(number))};
    }
    /// What the books call the messages that a query selects.
    [[nodiscard]] std::vector<outbox::message_id> ids(std::string const& sql) const;
    static inline std::string const undecided = "state in (0, 1, 2)";

    plan plan_;
    int service_port_{support::free_port()};
    support::temporary_folder folder_{};
    std::size_t lives_{0};
    std::vector<std::string> trap_{};
    std::vector<ledger_reader> ledgers_{};
};

inline std::vector<outbox::message_id> site::ids(std::string const& sql) const {
    std::istringstream text{
        postgres.connect()("select string_agg(id || ' ' || topic, E'\\n') from " + sql)};
    std::vector<outbox::message_id> all;
    for (std::string line; std::getline(text, line);) {
        auto const blank = line.find(' ');
        all.push_back(identity(outbox::parse_message_id(line.substr(0, blank)).value(),
                               std::string_view{line}.substr(blank + 1)));
    }
    return all;
}

/// The last part of the id by which JetStream knows copies; below zero: it has none.
[[nodiscard]] inline std::int32_t generation_of(std::string const& copy) {
    std::int32_t generation = -1;
    auto const* const end = copy.data() + copy.size();
    std::from_chars(copy.data() + copy.rfind('.') + 1, end, generation);
    return generation;
}

/// Of a message that came through the service.
[[nodiscard]] inline std::string key_of(std::string const& payload) {
    auto const read = nlohmann::json::parse(payload, nullptr, false);
    return read.is_object() ? read.value("key", std::string{}) : std::string{};
}

inline history site::read() {
    history all;
    for (auto& one : ledgers_) {
        one.read_on();
        all.ledger.insert(all.ledger.end(), one.all().begin(), one.all().end());
    }
    auto& attempts = all.attempts.emplace();
    for (auto const& entry : std::filesystem::directory_iterator{folder_.path()}) {
        auto const name = entry.path().filename().string();
        if (name.starts_with("attempts-")) read_attempts(entry.path(), attempts);
        if (name.starts_with("service-log-")) read_service_log(entry.path(), attempts);
    }
    nats_admin().for_each(stream, [&](support::stored_message const& one) {
        auto const id = outbox::parse_message_id(one.message_id()).value_or(outbox::message_id{});
        auto const name = identity(id, one.subject);
        all.stream.push_back({.id = name,
                              .key = name == id ? one.header("Key") : key_of(one.payload),
                              .digest = digest_of(one.subject, one.payload),
                              .sequence = one.sequence,
                              .generation = generation_of(one.header("Nats-Msg-Id")),
                              .at = one.time / 1'000'000});
    });
    all.dead = ids("outbox where state = 3");
    all.pending = ids("outbox where " + undecided);
    all.rows =
        ids("(select id::text, '' as topic from business union all select "
            "'00000000-0000-0000-0000-000000000000', type from orders) as done");
    return all;
}

}  // namespace chaos
