// SPDX-License-Identifier: MIT
//
// Memory runs out, ours and SQLite's, at each allocation in turn: nothing crashes, and when there
// is memory again every committed message is delivered, in order, and no other.
#include <set>

#include "outbox/broker/memory.hpp"
#include "outbox/outbox.hpp"
#include "outbox/testing/catch.hpp"
#include "support/scarce_memory.hpp"
#include "support/sqlite_case.hpp"

namespace {

using namespace std::chrono_literals;
using support::scarce_memory;

sqlite3_mem_methods plentiful{};

void* scarce_malloc(int size) {
    return scarce_memory::grants() ? plentiful.xMalloc(size) : nullptr;
}
void* scarce_realloc(void* old, int size) {
    return scarce_memory::grants() ? plentiful.xRealloc(old, size) : nullptr;
}
/// SQLite's memory is as scarce as ours.
void share_scarcity() {
    static bool const done = [] {
        sqlite3_shutdown();
        sqlite3_config(SQLITE_CONFIG_GETMALLOC, &plentiful);
        auto scarce = plentiful;
        scarce.xMalloc = scarce_malloc;
        scarce.xRealloc = scarce_realloc;
        sqlite3_config(SQLITE_CONFIG_MALLOC, &scarce);
        return true;
    }();
    static_cast<void>(done);
}

using box_type = outbox::basic_outbox<outbox::sqlite_storage, outbox::memory_broker>;

/// One service for all attempts, each of which has memory enough before and after its one call.
struct service {
    support::temporary_folder folder{};
    std::string path{(folder.path() / "shop.db").string()};
    outbox::memory_broker broker{};
    std::set<std::string> committed{};
    int placed{0};

    service() {
        share_scarcity();
        support::sqlite_handle sql{path};
        outbox::sqlite_storage::migrate(sql.handle());
    }
    box_type open() {
        return box_type{
            outbox::sqlite_storage{path},
            broker,
            {.poll_interval = 10ms, .backoff_min = 1ms, .backoff_max = 2ms, .probe_max = 2ms}};
    }
    void place(box_type& box) {
        support::sqlite_handle sql{path};
        auto work = box.begin(sql.handle());
        auto const payload = std::to_string(++placed);
        box.create_message(work, "t", payload, {.key = "k"});
        work.commit();
        committed.insert(payload);
    }
    /// What is wrong with what was delivered since the last time; empty: nothing.
    std::string wrong(box_type::worker& worker) {
        if (!worker.drain(30s)) return "something is stuck";
        std::set<std::string> arrived;
        int last = 0;
        for (auto const& one : broker.delivered()) {
            if (!arrived.insert(one.payload).second) continue;
            if (std::stoi(one.payload) < last) return one.payload + " is out of order";
            last = std::stoi(one.payload);
        }
        if (arrived != committed) return "other messages arrived than were committed";
        committed.clear();
        broker.clear();
        return {};
    }
};

}  // namespace

TEST_CASE("memory that runs out while a message is stored in SQLite leaves it stored or not") {
    auto const how = GENERATE(scarce_memory::end::once, scarce_memory::end::for_good);
    service at;
    auto box = at.open();
    auto worker = box.make_worker();
    for (long granted = 0;; ++granted) {
        auto const payload = std::to_string(++at.placed);
        bool ran_out = false;
        bool stored = false;
        {
            support::sqlite_handle sql{at.path};
            try {
                scarce_memory const scarce{granted, how};
                auto work = box.begin(sql.handle());
                box.create_message(work, "t", payload, {.key = "k"});
                work.commit();
                stored = true;
                ran_out = scarce_memory::ran_out();
            } catch (std::exception const&) {
                ran_out = true;
            }
        }
        if (stored) at.committed.insert(payload);
        auto const wrong = at.wrong(worker);
        INFO("after " << granted << " allocations: " << wrong);
        REQUIRE(wrong.empty());
        if (!ran_out) break;
    }
}

TEST_CASE("memory that runs out in a round on SQLite costs no message") {
    auto const how = GENERATE(scarce_memory::end::once, scarce_memory::end::for_good);
    service at;
    auto box = at.open();
    auto worker = box.make_worker();
    // To open a file takes ten thousand allocations, most of them in SQLite's own parser.
    bool const opens = GENERATE(true, false);
    for (long granted = 0;; granted += opens ? 37 : 1) {
        if (opens) {
            worker.stop(1s);
            worker = box.make_worker();
        }
        at.place(box);
        at.place(box);
        bool ran_out = false;
        {
            scarce_memory const scarce{granted, how};
            worker.step();
            ran_out = scarce_memory::ran_out();
        }
        auto const wrong = at.wrong(worker);
        INFO("after " << granted << " allocations: " << wrong);
        REQUIRE(wrong.empty());
        if (!ran_out) break;
    }
}

TEST_CASE("memory that runs out while a worker on SQLite stops costs no message") {
    auto const how = GENERATE(scarce_memory::end::once, scarce_memory::end::for_good);
    service at;
    auto box = at.open();
    for (long granted = 0;; ++granted) {
        at.place(box);
        auto stopping = box.make_worker();
        stopping.step();
        at.place(box);
        bool ran_out = false;
        try {
            scarce_memory const scarce{granted, how};
            stopping.stop(1s);
            ran_out = scarce_memory::ran_out();
        } catch (std::bad_alloc const&) {
            ran_out = true;
        }
        support::sqlite_handle{at.path}("update outbox_partition set lease_until = 0");
        auto worker = box.make_worker();
        auto const wrong = at.wrong(worker);
        INFO("after " << granted << " allocations: " << wrong);
        REQUIRE(wrong.empty());
        CHECK(worker.stop(1s).clean());
        if (!ran_out) break;
    }
}
