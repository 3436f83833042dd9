// SPDX-License-Identifier: MIT
//
// The demo's judge is shown histories that are wrong on purpose, and its broker is held to its
// word.
#include <filesystem>
#include <fstream>
#include <vector>

#include "demo_verdict.hpp"
#include "file_broker.hpp"
#include "outbox/testing/catch.hpp"
#include "outbox/testing/publishing.hpp"
#include "support/process.hpp"

namespace {

std::vector<demo::committed_message> const committed{
    {"a1", "a", "1"}, {"b1", "b", "2"}, {"a2", "a", "3"}, {"a3", "a", "4"}};

}  // namespace

TEST_CASE("the judge finds nothing wrong with a history that is right, copies included") {
    std::vector<demo::arrived_message> const arrived{{"b1", "2"}, {"a1", "1"}, {"a2", "3"},
                                                     {"a1", "1"}, {"a2", "3"}, {"a3", "4"}};
    auto const found = demo::judge(committed, arrived);
    CHECK(found.good());
    CHECK(found.committed == 4);
    CHECK(found.delivered == 4);
    CHECK(found.duplicates == 2);
}

TEST_CASE("the judge misses what was lost") {
    std::vector<demo::arrived_message> const arrived{{"a1", "1"}, {"a2", "3"}, {"a3", "4"}};
    auto const found = demo::judge(committed, arrived);
    CHECK_FALSE(found.good());
    CHECK(found.lost == 1);
    CHECK(found.out_of_order == 0);
}

TEST_CASE("the judge notices a message that nobody committed, and one that was altered") {
    std::vector<demo::arrived_message> const arrived{
        {"a1", "1"}, {"b1", "other"}, {"c1", "9"}, {"a2", "3"}, {"a3", "4"}};
    auto const found = demo::judge(committed, arrived);
    CHECK_FALSE(found.good());
    CHECK(found.invented == 2);
    CHECK(found.lost == 1);
}

TEST_CASE("the judge notices a message that overtook an earlier one of its key") {
    std::vector<demo::arrived_message> const arrived{
        {"b1", "2"}, {"a1", "1"}, {"a3", "4"}, {"a2", "3"}};
    auto const found = demo::judge(committed, arrived);
    CHECK_FALSE(found.good());
    CHECK(found.lost == 0);
    CHECK(found.out_of_order == 1);
}

TEST_CASE("a line of the file broker is whole, or it is not counted") {
    support::temporary_folder folder;
    auto const path = folder.path() / "deliveries.log";
    outbox::testing::publishing on{demo::file_broker{path}};
    CHECK(on.publish("order.created", "first").what == outbox::outcome::accepted);
    std::ofstream{path, std::ios::app} << "\norder.created\t\tcut off by a ki";
    CHECK(on.publish("order.created", "second\n\\n\tline").what == outbox::outcome::accepted);
    auto const found = demo::read_deliveries(path);
    REQUIRE(found.size() == 2);
    CHECK(found[0].payload == "first");
    CHECK(found[1].payload == "second\n\\n\tline");
}

TEST_CASE("a file broker whose file was deleted accepts nothing more") {
    support::temporary_folder folder;
    auto const path = folder.path() / "deliveries.log";
    outbox::testing::publishing on{demo::file_broker{path}};
    std::filesystem::remove(path);
    static_cast<void>(on.send(on.add("order.created", "{}")));
    CHECK_FALSE(on.channel().usable());
    CHECK(on.receipts.empty());
}

TEST_CASE("a file broker on a full disk accepts nothing") {
    outbox::testing::publishing on{demo::file_broker{"/dev/full"}};
    static_cast<void>(on.send(on.add("order.created", "{}")));
    CHECK_FALSE(on.channel().usable());
    CHECK(on.receipts.empty());
}
