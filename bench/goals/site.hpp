// SPDX-License-Identifier: MIT
//
// Private servers with durable defaults, and on them, for one measurement, an empty outbox and an
// empty stream.
#pragma once

#include <algorithm>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "goals/goal.hpp"
#include "goals/processor_time.hpp"
#include "measure.hpp"
#include "outbox/broker/jetstream.hpp"
#include "outbox/outbox.hpp"
#include "outbox/storage/postgres.hpp"
#include "support/nats_server.hpp"
#include "support/postgres_server.hpp"

namespace bench::goals {

class servers {
public:
    support::postgres_server postgres{std::filesystem::temp_directory_path(), {}};
    support::nats_server nats{};
    support::nats_client admin{nats.url()};

    [[nodiscard]] processor_time spent() const {
        return processor_time_until_now(postgres.id(), nats.id());
    }
};

inline constexpr char const* topic = "bench.one";

/// An empty outbox in a schema of its own, an empty stream, and a connection.
class site {
public:
    using stream_change = void (*)(jsStreamConfig&);

    explicit site(
        servers& of, load const& wanted, stream_change change = [](jsStreamConfig&) {})
        : on{of},
          wants{wanted},
          table{std::string_view{of.postgres.fresh_schema() + ".outbox"}},
          sql{of.postgres.connect()},
          payload(static_cast<std::size_t>(wanted.payload_bytes), 'x') {
        outbox::postgres_storage::migrate(sql.handle(), table);
        of.admin.add_stream("BENCH", {"bench.>"}, [&](jsStreamConfig& config) {
            config.Storage = js_FileStorage;
            change(config);
        });
    }
    site(site const&) = delete;
    site& operator=(site const&) = delete;
    ~site() {
        on.admin.delete_stream("BENCH");
        sql("drop schema " + std::string{table.schema()} + " cascade");
    }

    template <class Delete = outbox::hard_delete, class Observer = outbox::silent>
    [[nodiscard]] auto box(outbox::options settings = {.batch_size = 1'000},
                           Observer watch = {}) const {
        return box_on<Delete>(outbox::postgres_storage{on.postgres.connection_string(), table},
                              settings, std::move(watch));
    }
    template <class Delete = outbox::hard_delete, class Observer = outbox::silent>
    [[nodiscard]] auto box_on(outbox::postgres_storage storage,
                              outbox::options settings = {.batch_size = 1'000},
                              Observer watch = {}) const {
        outbox::jetstream_options options;
        options.connection.url = on.nats.url();
        options.streams = {"BENCH"};
        return outbox::basic_outbox{std::move(storage), outbox::jetstream_broker{options},
                                    settings,           outbox::system_clock{},
                                    Delete{},           std::move(watch)};
    }
    [[nodiscard]] std::vector<std::string> keys(int count) const {
        std::vector<std::string> all;
        for (int i = 0; i < count; ++i) all.push_back("key-" + std::to_string(i));
        return all;
    }
    /// All messages of the load, a hundred a transaction.
    template <class Outbox>
    void fill(Outbox& box, std::vector<std::string> const& among) {
        constexpr int at_once = 100;
        std::vector<outbox::message> batch;
        std::size_t next = 0;
        for (int left = wants.messages; left > 0; left -= at_once) {
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
    /// Millions of rows in one statement of the server's own.
    void fill_at_once(std::int64_t rows) {
        sql("insert into " + std::string{table.qualified()} + " (topic, key, payload) select '" +
            topic + "', 'key-' || i % " + std::to_string(wants.keys) + ", convert_to(repeat('x', " +
            std::to_string(wants.payload_bytes) + "), 'UTF8') from generate_series(1, " +
            std::to_string(rows) + ") i");
        settle_down();
    }
    void settle_down() {
        sql("vacuum analyze " + std::string{table.qualified()});
        sql("checkpoint");
    }

    servers& on;
    load wants;
    outbox::table_name table;
    support::sql_connection sql;
    std::string payload;
};

/// How many a second, and the processors' microseconds for each.
[[nodiscard]] inline figures rates(std::string const& name, double messages, double took,
                                   processor_time const& spent) {
    auto const each = spent * (1e6 / messages);
    return {{name, messages / took},
            {name + ", own us", each.own},
            {name + ", database us", each.database},
            {name + ", broker us", each.broker}};
}

/// Times `work`, which deals with so many messages: how many a second, and the processors'
/// microseconds for each.
template <class Work>
figures timed(servers& on, std::string const& name, int messages, Work&& work) {
    auto const before = on.spent();
    auto const took = seconds(std::forward<Work>(work));
    return rates(name, messages, took, on.spent() - before);
}

}  // namespace bench::goals
