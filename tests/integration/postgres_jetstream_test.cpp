// SPDX-License-Identifier: MIT
//
// The real job, end to end: PostgreSQL to JetStream, with what people and programs put in, and a
// server that is killed under running workers.
#include <algorithm>
#include <atomic>
#include <map>
#include <set>
#include <string>
#include <thread>

#include "outbox/testing/catch.hpp"
#include "support/postgres_to_jetstream.hpp"

using namespace std::chrono_literals;
using whole = support::postgres_to_jetstream;

namespace {

constexpr int keys = 20;

/// Numbers `from`, `from + 1`, … in transactions of ten.
void place(whole& at, int from, int until) {
    for (int number = from; number < until;) {
        auto work = at.box.begin(at.shop.sql.handle());
        for (int i = 0; i < 10; ++i, ++number) {
            at.box.create_message(work, "all.numbers", std::to_string(number),
                                  {.key = std::to_string(number % keys)});
        }
        work.commit();
    }
}

struct found {
    std::set<int> numbers{};
    int disorder{0};  ///< of the first copies, within a key
};

/// What the stream holds, copies left out.
found first_copies(whole const& at) {
    found all;
    std::map<int, int> last;
    std::set<std::string> ids;
    for (auto const& one : at.arrived()) {
        if (!ids.insert(one.message_id()).second) continue;
        int const number = std::stoi(one.payload);
        auto& before = last.try_emplace(number % keys, -1).first->second;
        all.disorder += number < before ? 1 : 0;
        before = number;
        all.numbers.insert(number);
    }
    return all;
}

}  // namespace

TEST_CASE(
    "what plain SQL put in is delivered in its place, and a bad row dies without stopping it") {
    whole at;
    at.shop.run("insert into outbox (topic, payload) values ('all.sql', convert_to('1', 'UTF8'))");
    at.shop.run("insert into outbox (topic, payload) values ('all the.sql', 'x')");
    at.shop.run(
        "insert into outbox (topic, payload, headers) values ('all.sql', 'x', 'no header')");
    at.shop.run("insert into outbox (topic, payload) values ('elsewhere', 'x')");
    at.shop.run("select outbox_enqueue('all.sql', '{\"a\": \"C:\\\\dir\\n\"}')");
    auto worker = at.box.start_worker();
    at.wait_until_delivered();
    auto const stored = at.arrived();
    REQUIRE(stored.size() == 2);
    CHECK(stored[0].payload == "1");
    CHECK(stored[1].payload == "{\"a\": \"C:\\\\dir\\n\"}");
    auto const dead = at.box.dead_letters();
    REQUIRE(dead.size() == 3);
    int named = 0;
    for (auto const& one : dead) {
        named += one.last_error == "topic has a blank or control character at byte 3";
        named += one.last_error == "headers are no lines of \"name: value\" at byte 0";
        named += one.last_error == "none of the configured streams takes this topic";
    }
    CHECK(named == 3);
}

TEST_CASE("a payload of the largest size arrives with every byte") {
    whole at;
    std::string largest(1024 * 1024 - 16 * 1024, '\0');
    for (std::size_t i = 0; i < largest.size(); ++i) largest[i] = static_cast<char>(i * 7);
    auto work = at.box.begin(at.shop.sql.handle());
    at.box.create_message(work, "all.large", largest);
    CHECK_THROWS_AS(at.box.create_message(work, "all.large", largest + "x"), outbox::error);
    work.commit();
    auto worker = at.box.start_worker();
    at.wait_until_delivered();
    auto const stored = at.arrived();
    REQUIRE(stored.size() == 1);
    CHECK((stored[0].payload == largest));
}

TEST_CASE(
    "a JetStream server that is killed under two workers loses nothing and disorders nothing") {
    whole at;
    // No worker may create an empty stream after the kill: this one is on its disk already.
    support::nats_client{at.nats.url()}.add_stream("ALL", {"all.>"});
    auto first = at.box.start_worker();
    auto second = at.box.start_worker();
    constexpr int count = 3'000;
    for (int number = 0; number < count; number += 500) {
        place(at, number, number + 500);
        at.nats.kill();
        at.nats.start();
    }
    at.wait_until_delivered();
    CHECK(at.box.stats().storage.dead == 0);
    auto const all = first_copies(at);
    CHECK(all.numbers.size() == count);
    CHECK(all.disorder == 0);
    CHECK(first.stop(10s).clean());
    CHECK(second.stop(10s).clean());
}

TEST_CASE("what a broker lost after it had acknowledged it is brought back by a replay") {
    whole at;
    namespace files = std::filesystem;
    auto const store = at.nats.folder() / "data";
    auto const copy = at.nats.folder() / "copy";
    auto worker = at.box.start_worker();
    place(at, 0, 500);
    at.wait_until_delivered();
    at.nats.stop();
    files::copy(store, copy, files::copy_options::recursive);
    at.nats.start();
    auto const before =
        std::chrono::floor<std::chrono::microseconds>(outbox::system_clock{}.wall());
    place(at, 500, 1'500);
    at.wait_until_delivered();
    REQUIRE(first_copies(at).numbers.size() == 1'500);

    // As after a power loss: acknowledged, and not on the disk.
    at.nats.kill();
    files::remove_all(store);
    files::rename(copy, store);
    at.nats.start();
    REQUIRE(first_copies(at).numbers.size() == 500);
    CHECK(at.box.replay(before - 1s, before + 10min, 300) >= 1'000);
    at.wait_until_delivered();
    auto const all = first_copies(at);
    CHECK(all.numbers.size() == 1'500);
    CHECK(all.disorder == 0);
    CHECK(at.box.stats().storage.dead == 0);
    CHECK(worker.stop(10s).clean());
}

TEST_CASE("one order flies in chains, also while others write to its stream, and stays in order") {
    whole at;
    constexpr int count = 4'000;
    std::atomic<bool> over{false};
    std::thread stranger{[&] {
        support::nats_client other{at.nats.url()};
        while (!over) {
            natsConnection_PublishString(other.connection(), "all.strange", "not ours");
            natsConnection_Flush(other.connection());
            std::this_thread::sleep_for(5ms);
        }
    }};
    auto worker = at.box.start_worker();
    for (int number = 0; number < count;) {
        auto work = at.box.begin(at.shop.sql.handle());
        for (int i = 0; i < 100; ++i, ++number) {
            at.box.create_message(work, "all.numbers", std::to_string(number));
        }
        work.commit();
    }
    at.wait_until_delivered();
    over = true;
    stranger.join();
    std::vector<int> numbers;
    int strange = 0;
    for (auto const& one : at.arrived()) {
        if (one.subject == "all.strange") {
            ++strange;
        } else {
            numbers.push_back(std::stoi(one.payload));
        }
    }
    CHECK(strange > 0);
    CHECK(numbers.size() == count);
    CHECK(std::ranges::is_sorted(numbers));
    CHECK(at.box.stats().storage.dead == 0);
}
