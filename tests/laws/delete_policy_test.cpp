// SPDX-License-Identifier: MIT
//
// The laws of a delete policy, run by both policies through a whole outbox.
#include "outbox/testing/laws/delete_policy_laws.hpp"

namespace {

using namespace std::chrono_literals;
using outbox::testing::laws::check_delete_policy;
using outbox::testing::laws::kept_after;

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

TEST_CASE("delete policy: what is kept is purged at its time, each kind by its own") {
    check_delete_policy(outbox::hard_delete{});
    check_delete_policy(outbox::hard_delete{.keep_dead = 48h});
    check_delete_policy(outbox::soft_delete{});
    check_delete_policy(outbox::soft_delete{.keep_published = 5h, .keep_dead = 72h});
    check_delete_policy(outbox::soft_delete{.keep_published = std::nullopt, .keep_dead = 5h});
}
