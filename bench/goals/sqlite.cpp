// SPDX-License-Identifier: MIT
//
// SQLite beside loops on its C API: with JetStream, as all relays are measured; and with the memory
// double, which answers at once and keeps nothing, so that nothing hides what our own code costs.
#include "floor/sqlite.hpp"
#include "goals/goal.hpp"
#include "goals/site.hpp"
#include "outbox/broker/memory.hpp"
#include "outbox/storage/sqlite.hpp"
#include "support/sqlite_case.hpp"

namespace bench::goals {

namespace {

constexpr int at_once = 100;
constexpr int batch = 1'000;

/// An empty outbox in a file of its own, and the caller's connection to it.
class file {
public:
    file() {
        sql("pragma synchronous = full");
        outbox::sqlite_storage::migrate(sql.handle());
        sink.keep_copies(false);
    }
    template <class Broker>
    [[nodiscard]] auto box(Broker to) const {
        return outbox::basic_outbox{outbox::sqlite_storage{path},
                                    std::move(to),
                                    {.batch_size = batch},
                                    outbox::system_clock{},
                                    outbox::hard_delete{}};
    }

private:
    support::temporary_folder folder_{};

public:
    std::string path{(folder_.path() / "bench.db").string()};
    support::sqlite_handle sql{path};
    outbox::memory_broker sink{};
};

std::vector<std::string> keys_of(load const& wanted) {
    std::vector<std::string> all;
    for (int i = 0; i < wanted.keys; ++i) all.push_back("key-" + std::to_string(i));
    return all;
}

/// A commit of its own waits for the disk: a twentieth of them tells as much.
int transactions(load const& wanted, int rows) {
    return std::max(1, rows == 1 ? wanted.messages / 20 : wanted.messages / rows);
}

figures enqueued(servers& on, std::string const& name, load const& wanted, int rows) {
    file at;
    auto box = at.box(at.sink);
    auto const keys = keys_of(wanted);
    std::string const payload(static_cast<std::size_t>(wanted.payload_bytes), 'x');
    std::size_t next = 0;
    std::vector<outbox::message> together;
    int const count = transactions(wanted, rows);
    return timed(on, name, count * rows, [&] {
        for (int i = 0; i < count; ++i) {
            auto work = box.begin(at.sql.handle());
            if (rows == 1) {
                box.create_message(work, topic, payload, {.key = keys[next++ % keys.size()]});
            } else {
                together.clear();
                for (int j = 0; j < rows; ++j)
                    together.push_back({topic, payload, {.key = keys[next++ % keys.size()]}});
                box.create_messages(work, together);
            }
            work.commit();
        }
    });
}

figures inserted(servers& on, std::string const& name, load const& wanted, int rows) {
    file at;
    floor::sqlite_insert insert{at.sql.handle()};
    auto const keys = keys_of(wanted);
    std::string const payload(static_cast<std::size_t>(wanted.payload_bytes), 'x');
    int const count = transactions(wanted, rows);
    return timed(on, name, count * rows, [&] {
        for (int i = 0; i < count; ++i) insert(topic, keys, payload, rows);
    });
}

void fill(file& at, load const& wanted) {
    floor::sqlite_insert insert{at.sql.handle()};
    auto const keys = keys_of(wanted);
    std::string const payload(static_cast<std::size_t>(wanted.payload_bytes), 'x');
    for (int left = wanted.messages; left > 0; left -= batch)
        insert(topic, keys, payload, std::min(left, batch));
    at.sql("pragma wal_checkpoint(truncate)");
}

void require_all(file const& at, load const& wanted, std::uint64_t arrived) {
    if (arrived == static_cast<std::uint64_t>(wanted.messages) &&
        at.sql("select count(*) from outbox") == "0") {
        return;
    }
    throw std::runtime_error{"messages were left behind, or sent twice"};
}

template <class Broker>
figures drained(servers& on, std::string const& name, load const& wanted, file& at, Broker to) {
    fill(at, wanted);
    auto box = at.box(std::move(to));
    auto worker = box.make_worker();
    return timed(on, name, wanted.messages, [&] { worker.drain(std::chrono::hours{1}); });
}

template <class Channel>
figures drained_by_hand(servers& on, std::string const& name, load const& wanted, file& at,
                        Channel& to) {
    fill(at, wanted);
    support::sqlite_handle const sql{at.path};
    floor::sqlite_relay loop{sql.handle(), to, batch};
    return timed(on, name, wanted.messages, [&] { loop.drain(); });
}

figures to_memory(servers& on, std::string const& name, load const& wanted, bool by_hand) {
    file at;
    floor::memory_channel channel{at.sink};
    auto read = by_hand ? drained_by_hand(on, name, wanted, at, channel)
                        : drained(on, name, wanted, at, at.sink);
    require_all(at, wanted, at.sink.count());
    return read;
}

figures to_jetstream(servers& on, std::string const& name, load const& wanted, bool by_hand) {
    site const empty_stream{on, wanted};
    file at;
    floor::jetstream_channel channel{on.nats.url()};
    outbox::jetstream_options options;
    options.connection.url = on.nats.url();
    options.streams = {"BENCH"};
    auto read = by_hand ? drained_by_hand(on, name, wanted, at, channel)
                        : drained(on, name, wanted, at, outbox::jetstream_broker{options});
    require_all(at, wanted, on.admin.extent_of("BENCH").messages);
    return read;
}

}  // namespace

family sqlite_family(std::shared_ptr<servers> const& on, load const& wanted) {
    family all{.name = "sqlite"};
    using enum goal::kind;
    all.goals = {
        {"sqlite_relay", "SQLite to JetStream against the loop on the C API", "sqlite relay",
         "floor sqlite relay", at_least, 0.9},
        {"sqlite_relay_alone", "the same to a broker that costs nothing", "sqlite to memory",
         "floor sqlite to memory", shown, 0},
        {"sqlite_enqueue", "one message a transaction against an insert on the C API",
         "sqlite enqueue", "floor sqlite enqueue", at_least, 0.9},
        {"sqlite_enqueue_bulk", "100 messages a transaction against inserts on the C API",
         "sqlite bulk", "floor sqlite bulk", at_least, 0.9},
    };
    auto const add = [&](std::string const& name, auto measure) {
        all.measurements.push_back({name, [=] { return measure(*on, name); }});
    };
    using text = std::string const&;
    add("floor sqlite relay",
        [=](servers& here, text name) { return to_jetstream(here, name, wanted, true); });
    add("sqlite relay",
        [=](servers& here, text name) { return to_jetstream(here, name, wanted, false); });
    add("floor sqlite to memory",
        [=](servers& here, text name) { return to_memory(here, name, wanted, true); });
    add("sqlite to memory",
        [=](servers& here, text name) { return to_memory(here, name, wanted, false); });
    add("floor sqlite enqueue",
        [=](servers& here, text name) { return inserted(here, name, wanted, 1); });
    add("sqlite enqueue",
        [=](servers& here, text name) { return enqueued(here, name, wanted, 1); });
    add("floor sqlite bulk",
        [=](servers& here, text name) { return inserted(here, name, wanted, at_once); });
    add("sqlite bulk",
        [=](servers& here, text name) { return enqueued(here, name, wanted, at_once); });
    return all;
}

}  // namespace bench::goals
