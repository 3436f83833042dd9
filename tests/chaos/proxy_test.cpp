// SPDX-License-Identifier: MIT
//
// The bad network does what the conductor believes that it does.
#include "chaos/proxy.hpp"

#include <array>
#include <chrono>
#include <future>
#include <string>

#include "outbox/testing/catch.hpp"

namespace {

using namespace std::chrono_literals;

/// A client and a server with the proxy between them.
struct line {
    chaos::file_descriptor listener = chaos::listening_socket(0);
    chaos::proxy between{chaos::port_of(listener)};
    chaos::file_descriptor client = chaos::connected_socket(between.port(), 0);
    chaos::file_descriptor server{::accept(listener.number(), nullptr, nullptr)};
};

/// Whether all of it went out. Catch2's assertions belong to the test's own thread.
bool sends(chaos::file_descriptor const& from, std::string const& text) {
    return ::send(from.number(), text.data(), text.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(text.size());
}
void say(chaos::file_descriptor const& from, std::string const& text) {
    REQUIRE(sends(from, text));
}
/// Waits for as many bytes.
std::string hear(chaos::file_descriptor const& at, std::size_t count) {
    std::string text(count, '\0');
    auto const got = ::recv(at.number(), text.data(), count, MSG_WAITALL);
    text.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
    return text;
}
bool is_silent(chaos::file_descriptor const& at) {
    pollfd wait{at.number(), POLLIN, 0};
    return ::poll(&wait, 1, 50) == 0;
}
/// What the next read says: 0 is an end in order.
int end_of(chaos::file_descriptor const& at) {
    char byte = 0;
    return ::recv(at.number(), &byte, 1, 0) == 0 ? 0 : errno;
}

}  // namespace

TEST_CASE("the proxy passes every byte in both directions") {
    line at;
    std::string large(1'000'000, '\0');
    for (std::size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>(i * 31);
    auto sending = std::async(std::launch::async, [&] { return sends(at.client, large); });
    CHECK((hear(at.server, large.size()) == large));
    CHECK(sending.get());
    say(at.server, "answer");
    CHECK(hear(at.client, 6) == "answer");
}

TEST_CASE("the proxy passes on that one side is done, and the other may still speak") {
    line at;
    say(at.client, "last");
    ::shutdown(at.client.number(), SHUT_WR);
    CHECK(hear(at.server, 4) == "last");
    CHECK(end_of(at.server) == 0);
    say(at.server, "bye");
    CHECK(hear(at.client, 3) == "bye");
}

TEST_CASE("latency holds for each direction") {
    line at;
    at.between.set({.latency = 60ms});
    auto const began = std::chrono::steady_clock::now();
    say(at.client, "?");
    CHECK(hear(at.server, 1) == "?");
    CHECK(std::chrono::steady_clock::now() - began >= 60ms);
    say(at.server, "!");
    CHECK(hear(at.client, 1) == "!");
    CHECK(std::chrono::steady_clock::now() - began >= 120ms);
}

TEST_CASE("a black hole swallows one direction alone, and gives back when it closes") {
    line at;
    bool const to_server = GENERATE(true, false);
    at.between.set({.hole_to_server = to_server, .hole_to_client = !to_server});
    auto const& source = to_server ? at.client : at.server;
    auto const& sink = to_server ? at.server : at.client;
    say(sink, "other way");
    CHECK(hear(source, 9) == "other way");
    say(source, "held");
    CHECK(is_silent(sink));
    at.between.set({});
    CHECK(hear(sink, 4) == "held");
}

TEST_CASE("a cut ends in order, a reset does not, and new connections pass after both") {
    line at;
    bool const in_order = GENERATE(true, false);
    if (in_order) {
        at.between.cut();
    } else {
        at.between.reset();
    }
    CHECK(end_of(at.client) == (in_order ? 0 : ECONNRESET));
    CHECK(end_of(at.server) == (in_order ? 0 : ECONNRESET));
    auto const again = chaos::connected_socket(at.between.port(), 0);
    chaos::file_descriptor const other{::accept(at.listener.number(), nullptr, nullptr)};
    say(again, "new");
    CHECK(hear(other, 3) == "new");
}

TEST_CASE("a client of a server that is away is refused, not kept waiting") {
    auto listener = chaos::listening_socket(0);
    chaos::proxy between{chaos::port_of(listener)};
    { auto const gone = std::move(listener); }
    auto const client = chaos::connected_socket(between.port(), 0);
    CHECK(end_of(client) == ECONNRESET);
}
