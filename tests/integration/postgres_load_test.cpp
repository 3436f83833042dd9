// SPDX-License-Identifier: MIT
//
// Producers whose transactions overlap, roll back and commit late, and workers that take turns:
// every committed message is read by somebody, once, each producer's messages of a key in order.
#include <atomic>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <thread>

#include "outbox/testing/catch.hpp"
#include "support/postgres_case.hpp"

using namespace std::chrono_literals;

namespace {

constexpr int producers = 3;
constexpr int transactions = 200;  // of each producer
constexpr int keys = 20;

struct journal {
    std::mutex mutex{};
    std::vector<std::pair<std::string, std::string>> delivered{};  ///< key, payload
    std::set<std::string> committed{};
    std::atomic<int> still_producing{producers};
};

/// Payloads are "<producer> <number>", the numbers of a producer rise.
void produce(support::postgres_case& at, int number, journal& all) {
    auto sql = at.server.connect();
    std::mt19937 random{static_cast<unsigned>(number)};
    int messages = 0;
    for (int i = 0; i < transactions; ++i) {
        std::vector<std::string> written;
        at.storage.begin(sql.handle());
        auto const count = 1 + random() % 5;
        for (unsigned m = 0; m < count; ++m) {
            // The last key is none: those messages are one order.
            auto const place = random() % keys;
            auto const key = place == 0 ? std::string{} : "k" + std::to_string(place);
            auto const payload = std::to_string(number) + " " + std::to_string(++messages);
            outbox::draft const one{
                .id = support::numbered(1), .topic = "t", .key = key, .payload = payload};
            at.storage.append(sql.handle(), {&one, 1});
            written.push_back(payload);
            if (random() % 4 == 0) sql("select pg_sleep(0.002)");
        }
        if (random() % 5 == 0) {
            at.storage.rollback(sql.handle());
            continue;
        }
        // Written down before others can see them.
        std::lock_guard const lock{all.mutex};
        at.storage.commit(sql.handle());
        all.committed.insert(written.begin(), written.end());
    }
    --all.still_producing;
}

void deliver(support::postgres_case& at, std::uint8_t number, journal& all) {
    std::mt19937 random{number};
    auto session = at.worker(number);
    auto const request = outbox::acquire_request{.lease = 60s, .most = 4, .reach = 9};
    for (;;) {
        bool const last = all.still_producing == 0;
        auto const taken = session.acquire(request);
        std::vector<outbox::partition_number> mine;
        for (auto const& one : taken.tenures) mine.push_back(one.partition);
        if (mine.empty() && last && !taken.waiting) return;
        std::vector<outbox::settlement> settled;
        for (int round = 0; round < 4; ++round) {
            auto const reply = session.exchange({.settlements = settled,
                                                 .lease = 60s,
                                                 .read = mine,
                                                 .records = 1 + static_cast<int>(random() % 40),
                                                 .bytes = 1'000'000});
            settled.clear();
            std::lock_guard const lock{all.mutex};
            for (auto const& one : reply.read.records) {
                all.delivered.emplace_back(one.key, one.payload);
                settled.push_back(support::removal(one));
                settled.back().what =
                    random() % 2 == 0 ? outbox::fate::remove : outbox::fate::stamp;
            }
        }
        static_cast<void>(session.exchange({.settlements = settled}));
        std::vector<outbox::ending> endings;
        for (auto const one : mine) endings.push_back({.partition = one});
        session.release(endings);
    }
}

}  // namespace

TEST_CASE("workers that take turns lose, repeat and reorder nothing of busy producers") {
    support::postgres_case at;
    journal all;
    {
        std::vector<std::thread> threads;
        for (int i = 0; i < producers; ++i) threads.emplace_back([&, i] { produce(at, i, all); });
        for (std::uint8_t i = 0; i < 2; ++i)
            threads.emplace_back([&, i] { deliver(at, static_cast<std::uint8_t>(200 + i), all); });
        for (auto& one : threads) one.join();
    }
    std::set<std::string> seen;
    std::map<std::pair<std::string, char>, int> last;
    for (auto const& [key, payload] : all.delivered) {
        CAPTURE(key, payload);
        CHECK(seen.insert(payload).second);
        auto& before = last[{key, payload[0]}];
        auto const now = std::stoi(payload.substr(2));
        CHECK(before < now);
        before = now;
    }
    CHECK(seen == all.committed);
    CHECK(at.run("select count(*) from outbox where state <> 4") == "0");
}
