// SPDX-License-Identifier: MIT
//
// Messages that kill whichever process sends them: real processes, killed and started again, on
// real servers.
#include <map>
#include <set>
#include <string>
#include <vector>

#include "outbox/testing/catch.hpp"
#include "support/postgres_to_jetstream.hpp"

namespace {

using namespace std::chrono_literals;

constexpr int keys = 20;

/// The outbox as its producer sees it, and one worker process, started again whenever it dies.
class site : public support::postgres_to_jetstream {
public:
    /// A message for each of `numbers`; those in `lethal` kill who sends them.
    void place(int count, std::set<int> const& lethal) {
        auto work = box.begin(shop.sql.handle());
        for (int number = 0; number < count; ++number) {
            box.create_message(work, lethal.contains(number) ? "all.lethal" : "all.good",
                               std::to_string(number), {.key = std::to_string(number % keys)});
        }
        work.commit();
    }
    template <class Condition>
    void let_workers_die_until(char const* what, Condition&& done) {
        support::wait_until_ready(
            what,
            [&] {
                if (!worker_.running()) {
                    worker_ =
                        support::child_process{{support::program_folder() / "killed_worker",
                                                shop.server.connection_string(),
                                                std::string{shop.table.qualified()}, nats.url()},
                                               folder_.path() / "log"};
                    ++lives;
                }
                return done();
            },
            2min);
    }
    std::string ask(std::string const& sql) {
        return shop.run(sql);
    }
    void stop() {
        worker_.stop(SIGTERM);
    }
    /// Numbers by key, in the order of their first arrival.
    [[nodiscard]] std::map<int, std::vector<int>> arrived_by_key() const {
        std::map<int, std::vector<int>> all;
        std::set<int> seen;
        for (auto const& one : arrived()) {
            int const number = std::stoi(one.payload);
            if (seen.insert(number).second) all[number % keys].push_back(number);
        }
        return all;
    }

    int lives{0};

private:
    support::temporary_folder folder_{};
    support::child_process worker_{};
};

/// All but `lethal`, in order within each key.
void check_neighbours(site const& at, int count, std::set<int> const& lethal) {
    std::map<int, std::vector<int>> wanted;
    for (int number = 0; number < count; ++number) {
        if (!lethal.contains(number)) wanted[number % keys].push_back(number);
    }
    CHECK(at.arrived_by_key() == wanted);
}

}  // namespace

TEST_CASE("a message that kills whichever process sends it is a dead letter after three deaths") {
    site at;
    std::set<int> const lethal{107};
    at.place(400, lethal);
    at.let_workers_die_until("the end of all messages", [&] {
        return at.ask("select count(*) from outbox where state <> 3") == "0";
    });
    at.stop();
    CHECK(at.ask("select convert_from(payload, 'UTF8') from outbox") == "107");
    CHECK(at.ask("select deaths from outbox") == "3");
    CHECK(at.ask("select attempts from outbox") == "0");
    check_neighbours(at, 400, lethal);
    // A death or two that nobody can attribute, three that are, and the last life.
    CHECK(at.lives >= 5);
    CHECK(at.lives <= 10);
}

TEST_CASE("of messages that kill their worker three an hour are buried, and the others only wait") {
    site at;
    std::set<int> const lethal{41, 62, 83, 104, 125};
    at.place(400, lethal);
    auto const buried = [&] { return at.ask("select count(*) from outbox where state = 3"); };
    at.let_workers_die_until("the delivery of what may be sent", [&] {
        return at.ask("select count(*) from outbox where deaths >= 5 and state <> 3") == "2";
    });
    CHECK(buried() == "3");
    at.let_workers_die_until("the delivery of all neighbours", [&] {
        return at.ask("select count(distinct key) from outbox where state in (0, 1)") == "2";
    });
    CHECK(buried() == "3");

    // An hour later.
    at.ask("update outbox set died_at = died_at - interval '1 hour'");
    at.let_workers_die_until("the end of all messages", [&] {
        return at.ask("select count(*) from outbox where state <> 3") == "0";
    });
    at.stop();
    CHECK(buried() == "5");
    check_neighbours(at, 400, lethal);
}
