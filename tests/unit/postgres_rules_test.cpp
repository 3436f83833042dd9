// SPDX-License-Identifier: MIT
//
// What the PostgreSQL storage decides without a server: the meaning of SQLSTATEs, how far a
// partition has been read, how a read is divided, names in statements, the binary format.
#include "outbox/storage/postgres_binary.hpp"
#include "outbox/storage/postgres_failure.hpp"
#include "outbox/storage/postgres_progress.hpp"
#include "outbox/storage/postgres_shares.hpp"
#include "outbox/storage/postgres_statements.hpp"
#include "outbox/storage/postgres_stretch.hpp"
#include "outbox/testing/catch.hpp"

using outbox::errc;
using outbox::postgres::classify;
using outbox::postgres::progress;
using outbox::postgres::render;
using outbox::postgres::sight;

namespace {

/// Where a look begins.
outbox::sequence_number begin(progress const& at) {
    return at.next_look(1'000'000).behind;
}

}  // namespace

TEST_CASE("each SQLSTATE means what the table says") {
    struct row {
        char const* sqlstate;
        errc code;
    };
    auto const expected = {
        row{"40001", errc::contention},      row{"40P01", errc::contention},
        row{"55P03", errc::contention},      row{"57014", errc::contention},
        row{"", errc::outcome_unknown},      row{"40003", errc::outcome_unknown},
        row{"08007", errc::outcome_unknown}, row{"3F000", errc::schema_mismatch},
        row{"42P01", errc::schema_mismatch}, row{"42703", errc::schema_mismatch},
        row{"42883", errc::schema_mismatch}, row{"42804", errc::schema_mismatch},
        row{"42P10", errc::schema_mismatch}, row{"25P02", errc::aborted_transaction},
        row{"08006", errc::unavailable},     row{"08P01", errc::unavailable},
        row{"25006", errc::unavailable},     row{"25P03", errc::unavailable},
        row{"28P01", errc::unavailable},     row{"42501", errc::unavailable},
        row{"53100", errc::unavailable},     row{"53300", errc::unavailable},
        row{"57P01", errc::unavailable},     row{"57P02", errc::unavailable},
        row{"57P03", errc::unavailable},     row{"58030", errc::unavailable},
        row{"ZZ999", errc::unavailable}};
    for (auto const& one : expected) {
        CAPTURE(one.sqlstate);
        CHECK(classify(one.sqlstate) == one.code);
    }
}

TEST_CASE("a range is finished by a look whose horizon reached an own id drawn after it was read") {
    progress at{0};
    at.take_ready(5);
    at.look(std::nullopt, 5, sight{100});
    at.settle(5);
    CHECK(at.low() == 0);
    at.look(std::nullopt, 0, sight{119});  // no id of our own came after the range yet
    CHECK(at.low() == 0);
    at.bound(120);
    at.look(std::nullopt, 0, sight{119});  // somebody older than the bound is still there
    CHECK(at.low() == 0);
    at.look(std::nullopt, 0, sight{120});
    CHECK(at.low() == 5);
}

TEST_CASE("where nobody else was writing, a range is finished by the look that made it") {
    progress at{0};
    CHECK_FALSE(at.quiet());
    at.take_ready(5);
    at.look(std::nullopt, 5, sight{120});
    REQUIRE(at.quiet());
    CHECK(at.quiet()->from == 5);
    CHECK(at.quiet()->own == 120);
    CHECK(begin(at) == 0);
    at.bound(120);
    CHECK(begin(at) == 5);
    CHECK(at.low() == 4);  // it is in hand
    CHECK_FALSE(at.quiet());

    // Somebody else got the next id.
    at.look(std::nullopt, 9, sight{121});
    at.bound(122);
    CHECK(begin(at) == 5);
    CHECK_FALSE(at.quiet());
    at.look(std::nullopt, 9, sight{123});
    CHECK(begin(at) == 9);
}

TEST_CASE("what is handed back is looked at again, however quiet it was") {
    progress at{0};
    for (auto const one : {3, 6, 8}) at.take_ready(one);
    at.look(std::nullopt, 8, sight{120});
    at.hand_back(6);
    CHECK_FALSE(at.quiet());
    at.bound(120);
    CHECK(begin(at) < 6);
    at.take_ready(6);
    at.look(std::nullopt, 8, sight{121});
    CHECK(begin(at) == 8);
    // Of what is finished.
    at.hand_back(3);
    CHECK(begin(at) == 2);
    at.bound(121);
    CHECK(begin(at) == 2);
    at.look(std::nullopt, 8, sight{121});
    CHECK(begin(at) == 8);
}

TEST_CASE("low stays below a ready record in hand, whatever is finished") {
    progress at{0};
    for (auto const one : {3, 4, 9}) at.take_ready(one);
    at.look(std::nullopt, 9, sight{1});
    at.settle(3);
    at.settle(9);
    at.bound(2);
    at.look(std::nullopt, 0, sight{2});
    CHECK(at.low() == 3);
    at.settle(4);
    CHECK(at.low() == 9);
}

