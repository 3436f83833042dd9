// SPDX-License-Identifier: MIT
//
// A PostgreSQL that demands TLS: who is sure of it gets in, and everybody else learns why not.
#include "outbox/testing/catch.hpp"
#include "support/certificates.hpp"
#include "support/postgres_case.hpp"

namespace {

using namespace std::chrono_literals;

/// Why the storage does not get in; empty: it does.
std::string refusal_of(support::postgres_server const& server, std::string const& more) {
    outbox::postgres_storage storage{server.connection_string() +
                                     " host=localhost hostaddr=127.0.0.1 password=canary " + more};
    try {
        static_cast<void>(storage.connect(support::numbered(1), 10s));
        return {};
    } catch (outbox::error const& refused) {
        CHECK(refused.code() == outbox::errc::unavailable);
        std::string text{refused.what()};
        CHECK(text.find("canary") == std::string::npos);
        return text;
    }
}

}  // namespace

TEST_CASE("a worker gets in where the server's certificate is right, and is told where it is not") {
    support::certificates made;
    for (char const* const name : {"server", "stranger"}) made.make(name);
    made.make_expired("expired");
    support::postgres_server server;
    {
        auto sql = server.connect();
        outbox::postgres_storage::migrate(sql.handle());
    }
    CHECK_FALSE(refusal_of(server, "sslmode=require").empty());
    server.use_certificate(made.file("server"), made.key("server"));
    server.add_access_rule("hostnossl all all 127.0.0.1/32 reject");
    server.connect()("select pg_reload_conf()");
    support::wait_until_ready("the demand of TLS",
                              [&] { return !refusal_of(server, "sslmode=disable").empty(); });

    auto const verified = [&](std::string const& authority, std::string const& more = {}) {
        return refusal_of(server, "sslmode=verify-full sslrootcert=" + made.file(authority) + more);
    };
    CHECK(verified("server").empty());
    CHECK_FALSE(verified("stranger").empty());
    CHECK_FALSE(verified("server", " host=elsewhere").empty());
    CHECK_FALSE(verified("nobody").empty());
    CHECK_FALSE(
        verified("server", " sslcert=" + made.file("stranger") + " sslkey=/nowhere").empty());

    server.use_certificate(made.file("expired"), made.key("expired"));
    support::wait_until_ready("the expired certificate",
                              [&] { return !verified("server").empty(); });
    CHECK_FALSE(verified("expired").empty());
}
