// SPDX-License-Identifier: MIT
#include "pairs.hpp"

#include "outbox/broker/memory.hpp"
#include "outbox/storage/memory.hpp"
#include "support/process.hpp"

#ifdef BENCH_SQLITE
#include <sqlite3.h>

#include "file_broker.hpp"
#include "outbox/storage/sqlite.hpp"
#include "support/sqlite_case.hpp"
#endif
#ifdef BENCH_POSTGRES
#include "outbox/broker/jetstream.hpp"
#include "outbox/storage/postgres.hpp"
#include "support/nats_server.hpp"
#include "support/postgres_server.hpp"
#endif

namespace bench {
namespace {

/// A broker that costs nothing: what is measured is the rest.
[[nodiscard]] outbox::memory_broker sink() {
    outbox::memory_broker broker;
    broker.keep_copies(false);
    return broker;
}

figures memory_to_memory(load const& wanted) {
    using storage_type = outbox::basic_memory_storage<outbox::system_clock>;
    outbox::basic_outbox box{storage_type{}, sink(), settings(wanted)};
    storage_type::connection connection;
    return measure(box, connection, wanted);
}

#ifdef BENCH_SQLITE

template <class MakeBroker>
figures from_sqlite(load const& wanted, MakeBroker make_broker) {
    support::temporary_folder folder;
    auto const path = (folder.path() / "bench.db").string();
    support::sqlite_handle sql{path};
    sql("pragma synchronous = full");
    outbox::sqlite_storage::migrate(sql.handle());
    outbox::basic_outbox box{outbox::sqlite_storage{path}, make_broker(folder.path()),
                             settings(wanted)};
    auto* const connection = sql.handle();
    return measure(box, connection, wanted);
}

figures sqlite_to_memory(load const& wanted) {
    return from_sqlite(wanted, [](auto const& /*folder*/) { return sink(); });
}
figures sqlite_to_file(load const& wanted) {
    return from_sqlite(wanted,
                       [](auto const& folder) { return demo::file_broker{folder / "out.log"}; });
}

#endif
#ifdef BENCH_POSTGRES

template <class Broker>
figures from_postgres(load const& wanted, Broker broker) {
    auto& server = support::postgres_server::shared();
    outbox::table_name const table{std::string_view{server.fresh_schema() + ".outbox"}};
    auto sql = server.connect();
    outbox::postgres_storage::migrate(sql.handle(), table);
    sql("vacuum analyze");
    outbox::basic_outbox box{outbox::postgres_storage{server.connection_string(), table},
                             std::move(broker), settings(wanted)};
    auto* const connection = sql.handle();
    return measure(box, connection, wanted);
}

figures postgres_to_memory(load const& wanted) {
    return from_postgres(wanted, sink());
}
figures postgres_to_jetstream(load const& wanted) {
    static support::nats_server nats;
    outbox::jetstream_options options;
    options.connection.url = nats.url();
    options.create_stream = outbox::jetstream_stream{.name = "BENCH", .subjects = {"bench.>"}};
    return from_postgres(wanted, outbox::jetstream_broker{options});
}

#endif

}  // namespace

std::vector<pair> pairs() {
    std::vector<pair> all{{"memory to memory", memory_to_memory}};
#ifdef BENCH_SQLITE
    all.push_back({"sqlite to memory", sqlite_to_memory});
    all.push_back({"sqlite to file", sqlite_to_file});
#endif
#ifdef BENCH_POSTGRES
    all.push_back({"postgres to memory", postgres_to_memory});
    all.push_back({"postgres to jetstream", postgres_to_jetstream});
#endif
    return all;
}

}  // namespace bench
