// SPDX-License-Identifier: MIT
//
// A service's view: what it enqueues is published once committed, in order, and never otherwise.
// All doubles, no thread, no waiting.
#include "outbox/outbox.hpp"

#include <algorithm>

#include "outbox/broker/memory.hpp"
#include "outbox/storage/memory.hpp"
#include "outbox/testing/catch.hpp"

namespace {

using namespace std::chrono_literals;

struct shop {
    outbox::manual_clock clock{};
    outbox::memory_storage storage{clock};
    outbox::memory_broker broker{};
    outbox::options settings{};
    outbox::basic_outbox<outbox::memory_storage, outbox::memory_broker, outbox::manual_clock> box{
        storage, broker, settings, clock};
    outbox::memory_storage::connection connection{};

    void place(std::string_view payload, outbox::message_options const& more = {}) {
        auto work = box.begin(connection);
        box.create_message(work, "order.created", payload, more);
        work.commit();
    }
    [[nodiscard]] std::string payloads() const {
        std::string all;
        for (auto const& one : broker.delivered()) all += one.payload;
        return all;
    }
};

}  // namespace

TEST_CASE("what was committed is published in the order of creation") {
    shop at;
    for (auto const* payload : {"1", "2", "3"}) at.place(payload);
    auto worker = at.box.make_worker();
    CHECK(worker.drain(1s));
    CHECK(at.payloads() == "123");
    CHECK(at.box.stats().storage.backlog == 0);
}

TEST_CASE("one step publishes and settles what is ready") {
    shop at;
    for (auto const* payload : {"1", "2", "3"}) at.place(payload);
    auto worker = at.box.make_worker();
    CHECK(worker.step().accepted == 3);
    CHECK(at.box.stats().storage.backlog == 0);
}

TEST_CASE("what was rolled back is never published, and the outbox stays usable") {
    shop at;
    {
        auto work = at.box.begin(at.connection);
        at.box.create_message(work, "order.created", "lost");
    }
    at.place("kept");
    auto worker = at.box.make_worker();
    CHECK(worker.drain(1s));
    CHECK(at.payloads() == "kept");
}

TEST_CASE("a message that fails holds the later ones of its key, and no other key") {
    shop at;
    at.broker.answer_with([](outbox::record const& one) {
        return one.payload == "a1" && one.attempts < 2
                   ? std::optional{outbox::memory_broker::failure{outbox::outcome::rejected, "no"}}
                   : std::nullopt;
    });
    at.place("a1", {.key = "a"});
    at.place("b1", {.key = "b"});
    at.place("a2", {.key = "a"});
    auto worker = at.box.make_worker();
    CHECK_FALSE(worker.drain(1s));
    CHECK(at.payloads() == "b1");
    for (int i = 0; i < 10; ++i) {
        at.clock.advance(1s);
        worker.drain(1s);
    }
    CHECK(at.payloads() == "b1a1a2");
    CHECK(at.box.stats().storage.dead == 0);
}

TEST_CASE("a refused message becomes a dead letter and its key goes on") {
    shop at;
    at.broker.fail_next(1, outbox::outcome::refused, "too large");
    at.place("bad");
    at.place("good");
    auto worker = at.box.make_worker();
    CHECK(worker.drain(1s));
    CHECK(at.payloads() == "good");
    auto const dead = at.box.dead_letters();
    REQUIRE(dead.size() == 1);
    CHECK(dead[0].payload == "bad");
    CHECK(dead[0].last_error == "too large");
    CHECK(at.box.requeue() == 1);
    CHECK(worker.drain(1s));
    CHECK(at.payloads() == "goodbad");
}

TEST_CASE("a broker that is down costs no attempt, and delivery goes on when it is back") {
    shop at;
    at.place("1");
    at.broker.go_down();
    auto worker = at.box.make_worker();
    for (int i = 0; i < 100; ++i) {
        worker.drain(1s);
        at.clock.advance(6s);
    }
    CHECK(at.box.stats().broker_down);
    CHECK(at.box.stats().storage.dead == 0);
    at.broker.come_up();
    at.clock.advance(6s);
    CHECK(worker.drain(1s));
    CHECK(at.payloads() == "1");
    CHECK_FALSE(at.box.stats().broker_down);
}

TEST_CASE("what was published can be sent again with the same ids") {
    shop at;
    for (auto const* payload : {"1", "2"}) at.place(payload);
    auto worker = at.box.make_worker();
    CHECK(worker.drain(1s));
    auto const now = at.clock.wall();
    CHECK(at.box.replay(now - 1h, now + 1h, 1) == 2);
    CHECK(worker.drain(1s));
    CHECK(at.payloads() == "1212");
    CHECK(at.broker.delivered()[0].id == at.broker.delivered()[2].id);
}

TEST_CASE("bad input is refused with field, reason and position") {
    shop at;
    auto work = at.box.begin(at.connection);
    CHECK_THROWS_WITH(at.box.create_message(work, "", "x"), "invalid_topic: topic is empty");
    CHECK_THROWS_WITH(
        at.box.create_message(work, "t", ""),
        "invalid_payload: payload is empty; options.allow_empty_payload lets it pass");
    CHECK_THROWS_WITH(at.box.create_message(work, "t", "x", {.key = "a\nb"}),
                      "invalid_key: key is no plain UTF-8 text at byte 1");
    outbox::header const smuggled{"x", "a\r\nb: c"};
    CHECK_THROWS_AS(at.box.create_message(work, "t", "x", {.headers = {&smuggled, 1}}),
                    outbox::error);
    CHECK_THROWS_AS(at.box.create_message(work, "t", "x", {.key = "k", .unordered = true}),
                    outbox::error);
    work.commit();
    CHECK(at.box.stats().storage.backlog == 0);
}

TEST_CASE("a worker on its own thread delivers, stops, and outlives its outbox") {
    outbox::basic_memory_storage<outbox::system_clock> storage;
    outbox::memory_broker broker;
    std::optional<outbox::basic_outbox<decltype(storage), outbox::memory_broker>> box;
    box.emplace(storage, broker);
    auto worker = box->start_worker();
    decltype(storage)::connection connection;
    for (int i = 0; i < 100; ++i) {
        auto work = box->begin(connection);
        box->create_message(work, "t", std::to_string(i));
        work.commit();
    }
    while (broker.count() < 100) std::this_thread::yield();
    box.reset();
    CHECK(worker.stop(10s).clean());
    CHECK(storage.statistics().partitions_held == 0);
    CHECK(storage.statistics().backlog == 0);
}

TEST_CASE("every ready key is served within backlog over batch and one more rounds") {
    constexpr int hot = 2'000;
    constexpr int others = 200;
    for (int const batch : {10, 100, 500}) {
        CAPTURE(batch);
        shop at{.settings = {.batch_size = batch}};
        for (int i = 0; i < hot; ++i) at.place("h", {.key = "hot"});
        for (int i = 0; i < others; ++i) at.place("o", {.key = "key " + std::to_string(i)});
        auto worker = at.box.make_worker();
        int rounds = 0;
        while (std::ranges::count(at.payloads(), 'o') < others) {
            static_cast<void>(worker.step());
            REQUIRE(++rounds <= (hot + others) / batch + 1);
        }
        CAPTURE(rounds);
        CHECK(worker.drain(1s));
        CHECK(at.payloads().size() == hot + others);
    }
}
