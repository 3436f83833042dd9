// SPDX-License-Identifier: MIT
//
// The faults, by kind: each is done to the site, lasts a while, and is undone before it returns.
#pragma once

#include <algorithm>
#include <array>
#include <filesystem>
#include <functional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "chaos/site.hpp"

namespace chaos {

struct fault_kind {
    std::string_view name;
    std::function<void()> strike;
    std::string why_not{};  ///< this machine does not allow it
};

class nemesis {
public:
    /// `outage`: how long a server is away; zero: up to a second and a half.
    nemesis(site& of, std::uint32_t seed, std::chrono::milliseconds outage)
        : site_{of}, random_{seed}, outage_{outage} {
        add("worker killed", [this] { end(site_.workers, SIGKILL); });
        add(
            "worker killed inside a system call", [this] { kill_in_system_call(); },
            std::filesystem::exists("/usr/bin/strace") ? "" : "there is no strace");
        add("worker stopped", [this] { end(site_.workers, SIGTERM); });
        add("worker stalls beyond its lease", [this] { stall(site_.workers); });
        add("producer killed", [this] { end(site_.producers, SIGKILL); });
        add("service killed", [this] { end(site_.services, SIGKILL); });
        add("service stalls beyond its lease", [this] { stall(site_.services); });
        add_postgres();
        add_nats();
        add_network("PostgreSQL", site_.to_postgres);
        add_network("NATS", site_.to_nats);
    }

    [[nodiscard]] std::vector<fault_kind> const& kinds() const {
        return kinds_;
    }

private:
    void add(std::string_view name, std::function<void()> strike, std::string why_not = {}) {
        kinds_.push_back({name, std::move(strike), std::move(why_not)});
    }
    [[nodiscard]] std::chrono::milliseconds between(std::chrono::milliseconds low,
                                                    std::chrono::milliseconds high) {
        return std::chrono::milliseconds{
            std::uniform_int_distribution<std::int64_t>{low.count(), high.count()}(random_)};
    }
    void last() {
        site_.pass(outage_ > 0ms ? outage_ : between(200ms, 1'500ms));
    }

    void add_postgres() {
        auto& server = site_.postgres;
        add("PostgreSQL backend killed", [this] { kill_backend(); });
        add("PostgreSQL killed", [this, &server] {
            server.kill();
            last();
            server.start();
        });
        add("PostgreSQL stands still", [this, &server] {
            server.freeze();
            last();
            server.thaw();
        });
        add("sessions terminated", [this] { terminate_sessions(); });
        add("table locked", [this] {
            auto sql = site_.postgres.connect();
            sql("begin; lock table outbox in access exclusive mode");
            last();
            sql("rollback");
        });
        add("statements time out", [this] { set_role("statement_timeout = '1ms'"); });
        add("database read-only", [this] { set_role("default_transaction_read_only = on"); });
        add("PostgreSQL password changed", [this] {
            change_role("password 'wrong'");
            last();
            change_role("password 'right'");
        });
        add(
            "PostgreSQL disk full",
            [this, &server] {
                site_.postgres_disk.fill();
                last();
                site_.postgres_disk.empty();
                // Without room for its log the server gives up.
                site_.pass(500ms);
                if (!server.running()) server.start();
            },
            site_.postgres_disk.can_fill() ? "" : "no tmpfs can be mounted");
    }
    void add_nats() {
        auto& server = site_.nats;
        add("NATS killed", [this, &server] {
            server.kill();
            last();
            server.start();
        });
        add("NATS stands still", [this, &server] {
            server.hang();
            last();
            server.resume();
        });
        add("NATS password changed", [this] { rights({.right_password = false}); });
        add("publish permission taken", [this] { rights({.may_publish = false}); });
        add("stream full", [this] {
            // A limit below what is there would delete the oldest: nothing may come meanwhile.
            site_.signal_workers(SIGSTOP);
            std::this_thread::sleep_for(200ms);
            auto const now = site_.nats_admin().extent_of(site::stream).messages;
            limit_stream(static_cast<std::int64_t>(now) + 10);
            site_.signal_workers(SIGCONT);
            last();
            limit_stream(-1);
        });
        add(
            "NATS disk full",
            [this, &server] {
                site_.nats_disk.fill();
                last();
                site_.nats_disk.empty();
                // It does without JetStream from now on, and does not end when asked to.
                server.kill();
                server.start();
            },
            site_.nats_disk.can_fill() ? "" : "no tmpfs can be mounted");
    }
    void add_network(std::string const& server, proxy& way) {
        auto const weathers = [&](std::string const& name, weather const& bad) {
            add(keep(name + server), [this, &way, bad] {
                way.set(bad);
                last();
                way.set({});
            });
        };
        weathers("latency before ", {.latency = 60ms});
        weathers("black hole towards ", {.hole_to_server = true});
        weathers("black hole back from ", {.hole_to_client = true});
        add(keep("connections cut before " + server), [&way] { way.cut(); });
        add(keep("connections reset before " + server), [&way] { way.reset(); });
    }
    [[nodiscard]] std::string_view keep(std::string name) {
        return *names_.insert(std::move(name)).first;
    }

    void end(std::vector<post>& among, int signal) {
        auto& one = among[random_() % among.size()];
        one.rest(between(0ms, 1'500ms));
        one.now.stop(signal);
    }
    void kill_in_system_call() {
        constexpr std::array calls{"sendto", "recvfrom", "write", "poll"};
        site_.set_trap(calls[random_() % calls.size()], 1 + random_() % 40);
        auto& one = site_.workers[random_() % site_.workers.size()];
        one.now.stop(SIGTERM);
        site_.pass(100ms);
        auto const trapped = one.now.id();
        for (int i = 0; i < 50 && one.now.id() == trapped; ++i) site_.pass(100ms);
    }
    void stall(std::vector<post>& among) {
        auto& one = among[random_() % among.size()];
        one.now.send(SIGSTOP);
        site_.pass(between(2'200ms, 3'500ms));
        one.now.send(SIGCONT);
    }
    /// The server ends all others, too, and recovers by itself.
    void kill_backend() {
        auto const id = site_.postgres.connect()(
            "select pid from pg_stat_activity where usename = 'service' limit 1");
        if (!id.empty()) ::kill(std::stoi(id), SIGKILL);
        site_.pass(100ms);
        support::wait_until_ready("PostgreSQL", [&] {
            return PQping(site_.postgres.connection_string().c_str()) == PQPING_OK;
        });
    }
    void terminate_sessions() {
        site_.postgres.connect()(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity"
            " where usename = 'service'");
    }
    void change_role(std::string const& how) {
        site_.postgres.connect()("alter role service " + how);
        terminate_sessions();
    }
    void set_role(std::string const& what) {
        change_role("set " + what);
        last();
        change_role("reset all");
    }
    void rights(worker_rights const& fewer) {
        site_.give(fewer);
        last();
        site_.give({});
    }
    void limit_stream(std::int64_t messages) {
        site_.nats_admin().update_stream(site::stream, {"chaos.>"}, [&](jsStreamConfig& config) {
            config.Storage = js_FileStorage;
            config.Duplicates = 120'000'000'000;
            config.MaxMsgs = messages;
            config.Discard = js_DiscardNew;
        });
    }

    site& site_;
    std::mt19937 random_;
    std::chrono::milliseconds outage_;
    std::set<std::string> names_{};
    std::vector<fault_kind> kinds_{};
};

}  // namespace chaos
