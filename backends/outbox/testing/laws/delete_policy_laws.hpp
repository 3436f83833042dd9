// SPDX-License-Identifier: MIT
//
// The laws of a delete policy: call `check_delete_policy` from a test case, with a policy of yours.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <utility>

#include "outbox/broker/memory.hpp"
#include "outbox/outbox.hpp"
#include "outbox/storage/memory.hpp"
#include "outbox/testing/catch.hpp"

namespace outbox::testing::laws {

/// Publishes one message and buries another; then lets `age` pass and a worker purge. Returns how
/// many published and how many dead ones are left.
template <outbox::delete_policy Policy>
std::pair<std::size_t, std::size_t> kept_after(Policy const& policy, outbox::duration age) {
    using namespace std::chrono_literals;
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

/// What it keeps is kept for its time and then purged, each kind by its own.
template <outbox::delete_policy Policy>
void check_delete_policy(Policy const& policy) {
    using namespace std::chrono_literals;
    bool const stamps = Policy::on_published == fate::stamp;
    auto const kept = [](std::optional<duration> time, duration age) {
        return std::size_t{!time || age < *time ? 1U : 0U};
    };
    auto const around = [&](duration age) {
        CHECK(kept_after(policy, age) ==
              std::pair{stamps ? kept(policy.published_retention(), age) : 0U,
                        kept(policy.dead_retention(), age)});
    };
    around(0s);
    around(24h * 365);
    for (auto const time : {policy.published_retention(), policy.dead_retention()}) {
        if (!time) continue;
        around(*time - 1h);
        around(*time + 1h);
    }
}

}  // namespace outbox::testing::laws
