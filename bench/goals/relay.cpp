// SPDX-License-Identifier: MIT
//
// PostgreSQL and JetStream together, beside the loops that a careful person would write by hand.
#include "floor/jetstream.hpp"
#include "floor/postgres.hpp"
#include "goals/drained.hpp"
#include "goals/goal.hpp"
#include "goals/site.hpp"

namespace bench::goals {

namespace {

constexpr int at_once = 100;

figures drained_by_hand(servers& on, std::string const& name, load const& wanted, bool stamp) {
    site at{on, wanted};
    auto box = at.box<outbox::hard_delete>();
    at.fill(box, {});
    at.settle_down();
    floor::jetstream to{on.nats.url()};
    floor::relay loop{at.sql.handle(), std::string{at.table.qualified()}, to, stamp};
    std::size_t all = 0;
    auto read = timed(on, name, wanted.messages, [&] { all = loop.drain(); });
    if (all != static_cast<std::size_t>(wanted.messages)) {
        throw std::runtime_error{"the hand-written loop left messages behind"};
    }
    return read;
}

figures published_alone(servers& on, std::string const& name, load const& wanted) {
    site at{on, wanted};
    floor::jetstream to{on.nats.url()};
    outbox::message_id_generator ids{1};
    auto const prefix = std::string{at.table.qualified()} + '.';
    return timed(on, name, wanted.messages, [&] {
        for (int i = 0; i < wanted.messages; ++i) {
            to.publish(topic, at.payload, (prefix + to_string(ids.next(1))).c_str());
            // Half a window at a time, so that the client's writes are as full.
            if (i % 512 == 511) to.wait_for_all_but(512);
        }
        to.wait_for_all_but(0);
    });
}

figures enqueued(servers& on, std::string const& name, load const& wanted) {
    site at{on, wanted};
    auto box = at.box<outbox::hard_delete>();
    auto const keys = at.keys(wanted.keys);
    return timed(on, name, wanted.messages, [&] { at.fill(box, keys); });
}

figures inserted(servers& on, std::string const& name, load const& wanted) {
    site at{on, wanted};
    auto const keys = at.keys(wanted.keys);
    floor::insert rows{at.sql.handle(), std::string{at.table.qualified()}, at_once};
    int const statements = wanted.messages / at_once;
    return timed(on, name, statements * at_once, [&] {
        for (int i = 0; i < statements; ++i) rows(topic, keys, at.payload);
    });
}

figures business(servers& on, std::string const& name, load const& wanted, bool with_message) {
    site at{on, wanted};
    auto box = at.box<outbox::hard_delete>();
    at.sql("create table " + std::string{at.table.schema()} + ".orders (id bigint primary key)");
    floor::checked(
        at.sql.handle(),
        PQprepare(
            at.sql.handle(), "order",
            ("insert into " + std::string{at.table.schema()} + ".orders (id) values ($1)").c_str(),
            0, nullptr));
    int const count = std::max(1, wanted.messages / 20);
    auto rate = timed(on, name, count, [&] {
        for (int i = 0; i < count; ++i) {
            auto work = box.begin(at.sql.handle());
            auto const id = std::to_string(i);
            char const* const value = id.c_str();
            floor::checked(at.sql.handle(), PQexecPrepared(at.sql.handle(), "order", 1, &value,
                                                           nullptr, nullptr, 0));
            if (with_message) box.create_message(work, topic, at.payload);
            work.commit();
        }
    });
    at.sql("deallocate \"order\"");
    return rate;
}

}  // namespace

family relay_family(std::shared_ptr<servers> const& on, load const& wanted) {
    family all{.name = "relay"};
    using enum goal::kind;
    all.goals = {
        {"relay_hard", "relay, hard delete, against the hand-written loop", "relay hard",
         "floor hard", at_least, 0.95},
        {"relay_jetstream", "the same against JetStream publishing alone", "relay hard",
         "floor jetstream", at_least, 0.70},
        {"floor_jetstream", "the hand-written loop against JetStream publishing alone",
         "floor hard", "floor jetstream", at_least, 0.70},
        {"relay_soft", "relay, soft delete, against the loop that stamps", "relay soft",
         "floor soft", at_least, 0.95},
        {"relay_one_key", "one key against many keys, two more workers idle", "relay one key",
         "relay hard", at_least, 0.85},
        {"enqueue_bulk", "100 messages a statement against a multi-row insert", "enqueue bulk",
         "floor bulk", at_least, 0.85},
        {"enqueue_tx", "transactions with one message against the same without",
         "business with message", "business alone", shown, 0},
    };
    auto const add = [&](std::string const& name, auto measure) {
        all.measurements.push_back({name, [=] { return measure(*on, name); }});
    };
    using outbox::hard_delete;
    using outbox::soft_delete;
    using text = std::string const&;
    int const many = wanted.keys;
    add("floor jetstream",
        [=](servers& here, text name) { return published_alone(here, name, wanted); });
    add("floor hard",
        [=](servers& here, text name) { return drained_by_hand(here, name, wanted, false); });
    add("relay hard", [=](servers& here, text name) {
        return drained<hard_delete>(here, name, wanted, many, 0);
    });
    add("relay one key",
        [=](servers& here, text name) { return drained<hard_delete>(here, name, wanted, 1, 2); });
    add("floor soft",
        [=](servers& here, text name) { return drained_by_hand(here, name, wanted, true); });
    add("relay soft", [=](servers& here, text name) {
        return drained<soft_delete>(here, name, wanted, many, 0);
    });
    add("floor bulk", [=](servers& here, text name) { return inserted(here, name, wanted); });
    add("enqueue bulk", [=](servers& here, text name) { return enqueued(here, name, wanted); });
    add("business alone",
        [=](servers& here, text name) { return business(here, name, wanted, false); });
    add("business with message",
        [=](servers& here, text name) { return business(here, name, wanted, true); });
    return all;
}

}  // namespace bench::goals