TEST_CASE("a look that was cut finishes only what it covered") {
    progress at{0};
    at.take_ready(5);
    at.look(5, 5, sight{1});
    at.settle(5);
    at.bound(2);
    at.take_ready(9);
    at.look(std::nullopt, 9, sight{1});
    at.settle(9);
    at.bound(3);
    at.take_ready(7);  // a late one, where the look ended
    at.look(7, 7, sight{3});
    at.settle(7);
    CHECK(at.low() == 7);
    at.look(std::nullopt, 0, sight{3});
    CHECK(at.low() == 9);
}

TEST_CASE("a record that is handed back is above low again until a look has passed it") {
    progress at{0};
    for (auto const one : {3, 6, 8}) at.take_ready(one);
    at.look(std::nullopt, 8, sight{1});
    at.settle(8);
    at.bound(2);
    at.look(std::nullopt, 0, sight{2});
    CHECK(at.low() == 2);
    at.hand_back(6);
    at.hand_back(3);
    CHECK(at.low() == 2);
    at.take_ready(3);
    at.look(3, 3, sight{2});  // cut: 6 has not been looked at
    at.settle(3);
    CHECK(at.low() == 3);
    at.take_ready(6);
    at.look(std::nullopt, 6, sight{2});
    CHECK(at.low() == 5);
    at.settle(6);
    CHECK(at.low() == 8);
}

