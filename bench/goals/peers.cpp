// SPDX-License-Identifier: MIT
//
// What a user could take instead of us from the npm registry, each in its best configuration, with
// every message acknowledged by JetStream: programs of bench/peers, each on a database of its own.
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "goals/drained.hpp"
#include "goals/goal.hpp"
#include "goals/site.hpp"
#include "support/process.hpp"

namespace bench::goals {

namespace {

struct peer {
    std::string program{};
    std::string variant{};  ///< the program's last argument
    int messages{0};

    [[nodiscard]] std::string name() const {
        return variant.empty() ? program : program + ' ' + variant;
    }
};

std::filesystem::path peers_folder() {
    auto folder = support::program_folder().parent_path() / "peers";
    if (!std::filesystem::exists(folder / "node_modules/.bin/node")) {
        throw std::runtime_error{"the peers are not installed in " + folder.string() +
                                 ": `./dev bench goals` does it with npm; without them, name the "
                                 "families that you want with --family"};
    }
    return folder;
}

/// Runs the peer's program and returns the rate that it prints at its end.
double rate_of(peer const& one, support::postgres_server& database, std::string const& nats) {
    auto const folder = peers_folder();
    support::temporary_folder const output;
    auto const log = output.path() / "log";
    database.connect()("create database peer");
    support::child_process program{
        {(folder / "node_modules/.bin/node").string(), (folder / (one.program + ".mjs")).string(),
         "postgres://outbox@127.0.0.1:" + std::to_string(database.port()) + "/peer", nats,
         std::to_string(one.messages), one.variant},
        log};
    int const status = program.wait();
    std::ifstream said{log};
    std::string line;
    std::string text;
    std::string last;
    while (std::getline(said, line)) {
        text += line + '\n';
        last = line;
    }
    auto const read = nlohmann::json::parse(last, nullptr, false);
    if (status != 0 || !read.is_object() || !read.contains("rate")) {
        throw std::runtime_error{"the peer " + one.name() + " failed:\n" + text};
    }
    return read["rate"].get<double>();
}

/// On a server of its own, which writes what logical replication needs: that would cost the others.
double replicating_rate_of(peer const& one, std::string const& nats) {
    support::postgres_server own{std::filesystem::temp_directory_path(), {}};
    own.connect()("alter system set wal_level = logical");
    own.stop();
    own.start();
    return rate_of(one, own, nats);
}

double rate_of(peer const& one, servers& on) {
    if (one.variant == "replication") return replicating_rate_of(one, on.nats.url());
    auto const rate = rate_of(one, on.postgres, on.nats.url());
    on.postgres.connect()("drop database peer with (force)");
    return rate;
}

}  // namespace

family peers_family(std::shared_ptr<servers> const& on, load const& wanted) {
    family all{.name = "peers"};
    all.goals = {{"relay_peers", "relay, hard delete, against the best acknowledged npm peer",
                  "relay beside peers", "best peer", goal::kind::at_least, 7}};
    all.measurements.push_back({"relay beside peers", [on, wanted] {
                                    return drained<outbox::hard_delete>(*on, "relay beside peers",
                                                                        wanted, wanted.keys, 0);
                                }});
    // Each for some seconds: they are slower by one or two orders of magnitude.
    auto const best = std::make_shared<double>(0);
    for (auto const& one : {peer{"graphile-worker", "", wanted.messages / 2},
                            peer{"pg-boss", "", wanted.messages / 2},
                            peer{"pg-transactional-outbox", "polling", wanted.messages / 33},
                            peer{"pg-transactional-outbox", "replication", wanted.messages / 10}}) {
        all.measurements.push_back({one.name(), [on, wanted, one, best]() -> figures {
                                        site const empty_stream{*on, wanted};
                                        auto const rate = rate_of(one, *on);
                                        *best = std::max(*best, rate);
                                        return {{one.name(), rate}};
                                    }});
    }
    all.measurements.push_back({"best peer", [best]() -> figures {
                                    return {{"best peer", std::exchange(*best, 0)}};
                                }});
    return all;
}

}  // namespace bench::goals
