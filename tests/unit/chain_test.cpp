// SPDX-License-Identifier: MIT
//
// Many messages of one key in flight, to a broker that takes each only right behind the one before:
// what is linked, what is not, and what becomes of a chain that breaks.
#include <set>

#include "outbox/outbox.hpp"
#include "outbox/storage/memory.hpp"
#include "outbox/testing/catch.hpp"
#include "outbox/testing/scripted_storage.hpp"

namespace {

using namespace std::chrono_literals;
using outbox::outcome;

/// A stream that drops copies and compares the last one, as JetStream does. What is sent waits on
/// the wire until it is let through.
struct stream {
    struct copy {
        outbox::attempt_token token{0};
        std::string payload{};
        std::string behind{};
    };

    std::vector<copy> wire{};
    std::vector<std::string> stored{};
    std::vector<outbox::receipt> receipts{};
    std::set<std::string> refused{};  ///< payloads that it rejects, once each
    std::string sent{};  ///< all there was: "1 2<1 3<2", each link with its predecessor
    int channels{0};

    /// So many of what is on the wire arrive; with receipts, unless these are lost.
    void let_through(std::size_t count = 1'000, bool with_receipts = true) {
        for (; count > 0 && !wire.empty(); --count) {
            auto const one = wire.front();
            wire.erase(wire.begin());
            auto what = outcome::accepted;
            if (refused.erase(one.payload) > 0) {
                what = outcome::rejected;
            } else if (std::ranges::find(stored, one.payload) == stored.end()) {
                if (one.behind.empty() || (!stored.empty() && stored.back() == one.behind)) {
                    stored.push_back(one.payload);
                } else {
                    what = outcome::out_of_order;
                }
            }
            if (with_receipts) receipts.push_back({one.token, what, "as it is"});
        }
    }
    [[nodiscard]] std::string all() const {
        std::string text;
        for (auto const& one : stored) text += one;
        return text;
    }
    std::string sent_since() {
        return std::exchange(sent, {});
    }
};

class chaining_broker {
public:
    explicit chaining_broker(stream& of) : of_{&of} {}

    class channel {
    public:
        explicit channel(stream& of) : of_{&of}, life_{++of.channels} {}

        void send(std::span<outbox::dispatch const> messages) {
            for (auto const& one : messages) {
                std::string const payload{one.message->payload};
                std::string const behind{one.behind == nullptr ? "" : one.behind->payload};
                of_->wire.push_back({one.token, payload, behind});
                of_->sent += (of_->sent.empty() ? "" : " ") + payload;
                if (!behind.empty()) of_->sent += "<" + behind;
            }
        }
        void collect(std::vector<outbox::receipt>& arrived) {
            for (auto& one : std::exchange(of_->receipts, {})) arrived.push_back(std::move(one));
        }
        [[nodiscard]] bool usable() const {
            return life_ == of_->channels;
        }
        [[nodiscard]] bool can_chain(std::string_view topic, std::string_view next) const {
            return topic == next;
        }

    private:
        stream* of_;
        int life_;
    };

    [[nodiscard]] static std::optional<outbox::problem> check_topic(std::string_view /*topic*/) {
        return std::nullopt;
    }
    [[nodiscard]] static std::optional<outbox::problem> check_header(std::string_view /*name*/,
                                                                     std::string_view /*value*/) {
        return std::nullopt;
    }
    [[nodiscard]] channel connect(outbox::channel_setup const& /*setup*/) {
        return channel{*of_};
    }

private:
    stream* of_;
};

static_assert(outbox::chaining_channel<chaining_broker::channel>);

outbox::options quick() {
    return {.poll_interval = 100ms,
            .batch_size = 20,
            .lease_duration = 1s,
            .backoff_min = 10ms,
            .backoff_max = 100ms,
            .probe_max = 100ms};
}

struct playing {
    using storage_type = outbox::testing::scripted_storage<outbox::memory_storage>;
    using box_type = outbox::basic_outbox<storage_type, chaining_broker, outbox::manual_clock,
                                          outbox::hard_delete>;

    outbox::manual_clock clock{};
    outbox::memory_storage inner{clock};
    storage_type storage{inner};
    stream to{};
    box_type box{storage, chaining_broker{to}, quick(), clock, {}, {}, 1};
    outbox::memory_storage::connection connection{};

    void place(std::initializer_list<char const*> payloads, std::string_view key = "k",
               std::string_view topic = "t") {
        auto work = box.begin(connection);
        for (auto const* payload : payloads) box.create_message(work, topic, payload, {.key = key});
        work.commit();
    }
    template <class Worker>
    void run(Worker& worker, int rounds = 60) {
        for (int i = 0; i < rounds; ++i) {
            worker.drain(0s);
            to.let_through();
            clock.advance(20ms);
        }
        worker.drain(0s);
    }
};

}  // namespace

TEST_CASE("messages of one key fly together, each right behind the one before") {
    playing at;
    at.place({"1", "2", "3"});
    auto worker = at.box.make_worker();
    worker.step();
    CHECK(at.to.sent_since() == "1 2<1 3<2");
    // The chain goes on while its last one is in flight, and not when it has landed.
    at.place({"4"});
    worker.step();
    CHECK(at.to.sent_since() == "4<3");
    at.to.let_through();
    worker.step();
    at.place({"5"});
    worker.step();
    CHECK(at.to.sent_since() == "5");
    at.run(worker, 3);
    CHECK(at.to.all() == "12345");
    CHECK(at.box.stats().storage.backlog == 0);
}

