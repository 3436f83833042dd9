// SPDX-License-Identifier: MIT
//
// What NATS can carry. Its client checks nothing: a blank in a subject becomes a reply address, a
// line feed another command, and a subject of the JetStream API another person's deleted stream. So
// these rules are asked at enqueue and again before publishing.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "outbox/error.hpp"
#include "outbox/validation.hpp"

namespace outbox::nats_rules {

/// A server closes the connection over a command line above 4,096 bytes; the reply address and the
/// sizes need the rest.
inline constexpr std::size_t subject_bytes = 1'024;

/// Whether a message may be published to `topic`, as a literal subject of dot-separated tokens.
[[nodiscard]] inline std::optional<problem> check_topic(std::string_view topic) {
    auto const refuse = [](std::string const& why, std::optional<std::size_t> position = {}) {
        return problem{errc::invalid_topic, "topic " + why, position};
    };
    if (topic.empty()) return refuse("is empty");
    if (topic.size() > subject_bytes) {
        return refuse("has " + std::to_string(topic.size()) + " bytes, NATS takes at most " +
                      std::to_string(subject_bytes));
    }
    std::size_t token_start = 0;
    for (std::size_t i = 0; i <= topic.size(); ++i) {
        char const c = i < topic.size() ? topic[i] : '.';
        if (c == '.') {
            if (i == token_start) return refuse("has an empty token", i);
            token_start = i + 1;
        } else if (c == ' ' || static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
            return refuse("has a blank or control character", i);
        } else if (c == '*' || c == '>') {
            return refuse("has a wildcard, which can be subscribed to but not published", i);
        }
    }
    if (topic.front() == '$') return refuse("begins with $, which belongs to the server", 0);
    if (topic.starts_with("_INBOX.")) return refuse("begins with _INBOX., a reply address", 0);
    return std::nullopt;
}

/// Beside the rules of the core: names that the server acts upon belong to the broker.
[[nodiscard]] inline std::optional<problem> check_header(std::string_view name,
                                                         std::string_view /*value*/) {
    if (!detail::starts_with_ignoring_case(name, "nats-")) return std::nullopt;
    return problem{errc::invalid_header,
                   "header \"" + detail::printable(name) +
                       "\" begins with \"Nats-\", which belongs to the server",
                   {}};
}

/// Whether `topic` is among those that `pattern` (a subject with wildcards) stands for.
[[nodiscard]] inline bool matches(std::string_view pattern, std::string_view topic) {
    while (true) {
        auto const token_of = [](std::string_view text) { return text.substr(0, text.find('.')); };
        auto const wanted = token_of(pattern);
        auto const given = token_of(topic);
        if (wanted == ">") return !topic.empty();
        if (wanted != "*" && wanted != given) return false;
        bool const pattern_ends = wanted.size() == pattern.size();
        bool const topic_ends = given.size() == topic.size();
        if (pattern_ends || topic_ends) return pattern_ends && topic_ends;
        pattern.remove_prefix(wanted.size() + 1);
        topic.remove_prefix(given.size() + 1);
    }
}

}  // namespace outbox::nats_rules
