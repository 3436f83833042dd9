// SPDX-License-Identifier: MIT
//
// The relay's rules, each as a sentence, on doubles and without waiting.
#include <algorithm>
#include <utility>

#include "outbox/testing/catch.hpp"
#include "support/shop.hpp"

namespace {

using namespace std::chrono_literals;
using outbox::outcome;
using support::market;
using support::quick;
using support::shop;
using failure = outbox::memory_broker::failure;

/// A broker that fails certain payloads in one way.
void fail(outbox::memory_broker& broker, std::string payload, outcome what) {
    broker.answer_with([payload = std::move(payload), what](outbox::record const& one) {
        return one.payload == payload ? std::optional{failure{what, "scripted"}} : std::nullopt;
    });
}

}  // namespace

TEST_CASE(
    "a message that is rejected again and again dies after max_attempts, and its key goes on") {
    market all;
    shop at{all, quick()};
    fail(all.broker, "bad", outcome::rejected);
    at.place("bad", "k");
    at.place("good", "k");
    auto worker = at.box.make_worker();
    worker.drain(1s);
    CHECK(all.payloads().empty());
    at.run(worker, 50, 20ms);
    CHECK(all.payloads() == "good");
    REQUIRE(at.box.dead_letters().size() == 1);
    CHECK(at.box.dead_letters()[0].attempts == 3);
}

TEST_CASE("a storage that has found nothing yet is asked again at once") {
    market all;
    shop at{all, quick()};
    at.place("found");
    at.storage.look_in_vain(5);
    auto worker = at.box.make_worker();
    CHECK(worker.drain(1s));
    CHECK(all.payloads() == "found");
}

TEST_CASE("a dead letter blocks its key, and only that, until it is discarded") {
    market all;
    auto settings = quick();
    settings.on_dead_letter = outbox::after_dead_letter::block;
    shop at{all, settings};
    fail(all.broker, "bad", outcome::refused);
    at.place("bad", "k");
    at.place("next", "k");
    at.place("other", "j");
    auto worker = at.box.make_worker();
    at.run(worker, 20, 100ms);
    CHECK(all.payloads() == "other");
    at.place("last", "k");
    at.run(worker, 20, 100ms);
    CHECK(all.payloads() == "other");
    CHECK(at.box.discard() == 1);
    at.run(worker, 20, 100ms);
    CHECK(all.payloads() == "othernextlast");
}

TEST_CASE("a dead letter that blocks goes first when it is requeued") {
    market all;
    auto settings = quick();
    settings.on_dead_letter = outbox::after_dead_letter::block;
    shop at{all, settings};
    all.broker.fail_next(1, outcome::refused);
    at.place("1", "k");
    at.place("2", "k");
    auto worker = at.box.make_worker();
    at.run(worker, 5, 100ms);
    CHECK(all.payloads().empty());
    CHECK(at.box.requeue() == 1);
    at.run(worker, 5, 100ms);
    CHECK(all.payloads() == "12");
}

TEST_CASE("a scheduled message takes its place when it falls due, and holds nothing up before") {
    market all;
    shop at{all, quick()};
    auto work = at.box.begin(at.connection);
    at.box.create_message(work, "t", "later", {.key = "k", .not_before = all.clock.wall() + 10s});
    work.commit();
    at.place("now", "k");
    auto worker = at.box.make_worker();
    CHECK(worker.drain(1s));
    CHECK(all.payloads() == "now");
    all.clock.advance(10s);
    worker.drain(1s);
    CHECK(all.payloads() == "nowlater");
}