TEST_CASE("a key is linked to its own messages alone, and only where the broker can") {
    playing at;
    at.place({"1", "2"}, "k");
    at.place({"a", "b"}, "n");
    at.place({"3"}, "k", "elsewhere");
    auto worker = at.box.make_worker();
    worker.step();
    auto const sent = at.to.sent_since();
    CHECK((sent == "1 2<1 a b<a" || sent == "a b<a 1 2<1"));
    at.run(worker, 3);
    CHECK(at.to.stored.size() == 5);
    CHECK(at.to.all().find("12") < at.to.all().find('3'));
}

TEST_CASE("what is behind a failed one of a chain goes out again after it, one at a time") {
    playing at;
    at.to.refused = {"2"};
    at.place({"1", "2", "3", "4"});
    auto worker = at.box.make_worker();
    worker.step();
    CHECK(at.to.sent_since() == "1 2<1 3<2 4<3");
    at.to.let_through(3);
    worker.step();
    // The answer of the last is still out: nothing is decided behind the first.
    CHECK(at.box.stats().storage.retrying == 0);
    CHECK(at.to.sent_since().empty());
    at.run(worker);
    CHECK(at.to.sent_since() == "2 3 4");
    CHECK(at.to.all() == "1234");
    CHECK(at.box.stats().storage.dead == 0);
}

TEST_CASE("a chain whose receipts are lost is repeated one at a time, and in order") {
    playing at;
    at.place({"1", "2", "3"});
    auto worker = at.box.make_worker();
    worker.step();
    at.to.let_through(2, false);
    at.to.wire.clear();
    ++at.to.channels;
    at.to.sent_since();
    at.run(worker);
    CHECK(at.to.sent_since() == "1 2 3");
    CHECK(at.to.all() == "123");
    at.place({"4", "5"});
    at.run(worker, 3);
    CHECK(at.to.sent_since() == "4 5<4");
}

TEST_CASE("what a lost session leaves on the wire is linked to nothing when it is read again") {
    playing at;
    at.place({"1", "2", "3"});
    auto worker = at.box.make_worker();
    worker.step();
    CHECK(at.to.sent_since() == "1 2<1 3<2");
    at.storage.fail_next("exchange", outbox::errc::unavailable);
    at.place({"4"});
    worker.step();
    ++at.to.channels;  // so that nobody waits for what is on the wire
    at.to.sent_since();
    at.run(worker);
    auto const sent = at.to.sent_since();
    CHECK(sent.find("2<") == std::string::npos);
    CHECK(sent.find("3<") == std::string::npos);
    CHECK(at.to.all() == "1234");
}

TEST_CASE("after a take-over nothing is linked until what may be on its way is through") {
    playing at;
    at.place({"1", "2", "3"});
    auto const sent = [&] { return at.to.sent_since(); };
    {
        auto dead = at.box.make_worker();
        dead.step();
        CHECK(sent() == "1 2<1 3<2");
        at.storage.before([](std::string_view) {
            throw outbox::error{outbox::errc::unavailable, "it is as if it had died"};
        });
    }
    at.storage.before({});
    at.clock.advance(3s);
    at.place({"4", "5"});
    playing::box_type other{at.storage, chaining_broker{at.to}, quick(), at.clock, {}, {}, 2};
    auto worker = other.make_worker();
    at.run(worker);
    CHECK(sent().find('<') == std::string::npos);
    CHECK(at.to.all() == "12345");
}

TEST_CASE("a chain that somebody else broke leaves no doubt about the broker") {
    playing at;
    auto worker = at.box.make_worker();
    at.place({"1", "2", "3", "4", "5"});
    worker.step();
    at.to.let_through(1);
    worker.step();
    at.to.stored.emplace_back("x");
    // Their refusals come one by one, and nothing is accepted in between.
    for (int i = 0; i < 4; ++i) {
        at.to.let_through(1);
        worker.step();
        CHECK_FALSE(at.box.stats().broker_down);
    }
    // They did not land, for certain, so that they fly together again.
    at.to.sent_since();
    at.clock.advance(1s);
    at.run(worker);
    CHECK(at.to.sent_since().find("5<4") != std::string::npos);
    CHECK(at.to.all() == "1x2345");
}

TEST_CASE("where others write to the same stream, chains rest, and nothing is lost or reordered") {
    playing at;
    auto worker = at.box.make_worker();
    std::size_t links = 0;
    for (int i = 0; i < 20; ++i) {
        at.place({"a", "b"}, "k");
        worker.step();
        at.to.let_through(1);
        at.to.stored.emplace_back("x");
        at.run(worker, 2);
        links += at.to.sent_since().find('<') == std::string::npos ? 0U : 1U;
        // The stream shall not take the next ones for copies of these.
        std::string const all = at.to.all();
        CHECK(all.find('a') < all.find('b'));
        at.to.stored.clear();
    }
    CHECK(links >= 1);
    CHECK(links < 15);
    at.run(worker);
    CHECK(at.box.stats().storage.backlog == 0);
}
