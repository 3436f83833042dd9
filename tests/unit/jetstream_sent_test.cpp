// SPDX-License-Identifier: MIT
//
// Whose answer it is that arrives under a number: never that of another message.
#include "outbox/broker/jetstream_sent.hpp"

#include "outbox/testing/catch.hpp"
#include "outbox/testing/publishing.hpp"

namespace {

using outbox::testing::numbered_id;

constexpr std::size_t plenty = 100;

struct sent {
    outbox::nats_rules::sent_messages all{};
    outbox::attempt_token last{0};

    std::uint64_t add(std::uint32_t id, std::size_t most = plenty) {
        outbox::record one;
        one.id = numbered_id(id);
        one.topic = id % 2 == 0 ? "even" : "odd";
        return all.add(++last, one, most);
    }
    bool acknowledge(std::uint64_t number, std::uint64_t sequence) {
        return all.acknowledge(number, "S", sequence);
    }
    /// The token of what waits for an answer under this number, or none.
    outbox::attempt_token token(std::uint64_t number) const {
        auto const* const found = all.find(number);
        return found == nullptr ? 0 : found->token;
    }
};

}  // namespace

TEST_CASE("what is on its way has numbers of its own") {
    sent some;
    auto const one = some.add(1);
    auto const two = some.add(2);
    CHECK(one != two);
    CHECK(some.token(one) == 1);
    CHECK(some.token(two) == 2);
    CHECK(some.token(two + 1) == 0);
}

TEST_CASE("a number comes again after an acknowledgement, and that one over again says nothing") {
    sent some;
    auto const number = some.add(1);
    CHECK(some.acknowledge(number, 7));
    CHECK(some.token(number) == 0);
    REQUIRE(some.add(2) == number);
    CHECK_FALSE(some.acknowledge(number, 7));
    CHECK(some.token(number) == 2);
    CHECK(some.acknowledge(number, 8));
    REQUIRE(some.add(3) == number);
    CHECK(some.all.acknowledge(number, "another stream", 8));
}

TEST_CASE("a message that is sent again gets another number") {
    sent some;
    auto const first = some.add(1);
    CHECK(some.acknowledge(first, 7));
    auto const second = some.add(1);
    CHECK(second != first);
    CHECK(some.token(first) == 0);
    CHECK(some.acknowledge(second, 7));
}

TEST_CASE("a number that was retired does not come again") {
    sent some;
    auto const number = some.add(1);
    some.all.retire(number);
    CHECK(some.token(number) == 0);
    auto const next = some.add(2);
    CHECK(next != number);
    CHECK(some.token(number) == 0);
    CHECK(some.token(next) == 2);
}

TEST_CASE("those of one topic are retired in the order of sending") {
    sent some;
    CHECK(some.acknowledge(some.add(2), 1));
    auto const odd = some.add(1);
    auto const even = some.add(4);
    some.add(6);
    std::vector<outbox::attempt_token> seen;
    some.all.retire_all([](std::string_view topic) { return topic == "even"; },
                        [&](outbox::attempt_token token) { seen.push_back(token); });
    CHECK(seen == std::vector<outbox::attempt_token>{3, 4});
    CHECK(some.token(odd) == 2);
    CHECK(some.token(even) == 0);
}

TEST_CASE("of very many without an answer the older half gets none any more") {
    sent some;
    auto const first = some.add(1, 4);
    auto const second = some.add(2, 4);
    auto const third = some.add(3, 4);
    some.add(4, 4);
    auto const fifth = some.add(5, 4);
    CHECK(some.token(first) == 0);
    CHECK(some.token(second) == 0);
    CHECK(some.token(third) == 3);
    CHECK(some.token(fifth) == 5);
}
