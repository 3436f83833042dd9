// SPDX-License-Identifier: MIT
//
// The README's program, run as it stands: its order is in the database and its message in the
// stream.
#include <cstdio>
#include <memory>
#include <string>

#include "outbox/testing/catch.hpp"
#include "support/nats_server.hpp"
#include "support/postgres_server.hpp"

TEST_CASE("the quickstart stores an order and delivers its message") {
    support::postgres_server database;
    support::nats_server nats;
    auto const command = "exec \"" + (support::program_folder() / "quickstart").string() + "\" \"" +
                         database.connection_string() + "\" " + nats.url();
    // It ends when its input does.
    std::FILE* const program = ::popen(command.c_str(), "w");
    REQUIRE(program != nullptr);

    support::nats_client client{nats.url()};
    auto const delivered = [&] {
        try {
            return client.read("ORDERS");
        } catch (std::runtime_error const&) {  // the stream is not there yet
            return std::vector<support::stored_message>{};
        }
    };
    support::wait_until_ready("the message", [&] { return !delivered().empty(); });
    CHECK(::pclose(program) == 0);

    auto const messages = delivered();
    REQUIRE(messages.size() == 1);
    CHECK(messages[0].subject == "order.created");
    CHECK(messages[0].payload == R"({"order": 17})");
    CHECK(database.connect()("select status from orders where id = 17") == "pending");
    CHECK(database.connect()("select count(*) from outbox where published_at is null") == "0");
}