TEST_CASE("ranges stay few under a transaction that never ends, and finish once it does") {
    progress at{0};
    for (std::uint64_t i = 1; i <= 1'000; ++i) {
        auto const sequence = static_cast<std::int64_t>(i);
        at.take_ready(sequence);
        at.look(std::nullopt, sequence, sight{1});
        at.settle(sequence);
        at.bound(10 + i);
    }
    CHECK(at.low() == 0);
    at.look(std::nullopt, 0, sight{1'009});
    CHECK(at.low() < 1'000);
    at.look(std::nullopt, 0, sight{1'010});
    CHECK(at.low() == 1'000);
}

TEST_CASE("a look begins behind what only the transactions that are open still may add to") {
    using start = std::pair<std::int64_t, std::vector<std::uint64_t>>;
    progress at{0};
    auto const next = [&] {
        auto const found = at.next_look(1'000'000);
        return start{found.behind, {found.open.begin(), found.open.end()}};
    };
    start const anew{0, {}};
    at.take_ready(5);
    at.look(std::nullopt, 5, sight{90, 101, {90, 100}});
    CHECK(next() == anew);  // others may have got their ids and not been listed
    at.settle(5);
    at.bound(110);
    at.look(std::nullopt, 0, sight{90, 109, {90, 105}});
    CHECK(next() == anew);  // nor does this list reach as far as the bound
    at.take_ready(8);
    at.look(std::nullopt, 8, sight{90, 112, {90, 105, 111}});
    CHECK(next() == start{5, {90, 105}});
    CHECK(at.low() == 0);
    at.bound(120);
    at.look(std::nullopt, 0, sight{90, 121, {90}});
    CHECK(next() == start{8, {90}});
    SECTION("what others are still writing to is left out") {
        at.take_ready(9);
        at.look(std::nullopt, 9, sight{90, 130, {90, 125}, 125});
        at.bound(128);
        at.look(std::nullopt, 0, sight{90, 132, {90, 125, 131}, 125});
        CHECK(next() == start{8, {90}});
        SECTION("until it shows that they stay, too") {
            at.look(std::nullopt, 0, sight{90, 133, {90, 125}});
            CHECK(next() == start{9, {90, 125}});
            SECTION("and when the later one ends, only what it may have added to is looked at") {
                at.pass_over(sight{90, 134, {90}});
                CHECK(next() == start{8, {90}});
            }
            SECTION("and when the first one ends, all is") {
                at.pass_over(sight{125, 134, {125}});
                CHECK(next() == anew);
            }
        }
    }
    SECTION("a look begins before what is handed back") {
        at.take_ready(7);
        at.hand_back(7);
        CHECK(next() == start{6, {90}});
    }
    SECTION("a look that ends before has not swept the rest") {
        at.look(6, 6, sight{90, 122, {90}});
        CHECK(next() == start{6, {90}});
    }
    SECTION("all have ended") {
        at.settle(8);
        at.look(std::nullopt, 0, sight{123, 123, {}});
        CHECK(next() == start{8, {}});
        CHECK(at.low() == 8);
    }
}

TEST_CASE("what is gone through anew is so a stretch at a time, and goes on where it ended") {
    progress at{100, 1'000, 50};
    auto next = at.next_look(300);
    CHECK(next.behind == 100);
    CHECK(next.reach == 400);
    SECTION("it is final where all have ended that may add to it") {
        at.look(next.reach, 0, sight{50, 51, {}});
        CHECK(at.low() == 400);
        next = at.next_look(600);
        CHECK(next.behind == 400);
        CHECK_FALSE(next.reach);
        at.take_ready(900);
        at.look(900, 900, sight{50, 51, {}});
        CHECK(at.low() == 899);
        at.look(std::nullopt, 0, sight{50, 51, {}});
        CHECK(begin(at) == 1'000);
    }
    SECTION("it is passed while those who may add to it are open, and does not take place later") {
        at.look(next.reach, 0, sight{20, 60, {20, 55}, 20});
        CHECK(at.low() == 100);
        next = at.next_look(200);
        CHECK(next.behind == 400);
        CHECK(next.reach == 600);
        CHECK(next.else_passes);
        CHECK(std::ranges::equal(next.open, std::vector<std::uint64_t>{20}));
        at.pass_over(sight{61, 61, {}});
        next = at.next_look(200);
        CHECK(next.behind == 100);
        CHECK_FALSE(next.else_passes);
        CHECK(next.reach == 300);
    }
}

TEST_CASE("what was drawn before it is read is final by the look that reads it") {
    progress at{0};
    at.look(10, 10, sight{50, 50, {}, 50, 500});
    at.bound(60);
    CHECK(begin(at) == 0);
    // A transaction that began later is open all the time.
    at.look(20, 20, sight{70, 75, {70}, 70, 700});
    CHECK(begin(at) == 20);
    at.look(30, 30, sight{70, 76, {70}, 70, 700});
    CHECK(begin(at) == 30);
    CHECK(at.low() == 30);
}

TEST_CASE("a retrying record in hand does not hold low") {
    progress at{0};
    at.take_retrying(4, "k");
    at.take_ready(7);
    at.look(std::nullopt, 7, sight{1});
    at.settle(7);
    at.bound(2);
    at.look(std::nullopt, 0, sight{2});
    CHECK(at.low() == 7);
    CHECK(at.in_hand(4));
    CHECK(at.retrying_key(4) == "k");
}

TEST_CASE("a read is divided among partitions with a backlog, and who lags gets more") {
    using fronts = std::vector<std::optional<outbox::sequence_number>>;
    using shares = std::vector<std::int64_t>;
    auto const divide = [](fronts const& all) { return outbox::postgres::divide_read(90, all); };
    CHECK(divide({std::nullopt, std::nullopt}) == shares{90, 90});
    CHECK(divide({7, 7, 7}) == shares{30, 30, 30});
    CHECK(divide({7, std::nullopt, 7}) == shares{45, 90, 45});
    CHECK(divide({6400 - 64, 6400, 6400 + 640}) == shares{31, 30, 20});
    CHECK(divide({0, 1'000'000, 2'000'000}) == shares{60, 30, 15});
}

TEST_CASE("partitions with a backlog advance side by side, however their records are spread") {
    std::vector<std::optional<outbox::sequence_number>> fronts(64, 0);
    fronts[5] = 64'000;  // by a first read, of this partition alone
    for (int round = 0; round < 1'000; ++round) {
        auto const shares = outbox::postgres::divide_read(1'000, fronts);
        // Of a thousand numbers one partition has 11 records, another one 21.
        for (int i = 0; i < 64; ++i) {
            auto const each = static_cast<std::size_t>(i);
            *fronts[each] += shares[each] * 1'000 / (11 + i % 11);
        }
    }
    auto const [lowest, highest] = std::ranges::minmax(fronts);
    CHECK(*lowest > 500'000);
    CHECK(*highest - *lowest < 2 * 1'000);
}

TEST_CASE("a stretch grows while it is quick, shrinks while it is slow, and starts anew") {
    using namespace std::chrono_literals;
    outbox::postgres::stretch at;
    auto const first = at.numbers();
    at.walked(10ms);
    CHECK(at.numbers() == 2 * first);
    at.walked(100ms);
    CHECK(at.numbers() == 2 * first);
    at.ended();
    CHECK(at.numbers() == first);
    for (int i = 0; i < 20; ++i) at.walked(1s);
    CHECK(at.numbers() < first);
    CHECK(at.numbers() > 0);
    at.ended();
    CHECK(at.numbers() < first);
}

TEST_CASE("names are rendered as whole words") {
    CHECK(render("outbox, outbox_ready; 'outbox'::regclass outbox.x", "s.t") ==
          "s.t, s.t_ready; 's.t'::regclass s.t.x");
    CHECK(render("my_outbox outboxes xoutbox_a", "t") == "my_outbox outboxes xoutbox_a");
}

TEST_CASE("an array holds its elements and nulls in binary") {
    outbox::postgres::parameters values;
    std::vector<std::optional<std::int16_t>> const numbers{std::int16_t{-2}, std::nullopt};
    values.add_array(numbers, [](auto const& one) { return one; });
    std::string const expected{
        "\0\0\0\1\0\0\0\1\0\0\0\x15\0\0\0\2\0\0\0\1\0\0\0\2\xff\xfe\xff\xff\xff\xff", 30};
    CHECK(std::string(values.values()[0], static_cast<std::size_t>(values.lengths()[0])) ==
          expected);
    CHECK(values.types()[0] == 1005);
}
