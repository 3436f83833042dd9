// SPDX-License-Identifier: MIT
//
// The example's programs on servers of their own, and a judge who asks the stream and the database
// what came of it.
#pragma once

#include <httplib.h>

#include <algorithm>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "outbox/testing/catch.hpp"
#include "support/nats_server.hpp"
#include "support/postgres_server.hpp"

namespace walk {

class walking {
public:
    walking() {
        sql("create database testdb");
        REQUIRE(program({"service", "--migrate", "--database", database()}).wait() == 0);
    }

    support::postgres_server postgres{};
    support::nats_server nats{};

    [[nodiscard]] std::string database() const {
        return postgres.connection_string("testdb");
    }
    /// Starts a service; `settings` as the walk gives them. Returns its port.
    int start_service(std::vector<std::string> const& settings = {}) {
        auto const port = support::free_port();
        std::vector<std::string> words{"service",    "--port",     std::to_string(port),
                                       "--database", database(),   "--nats",
                                       nats.url(),   "--subjects", "order.>"};
        words.insert(words.end(), settings.begin(), settings.end());
        services_.push_back(program(words));
        support::wait_until_ready("service", [&] { return support::accepts_connections(port); });
        return port;
    }
    [[nodiscard]] support::child_process& service(std::size_t number) {
        return services_.at(number);
    }
    [[nodiscard]] support::child_process start_consumer(int count) {
        return program({"consumer", "--nats", nats.url(), "--count", std::to_string(count)});
    }
    [[nodiscard]] support::child_process start_sending(std::vector<int> const& ports, int start,
                                                       int count) {
        std::string list;
        for (int const port : ports) list += (list.empty() ? "" : ",") + std::to_string(port);
        return program({"send_messages", "--port", list, "--start", std::to_string(start),
                        "--count", std::to_string(count)});
    }
    void send(std::vector<int> const& ports, int start, int count) {
        REQUIRE(start_sending(ports, start, count).wait() == 0);
    }
    std::string sql(std::string const& text) {
        return postgres.connect()(text);
    }
    /// Waits until every message that was committed is published or dead.
    void wait_until_delivered() {
        for (int i = 0; i < 3'000; ++i) {
            try {
                support::sql_connection asked{database()};
                if (asked("select count(*) from outbox where state in (0, 1, 2)") == "0") return;
            } catch (std::runtime_error const&) {  // NOLINT: it may be restarting
            }
            std::this_thread::sleep_for(std::chrono::milliseconds{20});
        }
        FAIL("messages are left undelivered");
    }
    /// Compares the stream with what was committed; orders 1 to `count` were confirmed one by one.
    void judge(int count, bool faults) {
        support::sql_connection asked{database()};
        CHECK(asked("select count(*) from outbox where state = 3") == "0");
        std::set<std::string> committed;
        std::istringstream ids{asked("select string_agg(id::text, ' ') from outbox")};
        for (std::string id; ids >> id;) committed.insert(id);

        std::map<std::string, int> copies;
        std::vector<int> orders;  // in the order of their first delivery
        support::nats_client client{nats.url()};
        for (auto const& one : client.read("EVENTS")) {
            auto const id = one.message_id();
            if (++copies[id] > 1) continue;
            CHECK(one.subject == "order.created");
            orders.push_back(nlohmann::json::parse(one.payload).at("order_id").get<int>());
        }
        std::set<std::string> delivered;
        for (auto const& [id, many] : copies) delivered.insert(id);
        CHECK(delivered == committed);
        // A confirmation that got lost makes a client send an order again, as another message.
        std::vector<int> first;
        std::set<int> seen;
        for (int const order : orders) {
            if (seen.insert(order).second) first.push_back(order);
        }
        CHECK(first.size() == static_cast<std::size_t>(count));
        CHECK(std::ranges::is_sorted(first));
        if (!faults) {
            CHECK(orders.size() == static_cast<std::size_t>(count));
            CHECK(std::ranges::all_of(copies, [](auto const& one) { return one.second == 1; }));
        }
    }
    [[nodiscard]] std::string log() const {
        std::ifstream file{folder_.path() / "log"};
        return {std::istreambuf_iterator<char>{file}, {}};
    }
    [[nodiscard]] std::filesystem::path const& folder() const {
        return folder_.path();
    }

private:
    [[nodiscard]] support::child_process program(std::vector<std::string> words) const {
        // build/tests/walk/walk, build/example/service.
        auto const folder = support::program_folder().parent_path().parent_path() / "example";
        words[0] = (folder / words[0]).string();
        return {std::move(words), folder_.path() / "log"};
    }

    support::temporary_folder folder_{};
    std::vector<support::child_process> services_{};
};

}  // namespace walk
