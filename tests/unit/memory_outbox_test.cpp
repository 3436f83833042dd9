// SPDX-License-Identifier: MIT
//
// The memory storage and the hand, as a worker uses them: acquire, read, publish in order, settle.
#include "outbox/hand.hpp"
#include "outbox/storage/memory.hpp"
#include "outbox/testing/catch.hpp"

namespace {

outbox::message_id numbered(std::uint8_t number) {
    outbox::message_id id{};
    id.bytes[15] = number;
    return id;
}

void put(outbox::memory_storage& storage, std::uint8_t number, std::string_view key) {
    auto transaction = storage.begin_transaction();
    outbox::draft const one{.id = numbered(number), .topic = "t", .key = key, .payload = "p"};
    storage.append(transaction, {&one, 1});
    transaction.commit();
}

struct reading {
    outbox::manual_clock clock{};
    outbox::memory_storage storage{clock};
    outbox::hand hand{};

    outbox::round_reply read(outbox::memory_storage::session& session,
                             outbox::partition_number partition) {
        return session.exchange({.settlements = hand.settlements(),
                                 .read = {&partition, 1},
                                 .records = 100,
                                 .bytes = 1'000'000});
    }
};

constexpr outbox::acquire_request everything{
    .lease = std::chrono::seconds{1}, .most = 64, .reach = 9};

}  // namespace

TEST_CASE("a rolled back message is never read") {
    outbox::memory_storage storage;
    auto transaction = storage.begin_transaction();
    outbox::draft const one{.id = numbered(1), .topic = "t", .payload = "p"};
    storage.append(transaction, {&one, 1});
    transaction.rollback();
    CHECK(storage.connect(numbered(99), {}).acquire(everything).tenures.empty());
}

TEST_CASE("one key has one record in flight, and the next goes when it was accepted") {
    reading at;
    put(at.storage, 1, "");
    put(at.storage, 2, "");
    auto session = at.storage.connect(numbered(99), {});
    REQUIRE(session.acquire(everything).tenures.size() == 1);
    at.hand.take(std::move(at.read(session, 0).read));
    auto const first = at.hand.next();
    REQUIRE(first);
    CHECK(at.hand[*first].id == numbered(1));
    static_cast<void>(at.hand.mark_sent(*first, {}));
    CHECK_FALSE(at.hand.next());
    at.hand.publish(*first, outbox::fate::remove);
    auto const second = at.hand.next();
    REQUIRE(second);
    CHECK(at.hand[*second].id == numbered(2));
}

TEST_CASE("what comes after a failed record waits behind it, and is read after it") {
    reading at;
    for (std::uint8_t number = 1; number <= 3; ++number) put(at.storage, number, "");
    auto session = at.storage.connect(numbered(99), {});
    REQUIRE(session.acquire(everything).tenures.size() == 1);
    at.hand.take(std::move(at.read(session, 0).read));
    at.hand.retry(at.hand.next().value(), 1, std::chrono::milliseconds{5}, "no", at.clock.now());
    CHECK_FALSE(at.hand.next());
    CHECK(at.hand.settlements().size() == 3);
    CHECK(at.read(session, 0).read.records.empty());
    at.hand.committed();
    CHECK(at.storage.statistics().retrying == 3);

    at.clock.advance(std::chrono::milliseconds{5});
    std::vector<outbox::due_key> due;
    at.hand.for_each_due(at.clock.now(), 10, [&](auto partition, std::string_view key, bool) {
        due.push_back({partition, key});
    });
    REQUIRE(due.size() == 1);
    auto reply = session.exchange({.due_keys = due, .records = 100, .bytes = 1'000'000});
    REQUIRE(reply.read.records.size() == 3);
    CHECK(reply.read.records.front().id == numbered(1));
}

TEST_CASE("a worker that was overtaken settles nothing") {
    reading at;
    put(at.storage, 1, "");
    auto stale = at.storage.connect(numbered(98), {});
    REQUIRE(stale.acquire(everything).tenures.size() == 1);
    at.hand.take(std::move(at.read(stale, 0).read));
    at.hand.publish(at.hand.next().value(), outbox::fate::remove);
    at.clock.advance(std::chrono::seconds{2});
    auto next = at.storage.connect(numbered(99), {});
    auto const taken = next.acquire(everything);
    REQUIRE(taken.tenures.size() == 1);
    CHECK(taken.tenures.front().care.strikes == 1);
    CHECK(at.read(stale, 0).lost.size() == 1);
    CHECK(at.storage.statistics().backlog == 1);
}
