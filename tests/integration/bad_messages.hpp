// SPDX-License-Identifier: MIT
//
// Messages that cannot be carried, each with what is said about it at either door: the producer's
// call, and the row that a program puts in by SQL.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "outbox/error.hpp"

namespace bad_input {

using outbox::errc;
using namespace std::string_literals;

using text = std::optional<std::string>;

/// A row as SQL has it; nothing: null.
struct message {
    text topic{"all.bad"};
    text key{""};
    text headers{""};
    text payload{"x"};
};

/// What the API says (nothing: it cannot be asked for this), and what becomes of the row: a dead
/// letter with this reason, or an SQLSTATE and no row.
struct row {
    std::string what;
    message given;
    std::optional<errc> code{};
    std::string said{};
    std::string dies_of{};
    std::string sqlstate{};
};

namespace detail {

constexpr char const* null_value = "23502";
constexpr char const* no_utf8 = "22021";

/// Both doors say the same.
inline row same(std::string what, message given, errc code, std::string const& said) {
    return {std::move(what), std::move(given), code, said, said, {}};
}
/// PostgreSQL itself does not take it.
inline row unstorable(std::string what, message given, errc code, std::string said) {
    return {std::move(what), std::move(given), code, std::move(said), {}, no_utf8};
}
inline row only_sql(std::string what, message given, std::string dies_of) {
    return {std::move(what), std::move(given), {}, {}, std::move(dies_of), {}};
}
inline row null(std::string what, message given) {
    return {std::move(what), std::move(given), {}, {}, {}, null_value};
}

inline std::string at(std::string what, std::size_t byte) {
    return std::move(what) + " at byte " + std::to_string(byte);
}

inline void add_topics(std::vector<row>& all) {
    auto const add = [&](std::string const& what, std::string topic, std::string said) {
        all.push_back(same("topic " + what, {.topic = std::move(topic)}, errc::invalid_topic,
                           "topic " + std::move(said)));
    };
    std::string const blank = "has a blank or control character";
    std::string const wildcard = "has a wildcard, which can be subscribed to but not published";
    std::string const empty_token = "has an empty token";
    std::string const no_text = "is no plain UTF-8 text";
    add("empty", "", "is empty");
    add("with a blank", "all.b d", at(blank, 5));
    add("that begins with a blank", " all.bad", at(blank, 0));
    add("that ends with a blank", "all.bad ", at(blank, 7));
    add("of a blank", " ", at(blank, 0));
    add("with a tab", "all.\tbad", at(no_text, 4));
    add("with a line feed", "all.bad\nPUB x 1", at(no_text, 7));
    add("with a carriage return", "all.bad\r", at(no_text, 7));
    add("with DEL", "all.\x7f", at(no_text, 4));
    add("with ESC", "all.\x1b[2J", at(no_text, 4));
    add("with a star", "all.*", at(wildcard, 4));
    add("with a star inside a token", "all.b*d", at(wildcard, 5));
    add("with an angle", "all.>", at(wildcard, 4));
    add("of an angle", ">", at(wildcard, 0));
    add("that begins with a dot", ".all", at(empty_token, 0));
    add("that ends with a dot", "all.", at(empty_token, 4));
    add("with two dots", "all..bad", at(empty_token, 4));
    add("of a dot", ".", at(empty_token, 0));
    add("of the JetStream API", "$JS.API.STREAM.DELETE.ALL",
        at("begins with $, which belongs to the server", 0));
    add("of the system", "$SYS.REQ.SERVER.PING",
        at("begins with $, which belongs to the server", 0));
    add("of a dollar", "$", at("begins with $, which belongs to the server", 0));
    add("of a reply inbox", "_INBOX.abc", at("begins with _INBOX., a reply address", 0));
    add("too long for NATS", "all." + std::string(1'021, 'b'),
        "has 1025 bytes, NATS takes at most 1024");
    add("too long for anything", std::string(4'097, 'b'), "has 4097 bytes, at most 4096 fit");
    auto const add_unstorable = [&](std::string const& what, std::string topic, std::size_t byte) {
        all.push_back(unstorable("topic with " + what, {.topic = std::move(topic)},
                                 errc::invalid_topic, "topic " + at(no_text, byte)));
    };
    add_unstorable("NUL", "all.\0bad"s, 4);
    add_unstorable("0xFF", "all.\xff", 4);
    add_unstorable("half a character", "all.\xe2\x82", 4);
    add_unstorable("an overlong character", "all.\xc0\x80", 4);
    add_unstorable("a surrogate", "all.\xed\xa0\x80", 4);
    add_unstorable("a character beyond Unicode", "all.\xf5\x80\x80\x80", 4);
    all.push_back(null("topic null", {.topic = std::nullopt}));
    all.push_back(only_sql("topic of no stream", {.topic = "elsewhere"},
                           "none of the configured streams takes this topic"));
}

inline void add_keys(std::vector<row>& all) {
    std::string const no_text = "key is no plain UTF-8 text";
    auto const add = [&](std::string const& what, std::string key, std::string const& said) {
        all.push_back(same("key " + what, {.key = std::move(key)}, errc::invalid_key, said));
    };
    add("too long", std::string(256, 'k'), "key has 256 bytes, at most 255 fit");
    add("with a line feed", "a\nb", at(no_text, 1));
    add("with a carriage return", "a\r", at(no_text, 1));
    add("with a tab", "\ta", at(no_text, 0));
    add("with DEL", "ab\x7f", at(no_text, 2));
    auto const add_unstorable = [&](std::string const& what, std::string key, std::size_t byte) {
        all.push_back(unstorable("key with " + what, {.key = std::move(key)}, errc::invalid_key,
                                 at(no_text, byte)));
    };
    add_unstorable("NUL", "a\0"s, 1);
    add_unstorable("0xFE", "\xfe", 0);
    add_unstorable("half a character", "abc\xc3", 3);
}

/// As the API is given them: a name, a value.
inline void add_headers(std::vector<row>& all) {
    auto const add = [&](std::string const& what, std::string const& line, std::string said) {
        all.push_back(same("header " + what, {.headers = line + "\n"}, errc::invalid_header,
                           "header " + std::move(said)));
    };
    add("with a blank in its name", "a b: c", at("\"a b\" has a name that is no token", 1));
    add("with a slash in its name", "a/b: c", at("\"a/b\" has a name that is no token", 1));
    add("with a letter beyond ASCII in its name", "\xc3\xa4: c",
        at("\"\?\?\" has a name that is no token", 0));
    add("of the server", "Nats-Msg-Id: 1",
        "\"Nats-Msg-Id\" begins with \"Nats-\", which belongs to the server");
    add("of the server in small letters", "nats-expected-stream: x",
        "\"nats-expected-stream\" begins with \"Nats-\", which belongs to the server");
    add("of the library", "Outbox-Message-Id: 1",
        "\"Outbox-Message-Id\" begins with \"Outbox-\", which belongs to the library");
    add("of the library in small letters", "outbox-x: 1",
        "\"outbox-x\" begins with \"Outbox-\", which belongs to the library");
    add("with a carriage return in its value", "a: b\rc",
        at("\"a\" has a value with CR, LF or NUL", 1));
    add("with a control character in its value", "a: b\x01",
        at("\"a\" has a value that is no plain UTF-8 text", 1));
    add("with DEL in its value", "a: \x7f", at("\"a\" has a value that is no plain UTF-8 text", 0));
    all.push_back(unstorable("header with NUL in its value", {.headers = "a: b\0\n"s},
                             errc::invalid_header,
                             "header " + at("\"a\" has a value with CR, LF or NUL", 1)));
    all.push_back(unstorable("header with 0xFF in its value", {.headers = "a: \xff\n"},
                             errc::invalid_header,
                             "header " + at("\"a\" has a value that is no plain UTF-8 text", 0)));
    std::string many;
    for (int i = 0; i < 101; ++i) many += "a: b\n";
    all.push_back(same("too many headers", {.headers = many}, errc::invalid_header,
                       "101 headers, at most 100 fit"));
    all.push_back(same("headers too long", {.headers = "a: " + std::string(32'768, 'b') + "\n"},
                       errc::invalid_header, "headers have 32772 bytes, at most 32768 fit"));
    std::string const no_lines = "headers are no lines of \"name: value\"";
    all.push_back(only_sql("headers without a colon", {.headers = "no header"}, at(no_lines, 0)));
    all.push_back(only_sql("headers with an empty name", {.headers = ": b"}, at(no_lines, 0)));
    all.push_back(
        only_sql("headers with an empty line", {.headers = "a: b\n\nc: d\n"}, at(no_lines, 5)));
    all.push_back(only_sql("headers with a smuggled line", {.headers = "a: b\nNats-Rollup: all\n"},
                           "header \"Nats-Rollup\" begins with \"Nats-\", which belongs to the "
                           "server"));
    all.push_back(null("headers null", {.headers = std::nullopt}));
}

inline void add_payloads(std::vector<row>& all) {
    all.push_back(same("payload empty", {.payload = ""}, errc::invalid_payload,
                       "payload is empty; options.allow_empty_payload lets it pass"));
    all.push_back(same("payload too large", {.payload = std::string(1'032'193, 'x')},
                       errc::invalid_payload,
                       "payload has 1032193 bytes, at most 1032192 fit "
                       "(options.max_payload_bytes)"));
    all.push_back(null("payload null", {.payload = std::nullopt}));
}

}  // namespace detail

[[nodiscard]] inline std::vector<row> rows() {
    std::vector<row> all;
    detail::add_topics(all);
    detail::add_keys(all);
    detail::add_headers(all);
    detail::add_payloads(all);
    return all;
}

}  // namespace bad_input
