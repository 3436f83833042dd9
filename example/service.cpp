// SPDX-License-Identifier: MIT
//
// The origin's example service: HTTP in front, PostgreSQL behind, a worker that publishes to
// JetStream in the same process.
#include <httplib.h>
#include <signal.h>

#include <chrono>
#include <exception>
#include <iostream>
#include <mutex>
#include <thread>

#include "create_message.hpp"
#include "log_time.hpp"
#include "outbox/broker/jetstream.hpp"
#include "outbox/outbox.hpp"
#include "outbox/storage/postgres.hpp"
#include "service_options.hpp"
#include "sessions.hpp"

namespace {

constexpr char const* plain = "text/plain; charset=utf-8";
constexpr char const* route = "/create-message";

auto make_outbox(example::service_options const& given) {
    auto const level = given.debug ? outbox::log_level::debug : outbox::log_level::info;
    auto const write = [mutex = std::make_shared<std::mutex>()](outbox::log_level at,
                                                                std::string const& line) {
        std::lock_guard const lock{*mutex};
        std::cerr << example::now_as_text() << ' ' << to_string(at) << ' ' << line << '\n';
    };
    return outbox::basic_outbox{
        outbox::postgres_storage{given.database},
        outbox::jetstream_broker{
            {.connection = {.url = given.nats},
             .create_stream =
                 outbox::jetstream_stream{.name = given.stream, .subjects = given.subjects}}},
        given.settings,
        outbox::system_clock{},
        outbox::soft_delete{},
        outbox::logging_observer{level, write}};
}

int migrate(std::string const& database) {
    soci::session sql{soci::postgresql, database};
    outbox::postgres_storage::migrate(sql);
    sql << "create table if not exists orders (id bigserial primary key, type text not null,"
           " status text not null)";
    std::cerr << "the tables are there\n";
    return 0;
}

template <class Outbox>
void add_routes(httplib::Server& server, Outbox& box, example::sessions& pool,
                example::service_options const& given) {
    server.Post(route, [&](httplib::Request const& request, httplib::Response& response) {
        auto const answer = example::create_message(box, pool, given, request.body);
        response.status = answer.status;
        response.set_content(answer.text, plain);
    });
    auto const refuse = [](httplib::Request const&, httplib::Response& response) {
        response.status = 405;
        response.set_header("Allow", "POST");
        response.set_content("Method not allowed: POST it", plain);
    };
    server.Get(route, refuse);
    server.Put(route, refuse);
    server.Patch(route, refuse);
    server.Delete(route, refuse);
    server.Options(route, refuse);
    server.Get("/stats", [&](httplib::Request const&, httplib::Response& response) {
        try {
            auto const figures = box.stats();
            nlohmann::ordered_json const text{
                {"backlog", figures.storage.backlog},
                {"backlog_is_estimate", figures.storage.backlog_is_estimate},
                {"oldest_age_ms", figures.storage.oldest_age.count() / 1'000},
                {"retrying", figures.storage.retrying},
                {"dead", figures.storage.dead},
                {"partitions_held_here", figures.partitions_held_here},
                {"broker_down", figures.broker_down},
                {"storage_down", figures.storage_down},
                {"last_error", figures.last_error}};
            response.set_content(text.dump(2) + "\n", "application/json");
        } catch (outbox::error const& failed) {
            response.status = 503;
            response.set_content(std::string{failed.what()} + "\n", plain);
        }
    });
}

int serve(example::service_options const& given) {
    // Taken by sigwait below; blocked before any thread exists, so that no other one gets them.
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &ends, nullptr);

    auto box = make_outbox(given);
    example::sessions pool{given.database};
    httplib::Server server;
    add_routes(server, box, pool, given);
    if (!server.bind_to_port("127.0.0.1", given.port)) {
        std::cerr << "port " << given.port << " is taken: choose another one with --port\n";
        return 1;
    }
    auto worker = box.start_worker();
    std::thread requests{[&] { server.listen_after_bind(); }};
    std::cerr << "POST http://127.0.0.1:" << given.port << route << '\n';
    int signal = 0;
    sigwait(&ends, &signal);
    std::cerr << "stopping\n";
    server.stop();
    requests.join();
    auto const stopped = worker.stop(std::chrono::seconds{5});
    return stopped.clean() ? 0 : 1;
}

}  // namespace

int main(int count, char** words) {
    example::service_options given;
    CLI::App app{"The example service of outbox"};
    given.add_to(app);
    CLI11_PARSE(app, count, words);
    try {
        return given.migrate ? migrate(given.database) : serve(given);
    } catch (outbox::error const& failed) {
        std::cerr << failed.what() << '\n';
    } catch (soci::soci_error const&) {
        std::cerr << "the database cannot be used: is it up? (make up)\n";
    } catch (std::exception const& failed) {
        std::cerr << failed.what() << '\n';
    }
    return 1;
}
