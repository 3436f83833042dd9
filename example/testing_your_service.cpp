// SPDX-License-Identifier: MIT
//
// How a service's own unit tests use the doubles: no server, no file, no waiting. The service is
// written against any outbox; the test gives it one whose storage, broker and clock it holds.
#include <string>
#include <string_view>

#include "outbox/broker/memory.hpp"
#include "outbox/outbox.hpp"
#include "outbox/storage/memory.hpp"
#include "outbox/testing/catch.hpp"

namespace {

using namespace std::chrono_literals;

template <class Outbox>
class order_service {
public:
    explicit order_service(Outbox& box) : box_{&box} {}

    /// Within the caller's transaction, where the service's own rows are written, too.
    void place(typename Outbox::unit_of_work const& work, std::string const& order) {
        box_->create_message(work, "order.created", R"({"order":")" + order + R"("})",
                             {.key = order});
    }

private:
    Outbox* box_;
};

struct shop {
    outbox::manual_clock clock{};
    outbox::memory_storage storage{clock};
    outbox::memory_storage::connection connection{};
    outbox::memory_broker broker{};
    outbox::basic_outbox<outbox::memory_storage, outbox::memory_broker, outbox::manual_clock> box{
        storage, broker, {}, clock};
    order_service<decltype(box)> service{box};
    decltype(box)::worker worker = box.make_worker();
};

}  // namespace

TEST_CASE("an order is announced once it is committed") {
    shop test;
    auto work = test.box.begin(test.connection);
    test.service.place(work, "17");
    test.worker.drain(1s);
    CHECK(test.broker.delivered().empty());

    work.commit();
    test.worker.drain(1s);
    REQUIRE(test.broker.delivered().size() == 1);
    CHECK(test.broker.delivered()[0].topic == "order.created");
    CHECK(test.broker.delivered()[0].payload == R"({"order":"17"})");
}

TEST_CASE("an order that is rolled back is never announced") {
    shop test;
    auto work = test.box.begin(test.connection);
    test.service.place(work, "17");
    work.rollback();
    test.worker.drain(1s);
    CHECK(test.broker.delivered().empty());
}

TEST_CASE("an announcement outlasts an outage of the broker") {
    shop test;
    test.broker.go_down();
    auto work = test.box.begin(test.connection);
    test.service.place(work, "17");
    work.commit();
    test.worker.drain(1s);
    CHECK(test.broker.delivered().empty());

    test.broker.come_up();
    test.clock.advance(1min);  // the next probe is due; nobody waited for it
    test.worker.drain(1s);
    CHECK(test.broker.delivered().size() == 1);
}

TEST_CASE("an announcement that the broker refuses is kept as a dead letter") {
    shop test;
    test.broker.fail_next(1, outbox::outcome::refused, "no such topic");
    auto work = test.box.begin(test.connection);
    test.service.place(work, "17");
    work.commit();
    test.worker.drain(1s);
    REQUIRE(test.box.dead_letters().size() == 1);
    CHECK(test.box.dead_letters()[0].last_error == "no such topic");
}
