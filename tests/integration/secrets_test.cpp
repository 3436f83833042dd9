// SPDX-License-Identifier: MIT
//
// Nothing that the library says repeats a password, a token, a payload or a header's value: each of
// these is a canary here, and every error, log line, dead letter's reason and figure is searched.
#include <mutex>

#include "outbox/broker/jetstream.hpp"
#include "outbox/broker/nats.hpp"
#include "outbox/logging.hpp"
#include "outbox/outbox.hpp"
#include "outbox/testing/catch.hpp"
#include "support/nats_server.hpp"
#include "support/postgres_case.hpp"

namespace {

using namespace std::chrono_literals;

/// Everything that was said, to be searched.
class hearing {
public:
    void operator()(outbox::log_level /*level*/, std::string const& line) {
        add(line);
    }
    void add(std::string const& text) {
        std::lock_guard const lock{all_->mutex};
        all_->text += text + "\n";
    }
    /// What this throws; something must be thrown.
    template <class Action>
    void failure_of(Action&& action) {
        try {
            action();
            FAIL("nothing was thrown");
        } catch (outbox::error const& why) {
            add(why.what());
        }
    }
    [[nodiscard]] std::string text() const {
        std::lock_guard const lock{all_->mutex};
        return all_->text;
    }
    [[nodiscard]] bool heard(std::string_view what) const {
        return text().find(what) != std::string::npos;
    }
    /// As text, or as PostgreSQL shows bytes.
    [[nodiscard]] bool heard_a_canary() const {
        return heard("canary") || heard("63616e617279");
    }

private:
    struct shared {
        std::mutex mutex{};
        std::string text{};
    };
    std::shared_ptr<shared> all_{std::make_shared<shared>()};
};

std::string const payload = "canary in the payload";
std::vector<outbox::header> const headers{{"trace", "canary in a header"}};

using logging = outbox::logging_observer<hearing>;
using box_type = outbox::basic_outbox<outbox::postgres_storage, outbox::jetstream_broker,
                                      outbox::system_clock, outbox::soft_delete, logging>;

outbox::options quick() {
    return {.poll_interval = 50ms,
            .lease_duration = 4s,
            .max_attempts = 2,
            .backoff_min = 10ms,
            .backoff_max = 50ms,
            .probe_max = 100ms};
}

/// A PostgreSQL with the outbox, a stream that takes `all.>` in small messages, and a box whose log
/// is heard.
struct overheard {
    hearing said{};
    support::postgres_case shop{};
    support::nats_server nats{};
    std::shared_ptr<support::nats_client> client =
        std::make_shared<support::nats_client>(nats.url());
    box_type box = open();

