// SPDX-License-Identifier: MIT
//
// The name of a message: a UUID of version 7 (RFC 9562), made by the library unless the caller
// brings one. It travels with every copy, so that consumers can drop the copies.
#pragma once

#include <array>
#include <bit>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace outbox {

struct message_id {
    std::array<std::uint8_t, 16> bytes{};

    // NOLINTNEXTLINE(modernize-use-nullptr): clang-tidy 14 takes the generated comparison for one
    friend constexpr auto operator<=>(message_id const&, message_id const&) = default;

    [[nodiscard]] constexpr bool is_nil() const {
        return *this == message_id{};
    }
};

/// Appends the 36 characters of RFC 9562, lower case.
inline void append_text(std::string& to, message_id const& id) {
    constexpr char digits[] = "0123456789abcdef";
    std::array<char, 36> text{};
    std::size_t at = 0;
    for (std::size_t i = 0; i < id.bytes.size(); ++i) {
        if (i == 4 || i == 6 || i == 8 || i == 10) text[at++] = '-';
        text[at++] = digits[id.bytes[i] >> 4U];
        text[at++] = digits[id.bytes[i] & 0x0FU];
    }
    to.append(text.data(), text.size());
}

[[nodiscard]] inline std::string to_string(message_id const& id) {
    std::string text;
    append_text(text, id);
    return text;
}

namespace detail {

/// The value of each hexadecimal digit; above 15 for what is none. A table: every record whose id
/// is stored as text comes through here, and of 36 comparisons some are always guessed wrong.
inline constexpr auto hexadecimal_values = [] {
    std::array<std::uint8_t, 256> all{};
    all.fill(0xFF);
    for (std::uint8_t i = 0; i < 10; ++i) all['0' + std::size_t{i}] = i;
    for (std::uint8_t i = 10; i < 16; ++i) {
        all['a' + std::size_t{i} - 10] = i;
        all['A' + std::size_t{i} - 10] = i;
    }
    return all;
}();

[[nodiscard]] constexpr unsigned hexadecimal_value(char digit) {
    return hexadecimal_values[static_cast<unsigned char>(digit)];
}

}  // namespace detail

/// Reads the 36-character form, upper or lower case; nothing when `text` is not one.
[[nodiscard]] constexpr std::optional<message_id> parse_message_id(std::string_view text) {
    if (text.size() != 36) return std::nullopt;
    message_id id{};
    unsigned all_values = 0;
    std::size_t at = 0;
    for (std::size_t i = 0; i < id.bytes.size(); ++i) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            if (text[at++] != '-') return std::nullopt;
        }
        unsigned const high = detail::hexadecimal_value(text[at++]);
        unsigned const low = detail::hexadecimal_value(text[at++]);
        all_values |= high | low;
        id.bytes[i] = static_cast<std::uint8_t>(high << 4U | low);
    }
    if (all_values > 0xF) return std::nullopt;
    return id;
}

/// Makes message ids that rise within one generator, even when the wall clock steps back: 48 bits
/// of Unix milliseconds, a 12-bit counter (RFC 9562, section 6.2, method 1), 62 random bits.
/// One thread at a time.
class message_id_generator {
public:
    explicit constexpr message_id_generator(std::uint64_t seed) : state_{seed} {}

    [[nodiscard]] constexpr message_id next(std::uint64_t unix_milliseconds) {
        if (unix_milliseconds > milliseconds_) {
            milliseconds_ = unix_milliseconds;
            counter_ = 0;
        } else if (++counter_ == counter_end) {
            ++milliseconds_;
            counter_ = 0;
        }
        std::uint64_t const high = (milliseconds_ << 16U) | 0x7000U | counter_;
        std::uint64_t const low = (random() >> 2U) | (std::uint64_t{1} << 63U);
        return std::bit_cast<message_id>(std::array{big_endian(high), big_endian(low)});
    }

    /// splitmix64 (Steele, Lea, Flood 2014): uniqueness is all that is asked of these bits.
    [[nodiscard]] constexpr std::uint64_t random() {
        state_ += 0x9E3779B97F4A7C15U;
        std::uint64_t z = state_;
        z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
        z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
        return z ^ (z >> 31U);
    }

private:
    static constexpr std::uint64_t counter_end = 0x1000;

    /// The number whose bytes in memory are those of `value` from the highest on.
    static constexpr std::uint64_t big_endian(std::uint64_t value) {
        if constexpr (std::endian::native == std::endian::big) return value;
        value = (value >> 32U) | (value << 32U);
        value = (value >> 16U & 0x0000FFFF0000FFFFU) | (value & 0x0000FFFF0000FFFFU) << 16U;
        return (value >> 8U & 0x00FF00FF00FF00FFU) | (value & 0x00FF00FF00FF00FFU) << 8U;
    }

    std::uint64_t state_;
    std::uint64_t milliseconds_{0};
    std::uint64_t counter_{0};
};

}  // namespace outbox
