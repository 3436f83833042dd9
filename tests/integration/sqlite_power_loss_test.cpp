// SPDX-License-Identifier: MIT
//
// The power goes off: before each sync, and after each commit, everything that was not synced by
// then is forgotten. What was committed is there or was delivered, whole and in order.
#include <set>

#include "outbox/broker/memory.hpp"
#include "outbox/outbox.hpp"
#include "outbox/testing/catch.hpp"
#include "support/forgetful_files.hpp"
#include "support/sqlite_case.hpp"

namespace {

using namespace std::chrono_literals;

using box_type = outbox::basic_outbox<outbox::sqlite_storage, outbox::memory_broker,
                                      outbox::system_clock, outbox::hard_delete>;

/// The disk at a moment, and what the world had been told by then.
struct moment {
    support::disk_image disk{};
    int committed{0};  ///< orders 0, 1, … whose commit returned
    std::vector<std::string> delivered{};
};

std::string key_of(int order) {
    return std::to_string(order % 3);
}

std::vector<std::string> payloads(outbox::memory_broker const& broker) {
    std::vector<std::string> all;
    for (auto const& one : broker.delivered()) all.push_back(one.payload);
    return all;
}

/// Takes orders and delivers some on the way; shows each moment at which the power may go off.
std::vector<moment> live(std::string const& path, int orders) {
    std::vector<moment> all;
    outbox::memory_broker broker;
    int committed = 0;
    support::forgetful_files files;
    auto const note = [&] { all.push_back({files.synced(), committed, payloads(broker)}); };
    {
        support::sqlite_handle sql{path};
        outbox::sqlite_storage::migrate(sql.handle());
        sql("create table orders (number integer)");
        // Syncs of the file itself, too.
        sql("pragma wal_autocheckpoint = 7");
        files.before_sync = note;
        box_type box{outbox::sqlite_storage{path}, broker};
        auto worker = box.make_worker();
        for (int order = 0; order < orders; ++order) {
            auto work = box.begin(sql.handle());
            sql("insert into orders values (" + std::to_string(order) + ")");
            box.create_message(work, "order.created", std::to_string(order),
                               {.key = key_of(order)});
            work.commit();
            ++committed;
            note();
            if (order % 5 == 4) worker.step();
        }
        worker.drain(10s);
        note();
    }
    return all;
}

/// What is wrong with what the power left; empty: nothing.
std::string wrong(moment const& then) {
    support::temporary_folder const folder;
    support::restore(then.disk, folder.path());
    auto const path = (folder.path() / "shop.db").string();
    support::sqlite_handle sql{path};
    if (sql("pragma integrity_check") != "ok") return "the file is broken";
    std::set<int> arrived;
    for (auto const& one : then.delivered) arrived.insert(std::stoi(one));

    outbox::memory_broker broker;
    box_type box{outbox::sqlite_storage{path}, broker};
    // The owner that the power took still holds its lease.
    sql("update outbox_partition set lease_until = 0");
    if (!box.make_worker().drain(30s)) return "something is stuck";
    std::map<std::string, int> last;
    for (auto const& one : broker.delivered()) {
        auto const order = std::stoi(one.payload);
        auto const known = last.find(one.key);
        if (known != last.end() && order < known->second) return one.payload + " is out of order";
        last[one.key] = order;
        arrived.insert(order);
    }
    for (int order = 0; order < then.committed; ++order) {
        auto const number = std::to_string(order);
        if (sql("select count(*) from orders where number = " + number) != "1") {
            return "order " + number + " is lost";
        }
        if (!arrived.contains(order)) return "the message of order " + number + " is lost";
    }
    for (auto const order : arrived) {
        if (sql("select count(*) from orders where number = " + std::to_string(order)) != "1") {
            return "the message of no order: " + std::to_string(order);
        }
    }
    return {};
}

}  // namespace

TEST_CASE("when the power goes off nothing that was committed is lost, whatever was not synced") {
    support::temporary_folder const folder;
    auto const all = live((folder.path() / "shop.db").string(), 40);
    CHECK(all.size() > 100);
    std::set<support::disk_image> disks;
    for (std::size_t i = 0; i < all.size(); ++i) {
        auto const found = wrong(all[i]);
        INFO("moment " << i << ", after " << all[i].committed << " commits: " << found);
        CHECK(found.empty());
        disks.insert(all[i].disk);
    }
    CHECK(disks.size() > 40);
}