TEST_CASE("retention purges in batches") {
    market all;
    std::vector<std::size_t> purged;
    shop at{all, quick(), outbox::observers{[&](outbox::event::purged const& one) {
                purged.push_back(one.published);
            }}};
    auto work = at.box.begin(at.connection);
    for (int i = 0; i < 6'000; ++i) at.box.create_message(work, "t", "x", {.unordered = true});
    work.commit();
    auto worker = at.box.make_worker();
    CHECK(worker.drain(1s));
    CHECK(purged.empty());
    all.clock.advance(std::chrono::hours{100});
    at.run(worker, 3, 50ms);
    CHECK(purged == std::vector<std::size_t>{5'000, 1'000});
}

TEST_CASE("an observer that throws breaks nothing") {
    market all;
    int heard = 0;
    auto const thrower = [&](auto const& /*event*/) {
        ++heard;
        throw std::runtime_error{"an observer's own"};
    };
    shop at{all, quick(), thrower};
    all.broker.fail_next(1, outcome::rejected);
    at.place("1");
    auto worker = at.box.make_worker();
    at.run(worker, 5, 100ms);
    CHECK(all.payloads() == "1");
    CHECK(heard > 3);
}

TEST_CASE("a storage of another version is said and waited for") {
    market all;
    shop at{all, quick()};
    at.storage.before([](std::string_view verb) {
        if (verb != "connect") return;
        throw outbox::error{outbox::errc::schema_mismatch, "run the migrations first"};
    });
    at.place("1");
    auto worker = at.box.make_worker();
    at.run(worker, 20, 100ms);
    CHECK(at.box.stats().storage_down);
    CHECK(at.box.stats().last_error == "schema_mismatch: run the migrations first");
    CHECK(all.payloads().empty());
    at.storage.before({});
    at.run(worker, 20, 100ms);
    CHECK(all.payloads() == "1");
    CHECK_FALSE(at.box.stats().storage_down);
}

TEST_CASE("a storage that answers counts as back though there is no work") {
    market all;
    shop at{all, quick()};
    auto worker = at.box.make_worker();
    at.storage.fail_next("connect", outbox::errc::unavailable);
    worker.drain(1s);
    CHECK(at.box.stats().storage_down);
    at.run(worker, 10, 100ms);
    CHECK_FALSE(at.box.stats().storage_down);
}

TEST_CASE("what was accepted is settled and not sent again, however often the session is lost") {
    market all;
    shop at{all, quick()};
    auto worker = at.box.make_worker();
    at.place("1");
    int failures = 3;
    at.storage.before([&](std::string_view verb) {
        if (verb != "exchange" || all.broker.count() == 0 || failures-- <= 0) return;
        throw outbox::error{outbox::errc::unavailable, "scripted"};
    });
    at.run(worker, 20, 30ms);
    CHECK(failures < 0);
    CHECK(all.payloads() == "1");
    CHECK(at.box.stats().storage.backlog == 0);
}

TEST_CASE("a settle whose outcome is unknown repeats nothing") {
    market all;
    shop at{all, quick()};
    auto worker = at.box.make_worker();
    at.place("1");
    at.storage.after([&](std::string_view verb) {
        if (verb != "exchange" || all.broker.count() == 0) return;
        at.storage.after({});
        throw outbox::error{outbox::errc::outcome_unknown, "scripted"};
    });
    at.place("2");
    at.run(worker, 20, 30ms);
    CHECK(all.payloads() == "12");
    CHECK(at.box.stats().storage.backlog == 0);
}

TEST_CASE("contention changes nothing, and what is decided is settled later") {
    market all;
    shop at{all, quick()};
    auto worker = at.box.make_worker();
    at.place("1");
    at.storage.before([&](std::string_view verb) {
        if (verb != "exchange" || all.broker.count() == 0) return;
        at.storage.before({});
        throw outbox::error{outbox::errc::contention, "scripted"};
    });
    worker.step();
    CHECK(at.box.stats().storage.backlog == 1);
    CHECK_FALSE(at.box.stats().storage_down);
    at.run(worker, 3, 10ms);
    CHECK(all.payloads() == "1");
    CHECK(at.box.stats().storage.backlog == 0);
}

TEST_CASE("a doubt counts against no message while nothing that was sent later is accepted") {
    market all;
    std::vector<std::int32_t> attempts;
    shop at{all, quick(), outbox::observers{[&](outbox::event::attempt_failed const& one) {
                attempts.push_back(one.attempts);
            }}};
    all.broker.fail_next(2, outcome::unknown);
    at.place("1");
    auto worker = at.box.make_worker();
    // While the broker is probed, a coin decides between what is new and what failed.
    at.run(worker, 100, 100ms);
    CHECK(all.payloads() == "1");
    CHECK(attempts == std::vector{0, 0});
}

TEST_CASE("a broker that never says whether messages arrived is not sent them without end") {
    market all;
    shop at{all, quick()};
    all.broker.fail_next(100'000, outcome::unknown);
    int sent = 0;
    shop counted{all, quick(),
                 outbox::observers{[&](outbox::event::publishing const&) { ++sent; }}};
    counted.place("1");
    auto worker = counted.box.make_worker();
    counted.run(worker, 100, 10ms);
    CHECK(sent > 2);
    CHECK(sent < 60);
    CHECK(counted.box.stats().broker_down);
    CHECK(counted.box.stats().storage.dead == 0);
}

TEST_CASE("a topic that nothing takes does not keep the broker looking down for its neighbours") {
    market all;
    shop at{all, quick()};
    all.broker.answer_with([](outbox::record const& one) {
        return one.topic == "nowhere" ? std::optional{failure{outcome::unroutable, "no stream"}}
                                      : std::nullopt;
    });
    all.broker.go_down();
    // Of one partition: no other one helps out.
    at.place("bad", "a", "nowhere");
    at.place("1", "n");
    auto worker = at.box.make_worker();
    at.run(worker, 5, 100ms);
    all.broker.come_up();
    at.run(worker, 100, 20ms);
    CHECK(all.payloads() == "1");
    CHECK(at.box.stats().storage.dead == 0);
    // Others pass and it does not: now it is its own fault.
    for (char const* payload : {"2", "3", "4", "5"}) {
        at.place(payload, "n");
        at.run(worker, 20, 20ms);
    }
    CHECK(all.payloads() == "12345");
    REQUIRE(at.box.dead_letters().size() == 1);
    CHECK(at.box.dead_letters()[0].attempts == 3);
}

TEST_CASE("a probe comes when its wait is over, not at the next poll") {
    market all;
    auto settings = quick();
    settings.poll_interval = 1h;
    shop at{all, settings};
    all.broker.go_down();
    at.place("1");
    auto worker = at.box.make_worker();
    worker.drain(1s);
    all.broker.come_up();
    at.run(worker, 3, 50ms);
    CHECK(all.payloads() == "1");
}

TEST_CASE("three batches are on their way while receipts come soon, and one when they do not") {
    market all;
    auto settings = quick();
    settings.batch_size = 10;
    shop at{all, settings};
    for (int i = 0; i < 100; ++i) at.place("m", "k" + std::to_string(i));
    auto worker = at.box.make_worker();
    auto const sent_without_receipts = [&] {
        auto const before = all.broker.count();
        all.broker.be_silent(true);
        for (int i = 0; i < 5; ++i) worker.step();
        return all.broker.count() - before;
    };
    SECTION("when none has come yet") {
        CHECK(sent_without_receipts() == 10);
    }
    SECTION("when they come at once") {
        worker.step();
        CHECK(all.broker.count() == 10);
        CHECK(sent_without_receipts() == 30);
    }
    SECTION("when they take a tenth of the publish timeout") {
        worker.step();
        bool slow = true;
        all.broker.answer_with([&](outbox::record const&) {
            if (std::exchange(slow, false)) all.clock.advance(25ms);
            return std::nullopt;
        });
        worker.step();
        CHECK(all.broker.count() == 20);
        CHECK(sent_without_receipts() == 10);
    }
}
