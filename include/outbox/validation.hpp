// SPDX-License-Identifier: MIT
//
// What any message must be, whichever broker takes it. Asked twice: when a message is enqueued, and
// again before it is published, since records can also come from plain SQL.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "outbox/error.hpp"
#include "outbox/headers.hpp"
#include "outbox/options.hpp"

namespace outbox {

struct message_limits {
    static constexpr std::size_t key_bytes = 255;
    static constexpr std::size_t topic_bytes = 4096;
    static constexpr std::size_t header_bytes = 32 * 1024;
    static constexpr std::size_t headers = 100;
};

namespace detail {

/// The byte at which `text` stops being UTF-8 (RFC 3629) without control characters, if any.
[[nodiscard]] constexpr std::optional<std::size_t> first_bad_text_byte(std::string_view text) {
    std::size_t i = 0;
    while (i < text.size()) {
        auto const byte = static_cast<unsigned char>(text[i]);
        // Nearly all there is: one comparison for what is plain.
        if (byte - 0x20U < 0x7fU - 0x20U) {
            ++i;
            continue;
        }
        if (byte < 0x80) return i;
        std::size_t const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
        if (byte < 0xc2 || byte > 0xf4 || text.size() - i < length) return i;
        auto const second = static_cast<unsigned char>(text[i + 1]);
        unsigned const lowest = byte == 0xe0 ? 0xa0U : byte == 0xf0 ? 0x90U : 0x80U;
        unsigned const highest = byte == 0xed ? 0x9fU : byte == 0xf4 ? 0x8fU : 0xbfU;
        if (second < lowest || second > highest) return i;
        for (std::size_t j = 2; j < length; ++j) {
            if ((static_cast<unsigned char>(text[i + j]) & 0xc0U) != 0x80) return i;
        }
        i += length;
    }
    return std::nullopt;
}

/// RFC 9110, section 5.6.2.
[[nodiscard]] constexpr bool is_token_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view{"!#$%&'*+-.^_`|~"}.find(c) != std::string_view::npos;
}

[[nodiscard]] constexpr bool starts_with_ignoring_case(std::string_view text,
                                                       std::string_view prefix) {
    if (text.size() < prefix.size()) return false;
    for (std::size_t i = 0; i < prefix.size(); ++i) {
        char const c = text[i];
        if ((c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c) != prefix[i])
            return false;
    }
    return true;
}

/// A name for a message, cut and without anything that could disturb a log line.
[[nodiscard]] inline std::string printable(std::string_view text) {
    std::string shown;
    for (char const c : text.substr(0, 64)) shown += c >= 0x20 && c < 0x7f ? c : '?';
    return shown;
}

}  // namespace detail

template <class Broker>
[[nodiscard]] std::optional<problem> check_header(std::string_view name, std::string_view value) {
    auto const refuse = [&](std::string const& why, std::optional<std::size_t> position) {
        return problem{errc::invalid_header, "header \"" + detail::printable(name) + "\" " + why,
                       position};
    };
    if (name.empty()) return refuse("has an empty name", std::nullopt);
    for (std::size_t i = 0; i < name.size(); ++i) {
        if (!detail::is_token_character(name[i])) return refuse("has a name that is no token", i);
    }
    if (detail::starts_with_ignoring_case(name, "outbox-")) {
        return refuse("begins with \"Outbox-\", which belongs to the library", std::nullopt);
    }
    if (auto const bad = value.find_first_of(std::string_view{"\r\n\0", 3});
        bad != std::string_view::npos) {
        return refuse("has a value with CR, LF or NUL", bad);
    }
    if (auto const bad = detail::first_bad_text_byte(value)) {
        return refuse("has a value that is no plain UTF-8 text", *bad);
    }
    return Broker::check_header(name, value);
}

/// Checks what enqueue and relay have in common; `headers` encoded.
template <class Broker>
[[nodiscard]] std::optional<problem> check_message(std::string_view topic, std::string_view key,
                                                   std::string_view headers,
                                                   std::string_view payload,
                                                   options const& limits) {
    if (topic.empty()) return problem{errc::invalid_topic, "topic is empty", {}};
    if (topic.size() > message_limits::topic_bytes) {
        return problem{errc::invalid_topic,
                       "topic has " + std::to_string(topic.size()) + " bytes, at most " +
                           std::to_string(message_limits::topic_bytes) + " fit",
                       {}};
    }
    if (auto const bad = detail::first_bad_text_byte(topic)) {
        return problem{errc::invalid_topic, "topic is no plain UTF-8 text", bad};
    }
    if (auto found = Broker::check_topic(topic)) return found;
    if (!key.empty()) {
        if (key.size() > message_limits::key_bytes) {
            return problem{errc::invalid_key,
                           "key has " + std::to_string(key.size()) + " bytes, at most " +
                               std::to_string(message_limits::key_bytes) + " fit",
                           {}};
        }
        if (auto const bad = detail::first_bad_text_byte(key)) {
            return problem{errc::invalid_key, "key is no plain UTF-8 text", bad};
        }
    }
    if (!headers.empty()) {
        if (headers.size() > message_limits::header_bytes) {
            return problem{errc::invalid_header,
                           "headers have " + std::to_string(headers.size()) + " bytes, at most " +
                               std::to_string(message_limits::header_bytes) + " fit",
                           {}};
        }
        std::optional<problem> found;
        std::size_t count = 0;
        auto const visit = [&](std::string_view name, std::string_view value) {
            ++count;
            if (!found) found = check_header<Broker>(name, value);
        };
        if (auto const bad = for_each_header(headers, visit)) {
            return problem{errc::invalid_header, "headers are no lines of \"name: value\"", bad};
        }
        if (found) return found;
        if (count > message_limits::headers) {
            return problem{errc::invalid_header,
                           std::to_string(count) + " headers, at most " +
                               std::to_string(message_limits::headers) + " fit",
                           {}};
        }
    }
    if (payload.empty() && !limits.allow_empty_payload) {
        return problem{errc::invalid_payload,
                       "payload is empty; options.allow_empty_payload lets it pass",
                       {}};
    }
    if (payload.size() > static_cast<std::size_t>(limits.max_payload_bytes)) {
        return problem{errc::invalid_payload,
                       "payload has " + std::to_string(payload.size()) + " bytes, at most " +
                           std::to_string(limits.max_payload_bytes) +
                           " fit (options.max_payload_bytes)",
                       {}};
    }
    return std::nullopt;
}

}  // namespace outbox
