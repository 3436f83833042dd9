// SPDX-License-Identifier: MIT
//
// Memory runs out at each allocation in turn, once or for good: nothing crashes, and when there is
// memory again every committed message is delivered, in order, and no other.
#include <functional>
#include <map>
#include <set>

#include "outbox/testing/catch.hpp"
#include "support/scarce_memory.hpp"
#include "support/shop.hpp"

namespace {

using namespace std::chrono_literals;
using support::scarce_memory;
using shop = support::shop<>;

/// A service with memory enough, before and after the one call that has not.
struct service {
    support::market all{};
    shop at{all, support::quick()};
    std::set<std::string> committed{};

    void place(std::string const& payload, std::string const& key) {
        at.place(payload, key);
        committed.insert(payload);
    }
    /// What is wrong with what was delivered in the end; empty: nothing.
    std::string wrong() {
        auto worker = at.box.make_worker();
        at.run(worker, 40, 200ms);
        if (all.storage.statistics().backlog != 0) return "something is stuck";
        if (all.storage.statistics().dead != 0) return "something died";
        std::set<std::string> arrived;
        std::map<std::string, std::string> last;
        for (auto const& one : all.broker.delivered()) {
            if (!arrived.insert(one.payload).second) continue;
            if (one.payload < last[one.key]) return one.payload + " is out of order";
            last[one.key] = one.payload;
        }
        if (arrived != committed) return "other messages arrived than were committed";
        return {};
    }
};

/// Runs `act` on a new service each time, with one allocation more before the memory runs out,
/// until it suffices. Returns how many it takes.
template <class Act>
long starve(scarce_memory::end how, Act const& act) {
    for (long granted = 0;; ++granted) {
        service at;
        for (int i = 0; i < 6; ++i) at.place(std::to_string(i), i % 2 == 0 ? "even" : "");
        bool const ran_out = act(at, granted, how);
        auto const wrong = at.wrong();
        INFO("after " << granted << " allocations: " << wrong);
        REQUIRE(wrong.empty());
        if (!ran_out) return granted;
    }
}

}  // namespace

TEST_CASE("memory that runs out while a message is enqueued leaves it stored or not") {
    auto const how = GENERATE(scarce_memory::end::once, scarce_memory::end::for_good);
    std::vector<outbox::header> const headers{{"traceparent", "00-1-2-03"}};
    outbox::message_id own{};
    own.bytes[0] = 1;
    auto const needed = starve(how, [&](service& at, long granted, scarce_memory::end end) {
        auto work = at.at.box.begin(at.at.connection);
        bool ran_out = false;
        try {
            scarce_memory const scarce{granted, end};
            at.at.box.create_message(work, "t", "70",
                                     {.key = "a key that is long", .headers = headers});
            at.at.box.create_message(work, "t", "71", {.id = own});
            work.commit();
            ran_out = scarce_memory::ran_out();
        } catch (std::bad_alloc const&) {
            return true;
        }
        at.committed.insert({"70", "71"});
        return ran_out;
    });
    CHECK(needed > 3);
}

TEST_CASE("memory that runs out in a worker's round costs no message") {
    auto const how = GENERATE(scarce_memory::end::once, scarce_memory::end::for_good);
    int const rounds_before = GENERATE(0, 1, 2);
    auto const needed = starve(how, [&](service& at, long granted, scarce_memory::end end) {
        auto worker = at.at.box.make_worker();
        at.all.broker.fail_next(2, outbox::outcome::rejected, "not today, nor tomorrow, nor ever");
        for (int i = 0; i < rounds_before; ++i) {
            worker.step();
            at.all.clock.advance(50ms);
            at.place("8" + std::to_string(i), "even");
        }
        scarce_memory const scarce{granted, end};
        worker.step();
        return scarce_memory::ran_out();
    });
    CHECK(needed > 3);
}

TEST_CASE("memory that runs out while a worker stops costs no message") {
    auto const how = GENERATE(scarce_memory::end::once, scarce_memory::end::for_good);
    auto const needed = starve(how, [&](service& at, long granted, scarce_memory::end end) {
        auto worker = at.at.box.make_worker();
        worker.step();
        at.place("9", "even");
        worker.step();
        scarce_memory const scarce{granted, end};
        try {
            worker.stop(1s);
        } catch (std::bad_alloc const&) {  // NOLINT: the report could not be made
        }
        return scarce_memory::ran_out();
    });
    CHECK(needed > 0);
}
