// SPDX-License-Identifier: MIT
//
// A message on its way in: what a producer enqueues, as views of the caller's own memory.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "outbox/clock.hpp"
#include "outbox/message_id.hpp"

namespace outbox {

/// Bytes that the library carries and never looks into. Made from text or from spans of bytes.
class payload_view {
public:
    constexpr payload_view() = default;
    template <class Text>
    requires std::convertible_to<Text const&, std::string_view>
    constexpr payload_view(Text const& text) : bytes_{text} {}  // NOLINT: text is bytes, too
    payload_view(std::span<std::byte const> bytes)              // NOLINT: bytes are bytes
        : bytes_{reinterpret_cast<char const*>(bytes.data()), bytes.size()} {}
    payload_view(std::span<std::uint8_t const> bytes)  // NOLINT: bytes are bytes
        : bytes_{reinterpret_cast<char const*>(bytes.data()), bytes.size()} {}

    [[nodiscard]] constexpr std::string_view bytes() const {
        return bytes_;
    }

private:
    std::string_view bytes_{};
};

/// A name and a value that travel beside the payload, for example `traceparent`.
struct header {
    std::string_view name{};
    std::string_view value{};
};

/// What a producer may say about a message beyond topic and payload. All of it is optional.
struct message_options {
    /// Messages of one key are delivered in the order of their creation. Without a key, the order
    /// of creation holds over all messages without one. At most 255 bytes of UTF-8.
    std::string_view key{};
    /// No order at all: the message waits for no other one. Not together with a key.
    bool unordered{false};
    std::span<header const> headers{};
    /// Sent as the header `Content-Type`.
    std::string_view content_type{};
    /// An id of the caller's own, for idempotent producers: the same id with the same content does
    /// nothing while the message is stored; with other content it is refused.
    std::optional<message_id> id{};
    /// Not delivered earlier than this, by the clock of the storage.
    std::optional<wall_time> not_before{};
    /// Makes overlapping transactions of one key commit in the order in which they enqueue, by
    /// holding a lock on the key until the transaction ends.
    bool serialize_key{false};
};

struct message {
    std::string_view topic{};
    payload_view payload{};
    message_options options{};
};

/// A message that was checked and named: what a storage appends.
struct draft {
    message_id id{};
    bool caller_chose_id{false};
    std::string_view topic{};
    std::string_view key{};      ///< empty: keyless
    std::string_view headers{};  ///< encoded as in headers.hpp
    std::string_view payload{};
    std::optional<wall_time> not_before{};
    bool serialize_key{false};
};

}  // namespace outbox
