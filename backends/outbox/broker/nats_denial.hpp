// SPDX-License-Identifier: MIT
//
// Whom a server's refusal means. It says no more than a line of text, on the connection as a whole:
//
//     Permissions Violation for Publish to "bill.created"
#pragma once

#include <string>
#include <string_view>

namespace outbox::nats_rules {

/// The topic that may not be published to.
struct denial {
    std::string topic{};
    bool cut{false};  ///< only the beginning of it is known: the library keeps 255 bytes of a line

    [[nodiscard]] bool means(std::string_view other) const {
        return cut ? other.starts_with(topic) : other == topic;
    }
    /// Whether the text was a refusal to publish at all.
    explicit operator bool() const {
        return !topic.empty();
    }
};

/// Reads the topic, which the server quotes as Go does. An escape for what cannot be printed cuts
/// it short.
[[nodiscard]] inline denial read_denial(std::string_view text) {
    constexpr std::string_view what = "ermissions Violation for Publish to \"";
    denial read;
    auto const at = text.find(what);
    if (at == std::string_view::npos) return read;
    text.remove_prefix(at + what.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '"') return read;
        if (text[i] == '\\' && (++i == text.size() || (text[i] != '"' && text[i] != '\\'))) break;
        read.topic += text[i];
    }
    read.cut = true;
    return read;
}

}  // namespace outbox::nats_rules
