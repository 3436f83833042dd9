// SPDX-License-Identifier: MIT
//
// What stays prepared on a caller's connection, and what may happen to it there. Every message is
// stored, whatever does.
#include <poll.h>

#include <array>
#include <thread>

#include "chaos/socket.hpp"
#include "outbox/testing/catch.hpp"
#include "support/postgres_case.hpp"

using support::numbered;
using support::postgres_case;

namespace {

struct producing : postgres_case {
    std::uint8_t last{0};

    void put_one(support::sql_connection& on) {
        storage.begin(on.handle());
        add(on, ++last, "k");
        storage.commit(on.handle());
    }
    void put_three(support::sql_connection& on) {
        for (int i = 0; i < 3; ++i) put_one(on);
    }
    void put_two(support::sql_connection& on) {
        std::array<outbox::draft, 2> both{};
        for (auto& one : both) one = {.id = numbered(++last), .topic = "t", .payload = "p"};
        storage.begin(on.handle());
        storage.append(on.handle(), both);
        storage.commit(on.handle());
    }
    std::string stored() {
        return run("select count(*) from outbox");
    }
};

std::string prepared(support::sql_connection& on) {
    return on("select count(*) from pg_prepared_statements where name like 'outbox%'");
}

/// Passes on what a client and the server say, but for the process that the server names, as a
/// pooler does.
class pooler {
public:
    explicit pooler(int server_port)
        : listener_{chaos::listening_socket(0)},
          port_{chaos::port_of(listener_)},
          thread_{[this, server_port] { serve(server_port); }} {}
    ~pooler() {
        thread_.join();
    }
    pooler(pooler const&) = delete;
    pooler& operator=(pooler const&) = delete;

    [[nodiscard]] int port() const {
        return port_;
    }

private:
    void serve(int server_port) {
        chaos::file_descriptor const client{::accept(listener_.number(), nullptr, nullptr)};
        auto const server = chaos::connected_socket(server_port, 0);
        std::array<pollfd, 2> both{{{client.number(), POLLIN, 0}, {server.number(), POLLIN, 0}}};
        std::string bytes(64 * 1024, '\0');
        while (::poll(both.data(), both.size(), -1) > 0) {
            bool const from_client = both[0].revents != 0;
            auto const size = ::recv(from_client ? client.number() : server.number(), bytes.data(),
                                     bytes.size(), 0);
            if (size <= 0) return;
            if (!from_client) rename_process(bytes.substr(0, static_cast<std::size_t>(size)));
            auto const& text = from_client ? bytes : renamed_;
            ::send(from_client ? server.number() : client.number(), text.data(),
                   static_cast<std::size_t>(size), MSG_NOSIGNAL);
        }
    }
    /// 'K', its length of 12, and the process in the next four bytes.
    void rename_process(std::string text) {
        constexpr std::string_view key_data{"K\0\0\0\x0c", 5};
        if (auto const at = text.find(key_data); at != std::string::npos) text[at + 5] ^= 0x55;
        renamed_ = std::move(text);
    }

    chaos::file_descriptor listener_;
    int port_;
    std::string renamed_{};
    std::thread thread_;
};

}  // namespace

TEST_CASE("the second message on a connection finds its statement prepared") {
    producing at;
    at.put_one(at.sql);
    CHECK(prepared(at.sql) == "0");
    at.put_one(at.sql);
    CHECK(prepared(at.sql) == "1");
    at.put_one(at.sql);
    CHECK(prepared(at.sql) == "1");
    for (int i = 0; i < 3; ++i) at.put_two(at.sql);
    CHECK(prepared(at.sql) == "2");
    CHECK(at.stored() == "9");
}

TEST_CASE("each connection has its own") {
    producing at;
    auto other = at.server.connect();
    at.put_three(at.sql);
    CHECK(prepared(at.sql) == "1");
    CHECK(prepared(other) == "0");
    at.put_three(other);
    CHECK(prepared(other) == "1");
    CHECK(at.stored() == "6");
}

TEST_CASE("what the caller discards is prepared again") {
    producing at;
    auto const* const way = GENERATE("discard all", "deallocate all", "a reset of the connection");
    INFO(way);
    at.put_three(at.sql);
    if (std::string_view{way}.starts_with("d")) {
        at.sql(way);
    } else {
        PQreset(at.sql.handle());
    }
    CHECK(prepared(at.sql) == "0");
    at.put_three(at.sql);
    CHECK(prepared(at.sql) == "1");
    CHECK(at.stored() == "6");
}

TEST_CASE("what the caller deallocates in the middle of a transaction is prepared again") {
    producing at;
    at.put_three(at.sql);
    at.storage.begin(at.sql.handle());
    at.add(at.sql, ++at.last, "k");
    at.sql("deallocate all");
    at.add(at.sql, ++at.last, "k");
    at.add(at.sql, ++at.last, "k");
    at.storage.commit(at.sql.handle());
    CHECK(at.stored() == "6");
}

TEST_CASE("statements of the caller's own come and go") {
    producing at;
    at.put_three(at.sql);
    at.sql("prepare mine as select 1");
    at.sql("deallocate mine");
    at.put_one(at.sql);
    CHECK(prepared(at.sql) == "1");
    CHECK(at.stored() == "4");
}

TEST_CASE("what is taken away unseen costs one transaction, and is prepared no more") {
    producing at;
    at.put_three(at.sql);
    at.sql("do $$ begin execute 'deallocate all'; end $$");
    at.storage.begin(at.sql.handle());
    CHECK_THROWS_AS(at.add(at.sql, ++at.last, "k"), outbox::error);
    at.storage.rollback(at.sql.handle());
    at.put_three(at.sql);
    CHECK(prepared(at.sql) == "0");
    CHECK(at.stored() == "6");
}

TEST_CASE("nothing is prepared through a pooler") {
    producing at;
    pooler const between{at.server.port()};
    support::sql_connection through{at.server.connection_string() +
                                    " port=" + std::to_string(between.port()) +
                                    " sslmode=disable gssencmode=disable"};
    at.put_three(through);
    CHECK(prepared(through) == "0");
    CHECK(at.stored() == "3");
}

TEST_CASE("nothing is prepared where the options say so") {
    producing at;
    at.storage =
        outbox::postgres_storage{at.server.connection_string(), at.table, {.prepare = false}};
    at.put_three(at.sql);
    CHECK(prepared(at.sql) == "0");
    CHECK(at.stored() == "3");
}

TEST_CASE("a table that is made anew is found by what was prepared for the old one") {
    producing at;
    at.put_three(at.sql);
    at.sql("drop schema " + at.schema + " cascade");
    outbox::postgres_storage::migrate(at.sql.handle(), at.table);
    at.put_one(at.sql);
    CHECK(at.stored() == "1");
}
