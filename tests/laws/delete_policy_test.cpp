// SPDX-License-Identifier: MIT
//
// The laws of a delete policy, run by both policies through a whole outbox.
#include "outbox/broker/memory.hpp"
#include "outbox/outbox.hpp"
#include "outbox/storage/memory.hpp"
#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;

/// Publishes one message and buries another; then lets `age` pass and a worker purge.
template <outbox::delete_policy Policy>
std::pair<std::size_t, std::size_t> kept_after(Policy const& policy, outbox::duration age) {
    outbox::manual_clock clock;
    outbox::memory_storage storage{clock};
    outbox::memory_broker broker;
    outbox::basic_outbox<outbox::memory_storage, outbox::memory_broker, outbox::manual_clock,
                         Policy>
        box{storage, broker, {}, clock, policy};
    broker.fail_next(1, outbox::outcome::refused);
    outbox::memory_storage::connection connection;
    for (auto const* payload : {"dead", "published"}) {
        auto work = box.begin(connection);
        box.create_message(work, "t", payload);
        work.commit();
    }
    auto worker = box.make_worker();
    CHECK(worker.drain(1s));
    auto const start = clock.wall();
    clock.advance(age);
    worker.drain(1s);
    auto const dead = box.dead_letters().size();
    return {box.replay(start - 1h, start + 1h), dead};
}

using counts = std::pair<std::size_t, std::size_t>;

}  // namespace

TEST_CASE(
    "delete policy: hard delete keeps nothing of what was published, and dead letters for ever") {
    CHECK(kept_after(outbox::hard_delete{}, 0s) == counts{0, 1});
    CHECK(kept_after(outbox::hard_delete{}, 24h * 365) == counts{0, 1});
    CHECK(kept_after(outbox::hard_delete{.keep_dead = 24h}, 23h) == counts{0, 1});
    CHECK(kept_after(outbox::hard_delete{.keep_dead = 24h}, 25h) == counts{0, 0});
}

TEST_CASE("delete policy: soft delete keeps what was published for its time") {
    CHECK(kept_after(outbox::soft_delete{}, 71h) == counts{1, 1});
    CHECK(kept_after(outbox::soft_delete{}, 73h) == counts{0, 1});
    CHECK(kept_after(outbox::soft_delete{.keep_published = std::nullopt}, 24h * 365) ==
          counts{1, 1});
    CHECK(kept_after(outbox::soft_delete{.keep_dead = 24h}, 25h) == counts{1, 0});
}
