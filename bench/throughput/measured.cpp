// SPDX-License-Identifier: MIT
//
// The storages, brokers and delete policies that are measured together.
#include <sqlite3.h>

#include <string>
#include <utility>

#include "outbox/broker/memory.hpp"
#include "outbox/broker/nats.hpp"
#include "outbox/storage/memory.hpp"
#include "support/sqlite_case.hpp"
#include "throughput/measure.hpp"

namespace bench::throughput {

namespace {

class postgres_side {
public:
    explicit postgres_side(goals::site& at) : at_{at} {}
    [[nodiscard]] outbox::postgres_storage storage() const {
        return outbox::postgres_storage{at_.on.postgres.connection_string(), at_.table};
    }
    [[nodiscard]] support::sql_connection connect() const {
        return at_.on.postgres.connect();
    }
    static PGconn* on(support::sql_connection const& connection) {
        return connection.handle();
    }
    void settle_down() {
        at_.settle_down();
    }

private:
    goals::site& at_;
};

/// Every commit is on the disk before it returns, as with PostgreSQL.
class sqlite_side {
public:
    explicit sqlite_side(goals::site& /*at*/) {
        outbox::sqlite_storage::migrate(sql_.handle());
    }
    [[nodiscard]] outbox::sqlite_storage storage() const {
        return outbox::sqlite_storage{path_};
    }
    [[nodiscard]] std::unique_ptr<support::sqlite_handle> connect() const {
        auto made = std::make_unique<support::sqlite_handle>(path_);
        sqlite3_busy_timeout(made->handle(), 60'000);
        (*made)("pragma synchronous = full");
        return made;
    }
    static sqlite3* on(std::unique_ptr<support::sqlite_handle> const& connection) {
        return connection->handle();
    }
    void settle_down() {
        sql_("pragma wal_checkpoint(truncate)");
    }

private:
    support::temporary_folder folder_{};
    std::string path_{(folder_.path() / "bench.db").string()};
    support::sqlite_handle sql_{path_};
};

class memory_side {
public:
    using storage_type = outbox::basic_memory_storage<outbox::system_clock>;

    explicit memory_side(goals::site& /*at*/) {}
    [[nodiscard]] storage_type storage() const {
        return storage_;
    }
    static storage_type::connection connect() {
        return {};
    }
    static storage_type::connection& on(storage_type::connection& connection) {
        return connection;
    }
    void settle_down() {}

private:
    storage_type storage_{};
};

outbox::jetstream_broker jetstream(goals::site const& at) {
    outbox::jetstream_options options;
    options.connection.url = at.on.nats.url();
    options.streams = {"BENCH"};
    return outbox::jetstream_broker{options};
}
outbox::nats_broker core_nats(goals::site const& at) {
    return outbox::nats_broker{{.url = at.on.nats.url()}};
}
/// A broker that costs nothing: what is measured is the rest.
outbox::memory_broker sink(goals::site const& /*at*/) {
    outbox::memory_broker broker;
    broker.keep_copies(false);
    return broker;
}

/// Each way with an outbox of its own, empty before.
template <class Side, class Delete, class MakeBroker>
figures all_ways(goals::servers& on, variation const& one, effort const& most,
                 MakeBroker make_broker) {
    using broker_type = std::invoke_result_t<MakeBroker, goals::site const&>;
    goals::load const empty{.messages = 0, .payload_bytes = one.what.payload_bytes};
    figures all;
    auto const with = [&](auto&& measure) {
        goals::site at{on, empty};
        Side side{at};
        bench_of<Side, broker_type, Delete> bench{side, make_broker(at), one.what, most};
        measure(bench);
    };
    if (one.enqueue) {
        with([&](auto& bench) {
            for (int const producers : {1, 8, 32}) {
                all.emplace_back("one a transaction, " + std::to_string(producers) +
                                     (producers == 1 ? " producer" : " producers"),
                                 bench.enqueued(producers, 1));
            }
            all.emplace_back("100 a transaction", bench.enqueued(1, at_once));
        });
    }
    with([&](auto& bench) { all.emplace_back("relay", bench.relayed()); });
    with([&](auto& bench) { all.emplace_back("sustained", bench.sustained()); });
    return all;
}

}  // namespace

figures measured(goals::servers& on, variation const& one, effort const& most) {
    using outbox::hard_delete;
    using outbox::soft_delete;
    auto const& what = one.what;
    switch (what.storage) {
        case storage_kind::sqlite:
            return all_ways<sqlite_side, hard_delete>(on, one, most, jetstream);
        case storage_kind::memory:
            return all_ways<memory_side, hard_delete>(on, one, most, jetstream);
        case storage_kind::postgres: break;
    }
    switch (what.broker) {
        case broker_kind::nats:
            return all_ways<postgres_side, hard_delete>(on, one, most, core_nats);
        case broker_kind::memory: return all_ways<postgres_side, hard_delete>(on, one, most, sink);
        case broker_kind::jetstream: break;
    }
    return what.deletes == delete_kind::soft
               ? all_ways<postgres_side, soft_delete>(on, one, most, jetstream)
               : all_ways<postgres_side, hard_delete>(on, one, most, jetstream);
}

}  // namespace bench::throughput
