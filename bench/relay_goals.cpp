// SPDX-License-Identifier: MIT
#include "relay_goals.hpp"

#include <algorithm>

#include "floor/jetstream.hpp"
#include "floor/postgres.hpp"
#include "measure.hpp"
#include "outbox/broker/jetstream.hpp"
#include "outbox/outbox.hpp"
#include "outbox/storage/postgres.hpp"
#include "support/nats_server.hpp"
#include "support/postgres_server.hpp"

namespace bench {

struct relay_servers::state {
    support::postgres_server postgres{};
    support::nats_server nats{};
    support::nats_client admin{nats.url()};
};

relay_servers::relay_servers() : state_{std::make_unique<state>()} {}
relay_servers::~relay_servers() = default;

std::vector<goal> goals() {
    return {
        {"relay_hard", "relay, hard delete, against the hand-written loop", "relay hard",
         "floor hard", 0.95},
        {"relay_jetstream", "the same against JetStream publishing alone", "relay hard",
         "floor jetstream", 0.70},
        {"floor_jetstream", "the hand-written loop against JetStream publishing alone",
         "floor hard", "floor jetstream", 0.70},
        {"relay_soft", "relay, soft delete, against the loop that stamps", "relay soft",
         "floor soft", 0.95},
        {"relay_one_key", "one key against many keys, two more workers idle", "relay one key",
         "relay hard", 0.85},
        {"enqueue_bulk", "100 messages a statement against a multi-row insert", "enqueue bulk",
         "floor bulk", 0.85},
        {"enqueue_tx",
         "transactions with one message against the same without",
         "business with message",
         "business alone",
         {}},
    };
}

namespace {

/// Times `work`, which deals with so many messages.
template <class Work>
reading read_off(relay_servers::state& servers, int messages, Work&& work) {
    auto const now = [&] {
        return processor_time_until_now(servers.postgres.id(), servers.nats.id());
    };
    auto const before = now();
    auto const took = seconds(std::forward<Work>(work));
    return {messages / took, (now() - before) * (1.0 / messages)};
}

constexpr char const* topic = "bench.one";
constexpr int at_once = 100;

/// An empty outbox in a schema of its own, an empty stream, and a connection.
class site {
public:
    explicit site(relay_servers::state& of, relay_load const& wanted)
        : servers{of},
          load{wanted},
          table{std::string_view{of.postgres.fresh_schema() + ".outbox"}},
          sql{of.postgres.connect()},
          payload(static_cast<std::size_t>(wanted.payload_bytes), 'x') {
        outbox::postgres_storage::migrate(sql.handle(), table);
        of.admin.add_stream("BENCH", {"bench.>"},
                            [](jsStreamConfig& config) { config.Storage = js_FileStorage; });
    }
    site(site const&) = delete;
    site& operator=(site const&) = delete;
    ~site() {
        servers.admin.delete_stream("BENCH");
        sql("drop schema " + std::string{table.schema()} + " cascade");
    }

