// SPDX-License-Identifier: MIT
//
// A commit of another process wakes a worker that waits, and nobody is told of anything while
// workers work. The worker here polls once a minute; what comes sooner was announced.
#include <poll.h>

#include <array>
#include <future>
#include <string>

#include "outbox/broker/memory.hpp"
#include "outbox/outbox.hpp"
#include "outbox/storage/postgres_blocking.hpp"
#include "outbox/storage/postgres_statements.hpp"
#include "outbox/testing/catch.hpp"
#include "support/postgres_case.hpp"

using namespace std::chrono_literals;
using outbox::outlook;
using support::postgres_case;

namespace {

constexpr outbox::options lazy{.poll_interval = 60s};

/// Somebody who listens to what is announced, besides the workers.
class ear {
public:
    explicit ear(postgres_case& at) : sql_{at.server.connect()} {
        sql_("listen message_outbox_" + at.run("select 'outbox'::regclass::oid"));
    }
    /// Since the last call, of all transactions that have ended.
    int heard() {
        sql_("select 1");
        int count = 0;
        while (auto* const one = PQnotifies(sql_.handle())) {
            PQfreemem(one);
            ++count;
        }
        return count;
    }

private:
    support::sql_connection sql_;
};

/// Whether a worker holds the lock that says that it waits.
bool is_watched(postgres_case& at) {
    return at.run(
               "select count(*) from pg_locks where locktype = 'advisory' and objsubid = 2 "
               "and classid = 'outbox'::regclass::oid and mode = 'ExclusiveLock'") == "1";
}

void wait_until_watched(postgres_case& at, bool watched = true) {
    support::wait_until_ready(watched ? "the watch" : "the end of the watch",
                              [&] { return is_watched(at) == watched; });
}

void wait_until_delivered(outbox::memory_broker& broker, std::size_t count) {
    support::wait_until_ready("the delivery", [&] { return broker.delivered().size() == count; });
}

bool is_readable(int descriptor) {
    pollfd watched{descriptor, POLLIN, 0};
    return ::poll(&watched, 1, 20'000) == 1;
}

}  // namespace

TEST_CASE("a commit elsewhere wakes a worker long before it polls, each time") {
    postgres_case at;
    outbox::memory_broker broker;
    outbox::basic_outbox box{at.storage, broker, lazy};
    auto worker = box.start_worker();
    for (std::uint8_t i = 1; i <= 5; ++i) {
        wait_until_watched(at);
        at.put(i, "");
        wait_until_delivered(broker, i);
    }
    at.run("select outbox_enqueue('t', 'by SQL')");
    wait_until_delivered(broker, 6);
    at.sql("begin");
    at.run("insert into outbox (topic, payload) values ('t', 'by SQL')");
    at.run("select outbox_wake()");
    at.sql("commit");
    wait_until_delivered(broker, 7);
}

TEST_CASE("who watches has seen the end of all that was not announced") {
    postgres_case at;
    ear all{at};
    auto session = at.worker();
    at.storage.begin(at.sql.handle());
    at.add(at.sql, 1, "");
    CHECK(session.watch() == outlook::soon);
    at.storage.commit(at.sql.handle());
    CHECK(all.heard() == 0);
    REQUIRE(session.watch() == outlook::announced);
    CHECK(session.heard() == 0);
    at.put(2, "");
    at.put(3, "");
    CHECK(all.heard() == 2);
    REQUIRE(is_readable(session.descriptor()));
    // The second one may be a moment behind.
    for (std::size_t heard = 0; heard < 2; heard += session.heard())
        REQUIRE(is_readable(session.descriptor()));
    session.unwatch();
    at.put(4, "");
    CHECK(all.heard() == 0);
    REQUIRE(session.watch() == outlook::announced);
    at.storage.begin(at.sql.handle());
    at.add(at.sql, 5, "");
    at.storage.rollback(at.sql.handle());
    CHECK(all.heard() == 0);
}

TEST_CASE("one worker is told, and the next one when that is gone") {
    postgres_case at;
    auto second = at.worker(201);
    {
        auto first = at.worker();
        REQUIRE(first.watch() == outlook::announced);
        CHECK(second.watch() == outlook::silent);
    }
    support::wait_until_ready("the lock of the one that is gone",
                              [&] { return second.watch() == outlook::announced; });
}

TEST_CASE("a worker that has enough to do is not told of more") {
    postgres_case at;
    constexpr int many = 400;
    outbox::memory_broker broker;
    std::array<std::promise<void>, 2> reached;
    std::array<std::promise<void>, 2> go_on;
    int published = 0;
    // Stands still over the first message, and again over one that a later round brought.
    outbox::observers const stops{[&](outbox::event::published const&) {
        ++published;
        if (published != 1 && published != many - 50) return;
        std::size_t const stop = published == 1 ? 0 : 1;
        reached[stop].set_value();
        go_on[stop].get_future().wait();
    }};
    outbox::basic_outbox box{at.storage,
                             broker,
                             outbox::options{.poll_interval = 60s, .batch_size = 100},
                             outbox::system_clock{},
                             outbox::soft_delete{},
                             stops};
    auto worker = box.start_worker();
    wait_until_watched(at);
    ear all{at};
    at.put(1, "");
    reached[0].get_future().wait();
    for (int i = 1; i < many; ++i) at.run("select outbox_enqueue('t', 'x')");
    CHECK(all.heard() == many);
    go_on[0].set_value();
    reached[1].get_future().wait();
    at.put(2, "");
    CHECK(all.heard() == 0);
    go_on[1].set_value();
    wait_until_delivered(broker, many + 1);
    wait_until_watched(at);
    at.put(3, "");
    wait_until_delivered(broker, many + 2);
}

TEST_CASE("a worker that cannot deliver, or was stopped, is not told of anything") {
    postgres_case at;
    outbox::memory_broker broker;
    outbox::basic_outbox box{at.storage, broker, lazy};
    auto worker = box.start_worker();
    wait_until_watched(at);
    broker.go_down();
    at.put(1, "");
    wait_until_watched(at, false);
    broker.come_up();
    wait_until_delivered(broker, 1);
    wait_until_watched(at);
    CHECK(worker.stop(20s).clean());
    CHECK_FALSE(is_watched(at));
}

TEST_CASE("a worker that is stopped while it holds nothing is not told of anything") {
    postgres_case at;
    outbox::basic_outbox box{at.storage, outbox::memory_broker{}, lazy};
    auto worker = box.start_worker();
    wait_until_watched(at);
    CHECK(worker.stop(20s).clean());
    CHECK_FALSE(is_watched(at));
}

TEST_CASE("a worker that looks for work in vain writes nothing, and waits without writing") {
    support::postgres_server server;
    auto sql = server.connect();
    // So that nobody but the session could draw a transaction's number.
    sql("alter system set autovacuum = off");
    sql("select pg_reload_conf()");
    outbox::postgres_storage storage{server.connection_string()};
    outbox::postgres_storage::migrate(sql.handle());
    auto session = storage.connect(support::numbered(1), 20s);
    auto const next = [&] { return sql("select pg_snapshot_xmax(pg_current_snapshot())"); };
    auto const before = next();
    for (int i = 0; i < 600; ++i) {
        CHECK(session.acquire(support::everything).tenures.empty());
        REQUIRE(session.watch() == outlook::announced);
        session.unwatch();
    }
    CHECK(next() == before);
}

TEST_CASE("a session that a pooler shares is told nothing, and takes no lock") {
    postgres_case at;
    outbox::postgres::worker_statements const sql{at.table};
    auto const answer =
        outbox::postgres::execute(at.sql.handle(), sql.watch, outbox::postgres::parameters{0});
    CHECK(outbox::postgres::row_reader{answer, 0}.number<std::int32_t>() == 0);
    CHECK_FALSE(is_watched(at));
}

TEST_CASE("where nothing is to be announced, a transaction can be prepared while a worker waits") {
    postgres_case at;
    auto session = at.worker();
    REQUIRE(session.watch() == outlook::announced);
    outbox::postgres_storage quiet{at.server.connection_string(), at.table, {.announce = false}};
    outbox::draft const one{.id = support::numbered(1), .topic = "t", .payload = "p"};
    quiet.begin(at.sql.handle());
    quiet.append(at.sql.handle(), {&one, 1});
    at.sql("prepare transaction '" + at.schema + "'");
    at.sql("commit prepared '" + at.schema + "'");
    CHECK(quiet.connect(support::numbered(2), 20s).watch() == outlook::silent);
    CHECK(session.acquire(support::everything).tenures.size() == 1);
}
