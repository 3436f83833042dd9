// SPDX-License-Identifier: MIT
//
// The SQLite storage through SOCI, and a whole outbox on it: rows and messages in one transaction,
// delivered in order.
#include <soci/soci.h>
#include <soci/sqlite3/soci-sqlite3.h>

#include "outbox/broker/memory.hpp"
#include "outbox/outbox.hpp"
#include "outbox/storage/sqlite.hpp"
#include "outbox/testing/catch.hpp"
#include "support/process.hpp"

namespace {

using namespace std::chrono_literals;

struct shop {
    support::temporary_folder folder{};
    std::string path{(folder.path() / "shop.db").string()};
    soci::session sql{soci::sqlite3, "db=" + path + " timeout=5"};
    outbox::memory_broker broker{};

    shop() {
        outbox::sqlite_storage::migrate(sql, "orders_outbox");
        sql << "create table orders (id integer primary key)";
    }
    [[nodiscard]] auto box() {
        return outbox::basic_outbox<outbox::sqlite_storage, outbox::memory_broker>{
            outbox::sqlite_storage{path, "orders_outbox"}, broker};
    }
    [[nodiscard]] std::string payloads() const {
        std::string all;
        for (auto const& one : broker.delivered()) all += one.payload;
        return all;
    }
};

}  // namespace

TEST_CASE("a message joins the transaction of a SOCI session") {
    shop at;
    auto box = at.box();
    {
        soci::transaction dropped{at.sql};
        at.sql << "insert into orders values (1)";
        box.create_message(at.sql, "order.created", "1");
    }
    {
        soci::transaction kept{at.sql};
        at.sql << "insert into orders values (2)";
        box.create_message(at.sql, "order.created", "2");
        kept.commit();
    }
    {
        auto work = box.begin(at.sql);
        at.sql << "insert into orders values (3)";
        box.create_message(work, "order.created", "3", {.key = "k"});
        work.commit();
    }
    auto worker = box.make_worker();
    CHECK(worker.drain(10s));
    CHECK(at.payloads() == "23");
    CHECK(box.stats().storage.backlog == 0);
    int orders = 0;
    at.sql << "select count(*) from orders", soci::into(orders);
    CHECK(orders == 2);
}

TEST_CASE("SOCI reads the numbers and times of the outbox's table unharmed") {
    shop at;
    auto box = at.box();
    {
        auto work = box.begin(at.sql);
        box.create_message(work, "order.created", "1");
        work.commit();
    }
    long long created = 0;
    std::vector<long long> many(1);
    at.sql << "select created_at from orders_outbox", soci::into(created);
    at.sql << "select created_at from orders_outbox", soci::into(many);
    CHECK(created > 1'600'000'000'000'000);
    CHECK(many.at(0) == created);
}

TEST_CASE("a closed SOCI session is refused with a sentence") {
    soci::session closed;
    CHECK_THROWS_AS(outbox::sqlite_storage::transaction{closed}, outbox::error);
}

TEST_CASE("a thousand messages over fifty keys arrive in the order of their keys") {
    shop at;
    auto box = at.box();
    for (int i = 0; i < 20; ++i) {
        auto work = box.begin(at.sql);
        for (int key = 0; key < 50; ++key) {
            auto const name = std::to_string(key);
            box.create_message(work, "order.changed", std::to_string(i), {.key = name});
        }
        work.commit();
    }
    auto worker = box.make_worker();
    REQUIRE(worker.drain(60s));
    auto const all = at.broker.delivered();
    REQUIRE(all.size() == 1'000);
    std::map<std::string, int> next;
    for (auto const& one : all) CHECK(std::stoi(one.payload) == next[one.key]++);
}