    template <class Delete>
    [[nodiscard]] auto box() const {
        outbox::jetstream_options options;
        options.connection.url = servers.nats.url();
        options.streams = {"BENCH"};
        return outbox::basic_outbox{
            outbox::postgres_storage{servers.postgres.connection_string(), table},
            outbox::jetstream_broker{options}, outbox::options{.batch_size = 1'000},
            outbox::system_clock{}, Delete{}};
    }
    [[nodiscard]] std::vector<std::string> keys(int count) const {
        std::vector<std::string> all;
        for (int i = 0; i < count; ++i) all.push_back("key-" + std::to_string(i));
        return all;
    }
    template <class Outbox>
    void fill(Outbox& box, std::vector<std::string> const& among) {
        std::vector<outbox::message> batch;
        std::size_t next = 0;
        for (int left = load.messages; left > 0; left -= at_once) {
            batch.clear();
            for (int i = 0; i < std::min(left, at_once); ++i) {
                batch.push_back(
                    {topic,
                     payload,
                     {.key = among.empty() ? std::string_view{}
                                           : std::string_view{among[next++ % among.size()]}}});
            }
            auto work = box.begin(sql.handle());
            box.create_messages(work, batch);
            work.commit();
        }
    }
    void settle_down() {
        sql("vacuum analyze " + std::string{table.qualified()});
        sql("checkpoint");
    }

    relay_servers::state& servers;
    relay_load load;
    outbox::table_name table;
    support::sql_connection sql;
    std::string payload;
};

template <class Delete>
reading drained(relay_servers::state& servers, relay_load const& load, int keys, int idle) {
    site at{servers, load};
    auto box = at.box<Delete>();
    at.fill(box, at.keys(keys));
    at.settle_down();
    std::vector<decltype(box.start_worker())> others;
    auto worker = box.make_worker();
    worker.step();
    for (int i = 0; i < idle; ++i) others.push_back(box.start_worker());
    bool empty = false;
    auto const read =
        read_off(servers, load.messages, [&] { empty = worker.drain(std::chrono::hours{1}); });
    if (!empty) throw std::runtime_error{"the worker left messages behind"};
    return read;
}

reading drained_by_hand(relay_servers::state& servers, relay_load const& load, bool stamp) {
    site at{servers, load};
    auto box = at.box<outbox::hard_delete>();
    at.fill(box, {});
    at.settle_down();
    floor::jetstream to{servers.nats.url()};
    floor::relay loop{at.sql.handle(), std::string{at.table.qualified()}, to, stamp};
    std::size_t all = 0;
    auto const read = read_off(servers, load.messages, [&] { all = loop.drain(); });
    if (all != static_cast<std::size_t>(load.messages)) {
        throw std::runtime_error{"the hand-written loop left messages behind"};
    }
    return read;
}

reading published_alone(relay_servers::state& servers, relay_load const& load) {
    site at{servers, load};
    floor::jetstream to{servers.nats.url()};
    outbox::message_id_generator ids{1};
    auto const name = std::string{at.table.qualified()} + '.';
    return read_off(servers, load.messages, [&] {
        for (int i = 0; i < load.messages; ++i) {
            to.publish(topic, at.payload, (name + to_string(ids.next(1))).c_str());
            // Half a window at a time, so that the client's writes are as full.
            if (i % 512 == 511) to.wait_for_all_but(512);
        }
        to.wait_for_all_but(0);
    });
}

reading enqueued(relay_servers::state& servers, relay_load const& load) {
    site at{servers, load};
    auto box = at.box<outbox::hard_delete>();
    auto const keys = at.keys(load.keys);
    return read_off(servers, load.messages, [&] { at.fill(box, keys); });
}

reading inserted(relay_servers::state& servers, relay_load const& load) {
    site at{servers, load};
    auto const keys = at.keys(load.keys);
    floor::insert rows{at.sql.handle(), std::string{at.table.qualified()}, at_once};
    int const statements = load.messages / at_once;
    return read_off(servers, statements * at_once, [&] {
        for (int i = 0; i < statements; ++i) rows(topic, keys, at.payload);
    });
}

reading business(relay_servers::state& servers, relay_load const& load, bool with_message) {
    site at{servers, load};
    auto box = at.box<outbox::hard_delete>();
    at.sql("create table " + std::string{at.table.schema()} + ".orders (id bigint primary key)");
    floor::checked(
        at.sql.handle(),
        PQprepare(
            at.sql.handle(), "order",
            ("insert into " + std::string{at.table.schema()} + ".orders (id) values ($1)").c_str(),
            0, nullptr));
    int const count = std::max(1, load.messages / 20);
    auto const rate = read_off(servers, count, [&] {
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

std::vector<measurement> series(relay_servers& on, relay_load const& load,
                                std::vector<std::string> const& only) {
    auto& servers = on.get();
    std::vector<measurement> all{
        {"floor jetstream", [&servers, load] { return published_alone(servers, load); }},
        {"floor hard", [&servers, load] { return drained_by_hand(servers, load, false); }},
        {"relay hard",
         [&servers, load] { return drained<outbox::hard_delete>(servers, load, load.keys, 0); }},
        {"relay one key",
         [&servers, load] { return drained<outbox::hard_delete>(servers, load, 1, 2); }},
        {"floor soft", [&servers, load] { return drained_by_hand(servers, load, true); }},
        {"relay soft",
         [&servers, load] { return drained<outbox::soft_delete>(servers, load, load.keys, 0); }},
        {"floor bulk", [&servers, load] { return inserted(servers, load); }},
        {"enqueue bulk", [&servers, load] { return enqueued(servers, load); }},
        {"business alone", [&servers, load] { return business(servers, load, false); }},
        {"business with message", [&servers, load] { return business(servers, load, true); }},
    };
    if (!only.empty()) {
        std::erase_if(all, [&](measurement const& one) {
            return std::none_of(only.begin(), only.end(), [&](std::string const& word) {
                return one.first.find(word) != std::string::npos;
            });
        });
    }
    return all;
}

}  // namespace bench
