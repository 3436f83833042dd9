// SPDX-License-Identifier: MIT
//
// The roles of migrations/postgres/roles.sql are enough for a producer and for a worker, and for
// nothing else.
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "outbox/broker/memory.hpp"
#include "outbox/outbox.hpp"
#include "outbox/testing/catch.hpp"
#include "support/postgres_case.hpp"

namespace {

using namespace std::chrono_literals;

std::string roles_file() {
    auto const* const folder = std::getenv("OUTBOX_MIGRATIONS");
    REQUIRE(folder != nullptr);
    std::ifstream file{std::string{folder} + "/postgres/roles.sql"};
    REQUIRE(file.is_open());
    return {std::istreambuf_iterator<char>{file}, {}};
}

/// An outbox beside a business table, and two users with the roles.
struct house {
    support::postgres_case at{};

    house() {
        at.run(roles_file());
        at.sql("create table " + at.schema + ".orders (id integer, card text)");
        at.sql("grant usage on schema " + at.schema + " to message_producer, message_worker");
        for (std::string const role : {"producer", "worker"}) {
            at.sql("create user " + user(role) + " in role message_" + role);
        }
        at.sql("grant insert on " + at.schema + ".orders to " + user("producer"));
    }
    house(house const&) = delete;
    house& operator=(house const&) = delete;
    ~house() {
        for (std::string const role : {"producer", "worker"}) {
            at.sql("drop owned by " + user(role) + "; drop user " + user(role));
        }
    }
    [[nodiscard]] std::string user(std::string const& role) const {
        return role + "_of_" + at.schema;
    }
    [[nodiscard]] std::string connection_of(std::string const& role) const {
        return at.server.connection_string() + " user=" + user(role);
    }
    [[nodiscard]] std::string in_schema(std::string const& table) const {
        return at.schema + "." + table;
    }
};

bool is_denied(support::sql_connection& sql, std::string const& statement) {
    try {
        sql(statement);
        return false;
    } catch (std::runtime_error const& why) {
        return std::string_view{why.what()}.find("permission denied") != std::string_view::npos;
    }
}

}  // namespace

TEST_CASE("a producer may add messages and nothing else, a worker may deliver and nothing else") {
    house in;
    outbox::memory_broker broker;
    outbox::basic_outbox<outbox::postgres_storage, outbox::memory_broker> box{
        outbox::postgres_storage{in.connection_of("worker"), in.at.table},
        broker,
        {.poll_interval = 50ms, .max_attempts = 1}};

    support::sql_connection producer{in.connection_of("producer")};
    auto work = box.begin(producer.handle());
    producer("insert into " + in.in_schema("orders") + " values (1, 'card')");
    box.create_message(work, "t", "1", {.key = "k", .serialize_key = true});
    box.create_message(work, "t", "2", {.not_before = outbox::system_clock{}.wall() + 100ms});
    producer("select " + in.in_schema("outbox_enqueue('t', '3')"));
    work.commit();
    CHECK(is_denied(producer, "select payload from " + in.in_schema("outbox")));
    CHECK(is_denied(producer, "delete from " + in.in_schema("outbox")));
    CHECK(is_denied(producer, "update " + in.in_schema("outbox") + " set topic = 'x'"));
    CHECK(is_denied(producer, "insert into " + in.in_schema("outbox") +
                                  " (topic, payload, sequence) values ('t', 'x', 1)"));
    CHECK(is_denied(producer, "select owner from " + in.in_schema("outbox_partition")));

    // The grant that the file leaves out.
    auto const own = [&] {
        auto with_own_id = box.begin(producer.handle());
        box.create_message(with_own_id, "t", "4", {.id = support::numbered(4)});
        box.create_message(with_own_id, "t", "4", {.id = support::numbered(4)});
        with_own_id.commit();
    };
    CHECK(support::refusal(own) == outbox::errc::unavailable);
    in.at.run(
        "grant select (topic, key, headers, payload, caller_chose_id) on outbox to "
        "message_producer");
    CHECK_NOTHROW(own());

    // With retries, dead letters, operators, retention and figures.
    broker.fail_next(1, outbox::outcome::rejected, "not this one");
    auto worker = box.make_worker();
    support::wait_until_ready("the delivery of everything",
                              [&] { return worker.drain(1s) && box.stats().storage.backlog == 0; });
    REQUIRE(box.dead_letters().size() == 1);
    CHECK(box.requeue() == 1);
    CHECK(worker.drain(10s));
    CHECK(broker.count() == 4);
    auto const now = std::chrono::floor<std::chrono::microseconds>(outbox::system_clock{}.wall());
    CHECK(box.replay(now - 1h, now + 1h) == 4);
    CHECK(worker.drain(10s));
    CHECK(box.purge_published(0s) == 4);
    CHECK(worker.stop(10s).clean());

    support::sql_connection sql{in.connection_of("worker")};
    CHECK(is_denied(sql, "select card from " + in.in_schema("orders")));
    CHECK(is_denied(
        sql, "insert into " + in.in_schema("outbox") + " (topic, payload) values ('t', 'x')"));
    CHECK(is_denied(sql, "truncate " + in.in_schema("outbox")));
    CHECK(is_denied(sql, "insert into " + in.in_schema("outbox_version") + " values (9)"));
}