    box_type open() {
        client->add_stream("ALL", {"all.>"},
                           [](jsStreamConfig& config) { config.MaxMsgSize = 2'000; });
        outbox::jetstream_broker broker{{.connection = {.url = nats.url()}, .streams = {"ALL"}}};
        return box_type{shop.storage, std::move(broker),
                        quick(),      {},
                        {},           logging{outbox::log_level::debug, said}};
    }
    void store(std::string_view topic, std::string const& bytes, std::string_view key) {
        auto work = box.begin(shop.sql.handle());
        box.create_message(work, topic, bytes, {.key = key, .headers = headers});
        work.commit();
    }
    /// The call throws, and its transaction is rolled back.
    void refuse(std::string_view topic, std::string const& bytes,
                outbox::message_options const& more) {
        auto work = box.begin(shop.sql.handle());
        said.failure_of([&] { box.create_message(work, topic, bytes, more); });
    }
    void wait_until_delivered() {
        support::wait_until_ready("the delivery of everything",
                                  [&] { return box.stats().storage.backlog == 0; });
    }
};

}  // namespace

TEST_CASE("no failure to reach PostgreSQL says a password") {
    auto const live = support::postgres_server::shared().connection_string();
    hearing said;
    std::vector<std::string> const unreachable{
        "host=127.0.0.1 port=1 dbname=none password=canary",
        "postgresql://somebody:canary@127.0.0.1:1/none",
        "postgresql://somebody:canary@127.0.0.1:1,127.0.0.1:2/none?connect_timeout=2",
        live + " dbname=none password=canary",
        live + " user=nobody password=canary",
        live + " password=canary sslmode=require",
        live + " password=canary sslmode=verify-full sslrootcert=/nowhere/ca.pem",
        live + " password=canary options='-c search_path=nowhere'",
    };
    for (auto const& one : unreachable) {
        outbox::postgres_storage storage{one};
        said.failure_of([&] { static_cast<void>(storage.connect(support::numbered(1), 5s)); });
        said.failure_of([&] { static_cast<void>(storage.statistics()); });
        said.failure_of([&] { storage.purge_dead(1h, 10); });
    }
    for (std::string const malformed :
         {"password=canary host", "postgresql://somebody:canary@127.0.0.1:port/none",
          "passwort=canary", "password='canary", "postgresql://u:canary@[::1/none"}) {
        said.failure_of([&] {
            outbox::postgres_storage storage{malformed};
            static_cast<void>(storage.connect(support::numbered(1), 5s));
        });
    }
    INFO(said.text());
    CHECK(said.heard("127.0.0.1"));
    CHECK_FALSE(said.heard_a_canary());
}

TEST_CASE("no failure to reach NATS says a password, a token or a key") {
    support::temporary_folder const folder;
    auto const file = (folder.path() / "credentials").string();
    std::ofstream{file} << "canary, and no credentials\n";
    support::nats_server const guarded{"authorization { user: somebody, password: right }"};
    auto const address = "127.0.0.1:" + std::to_string(guarded.port());
    std::vector<outbox::nats_connection_options> const unreachable{
        {.url = "nats://somebody:canary@127.0.0.1:1"},
        {.url = "nats://canary@127.0.0.1:1"},
        {.url = "nats://somebody:canary@" + address},
        {.url = "nats://canary@" + address},
        {.url = "nats://a:canary@127.0.0.1:1,nats://b:canary@" + address},
        {.url = "tls://somebody:canary@" + address},
        {.url = "nats://somebody:canary@127.0.0.1:port"},
        {.url = "nats://somebody:canary @" + address},
        {.url = guarded.url(), .user = "somebody", .password = "canary"},
        {.url = guarded.url(), .token = "canary"},
        {.url = guarded.url(), .credentials_file = file},
        {.url = guarded.url(), .credentials_file = "/nowhere/credentials"},
        {.url = guarded.url(), .nkey = "canary", .nkey_seed_file = file},
        {.url = guarded.url(), .user = "somebody", .password = "canary", .token = "canary"},
        {.url = guarded.url(),
         .user = "somebody",
         .password = "canary",
         .tls = {.required = true, .ca_file = file}},
    };
    hearing said;
    outbox::wakeup signal;
    outbox::channel_setup const setup{.outbox_name = "outbox",
                                      .signal = signal,
                                      .publish_timeout = 1s,
                                      .lease = 4s,
                                      .window = 10};
    for (auto const& one : unreachable) {
        said.failure_of([&] {
            outbox::jetstream_broker broker{{.connection = one}};
            static_cast<void>(broker.connect(setup));
        });
        said.failure_of([&] {
            outbox::nats_broker broker{one};
            static_cast<void>(broker.connect(setup));
        });
    }
    INFO(said.text());
    CHECK(said.heard("127.0.0.1"));
    CHECK_FALSE(said.heard_a_canary());
}

TEST_CASE("no refusal of a message repeats its payload or the value of a header") {
    overheard at;
    at.refuse("all in blanks", payload, {.headers = headers});
    at.refuse("all.good", payload + std::string(2'000'000, '.'), {.headers = headers});
    at.refuse("all.good", "", {.headers = headers});
    at.refuse("all.good", payload, {.key = std::string(2'000, 'k'), .headers = headers});
    std::vector<outbox::header> const broken{{"trace", "canary\r\n"}};
    at.refuse("all.good", payload, {.headers = broken});
    std::vector<outbox::header> const reserved{{"Nats-Msg-Id", "canary"}};
    at.refuse("all.good", payload, {.headers = reserved});

    // PostgreSQL would show the whole row.
    at.shop.run("alter table outbox add constraint no_such check (topic <> 'all.forbidden')");
    at.refuse("all.forbidden", payload, {.headers = headers});
    CHECK(at.said.heard("no_such"));

    auto const own = support::numbered(7);
    auto work = at.box.begin(at.shop.sql.handle());
    at.box.create_message(work, "all.good", payload, {.headers = headers, .id = own});
    at.said.failure_of([&] {
        at.box.create_message(work, "all.good", payload + "!", {.headers = headers, .id = own});
    });
    work.rollback();
    at.said.failure_of([&] { at.box.create_message(work, "all.good", payload); });
    INFO(at.said.text());
    CHECK_FALSE(at.said.heard_a_canary());
}

TEST_CASE("no failure of a delivery repeats a payload or the value of a header") {
    overheard at;
    at.store("all.good", payload, "a");
    at.store("none.takes", payload, "b");
    at.store("all.large", payload + std::string(3'000, '.'), "c");
    at.shop.run("insert into outbox (topic, payload) values ('no topic', 'canary')");
    at.shop.run(
        "insert into outbox (topic, key, headers, payload) values ('all.good', 'd', 'canary', "
        "'x')");
    // Dead letters cannot be stored for a while.
    at.shop.run("alter table outbox add constraint nobody_dies check (state <> 3)");
    auto worker = at.box.start_worker();
    support::wait_until_ready("a failure of the storage", [&] {
        return at.said.heard("storage cannot be used") && at.box.stats().storage_down;
    });
    at.said.add(at.box.stats().last_error);
    at.shop.run("alter table outbox drop constraint nobody_dies");
    at.wait_until_delivered();

    at.nats.kill();
    at.store("all.good", payload, "e");
    support::wait_until_ready("a failure of the broker",
                              [&] { return at.said.heard("broker cannot be used"); });
    at.said.add(at.box.stats().last_error);
    at.nats.start();
    at.wait_until_delivered();
    CHECK(worker.stop(10s).clean());

    auto const dead = at.box.dead_letters();
    CHECK(dead.size() == 4);
    for (auto const& one : dead) {
        CHECK_FALSE(one.last_error.empty());
        at.said.add(one.last_error);
    }
    INFO(at.said.text());
    CHECK(at.said.heard("is a dead letter"));
    CHECK(at.said.heard("accepted after"));
    CHECK_FALSE(at.said.heard_a_canary());
    auto const arrived = support::nats_client{at.nats.url()}.read("ALL");
    REQUIRE(arrived.size() == 2);
    CHECK(arrived[1].payload == payload);
    CHECK(arrived[1].header("trace") == headers[0].value);
}
