// SPDX-License-Identifier: MIT
//
// Values on their way to and from PostgreSQL, in its binary format: parameters of a statement and
// the columns of its answer. Text and bytes are passed as views, so they are not copied here.
#pragma once

#include <libpq-fe.h>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "outbox/clock.hpp"
#include "outbox/error.hpp"
#include "outbox/message_id.hpp"
#include "outbox/record.hpp"

namespace outbox::postgres {

/// The types that our statements use, with the numbers of pg_type.
enum class type : Oid {
    boolean = 16,
    bytes = 17,
    int8 = 20,
    int2 = 21,
    int4 = 23,
    text = 25,
    place = 27,
    timestamp = 1184,
    uuid = 2950
};

[[nodiscard]] constexpr Oid array_of(type element) {
    switch (element) {
        case type::boolean: return 1000;
        case type::bytes: return 1001;
        case type::int8: return 1016;
        case type::int2: return 1005;
        case type::int4: return 1007;
        case type::text: return 1009;
        case type::place: return 1010;
        case type::timestamp: return 1185;
        case type::uuid: return 2951;
    }
    return 0;
}

/// Bytes that shall go into a `bytea`; a plain string_view is text.
struct byte_string {
    std::string_view bytes{};
};

/// Where a row lies (its `ctid`): until it is updated, or the table is rewritten.
struct row_place {
    std::uint32_t block{0};
    std::uint16_t offset{0};
};

/// PostgreSQL counts microseconds from the year 2000.
inline constexpr std::chrono::microseconds epoch_offset{std::chrono::seconds{946'684'800}};

template <std::integral Number>
void append_number(std::string& to, Number number) {
    auto const bits = static_cast<std::make_unsigned_t<Number>>(number);
    for (unsigned shift = 8 * sizeof(Number); shift > 0; shift -= 8)
        to += static_cast<char>(bits >> (shift - 8));
}

template <std::integral Number>
[[nodiscard]] Number read_number(char const* from) {
    std::uint64_t bits = 0;
    for (std::size_t i = 0; i < sizeof(Number); ++i)
        bits = (bits << 8U) | static_cast<unsigned char>(from[i]);
    return static_cast<Number>(bits);
}

[[nodiscard]] constexpr type type_of(bool) {
    return type::boolean;
}
[[nodiscard]] constexpr type type_of(std::int16_t) {
    return type::int2;
}
[[nodiscard]] constexpr type type_of(std::int32_t) {
    return type::int4;
}
[[nodiscard]] constexpr type type_of(std::int64_t) {
    return type::int8;
}
[[nodiscard]] constexpr type type_of(std::string_view) {
    return type::text;
}
[[nodiscard]] constexpr type type_of(byte_string) {
    return type::bytes;
}
[[nodiscard]] constexpr type type_of(message_id const&) {
    return type::uuid;
}
[[nodiscard]] constexpr type type_of(wall_time) {
    return type::timestamp;
}
[[nodiscard]] constexpr type type_of(row_place) {
    return type::place;
}

inline void append_value(std::string& to, bool value) {
    to += static_cast<char>(value);
}
template <std::integral Number>
void append_value(std::string& to, Number value) {
    append_number(to, value);
}
inline void append_value(std::string& to, std::string_view value) {
    to += value;
}
inline void append_value(std::string& to, byte_string value) {
    to += value.bytes;
}
inline void append_value(std::string& to, message_id const& value) {
    to.append(reinterpret_cast<char const*>(value.bytes.data()), value.bytes.size());
}
inline void append_value(std::string& to, wall_time value) {
    append_number(to, std::int64_t{(value.time_since_epoch() - epoch_offset).count()});
}

inline void append_value(std::string& to, row_place value) {
    append_number(to, value.block);
    append_number(to, value.offset);
}

template <class Value>
struct is_optional : std::false_type {};
template <class Value>
struct is_optional<std::optional<Value>> : std::true_type {};

/// The parameters $1, $2, … of a statement, in order.
class parameters {
public:
    parameters() = default;
    template <class First, class... Rest>
    requires(!std::same_as<First, parameters>) explicit parameters(First const& first,
                                                                   Rest const&... rest) {
        add(first);
        (add(rest), ...);
    }
    // Moved, never copied: values point into `owned_`, whose elements stay where they are.
    parameters(parameters&&) = default;
    parameters& operator=(parameters&&) = default;
    parameters(parameters const&) = delete;
    parameters& operator=(parameters const&) = delete;
    ~parameters() = default;

    void add(std::string_view text) {
        push(static_cast<Oid>(type::text), text.data(), text.size());
    }
    void add(byte_string value) {
        push(static_cast<Oid>(type::bytes), value.bytes.data(), value.bytes.size());
    }
    template <class Value>
    requires(!std::convertible_to<Value const&, std::string_view>) void add(Value const& value) {
        if constexpr (is_optional<Value>::value) {
            if (value) {
                add(*value);
            } else {
                push(static_cast<Oid>(type_of(typename Value::value_type{})), nullptr, 0);
            }
        } else {
            auto& bytes = owned_.emplace_back();
            append_value(bytes, value);
            push(static_cast<Oid>(type_of(value)), bytes.data(), bytes.size());
        }
    }
    template <class Value>
    void add(std::vector<Value> const& values) {
        add_array(values, [](auto const& value) { return value; });
    }
    /// An array of what `pick` takes from each; an empty optional becomes null.
    template <class Range, class Pick>
    void add_array(Range const& from, Pick pick) {
        using picked = std::decay_t<decltype(pick(*std::begin(from)))>;
        auto& bytes = owned_.emplace_back();
        append_number(bytes, std::int32_t{1});
        append_number(bytes, std::int32_t{is_optional<picked>::value});
        append_number(bytes, static_cast<std::int32_t>(element_type<picked>()));
        append_number(bytes, static_cast<std::int32_t>(std::size(from)));
        append_number(bytes, std::int32_t{1});
        for (auto const& one : from) append_element(bytes, pick(one));
        push(array_of(element_type<picked>()), bytes.data(), bytes.size());
    }

    [[nodiscard]] int count() const {
        return static_cast<int>(values_.size());
    }
    [[nodiscard]] Oid const* types() const {
        return types_.data();
    }
    [[nodiscard]] char const* const* values() const {
        return values_.data();
    }
    [[nodiscard]] int const* lengths() const {
        return lengths_.data();
    }
    [[nodiscard]] int const* formats() const {
        return formats_.data();
    }

private:
    template <class Value>
    [[nodiscard]] static constexpr type element_type() {
        if constexpr (is_optional<Value>::value) {
            return type_of(typename Value::value_type{});
        } else {
            return type_of(Value{});
        }
    }
    template <class Value>
    static void append_element(std::string& to, Value const& value) {
        if constexpr (is_optional<Value>::value) {
            if (!value) return append_number(to, std::int32_t{-1});
            append_element(to, *value);
        } else {
            auto const at = to.size();
            append_number(to, std::int32_t{0});
            append_value(to, value);
            auto const size = static_cast<std::uint32_t>(to.size() - at - length_size);
            for (std::size_t i = 0; i < length_size; ++i)
                to[at + i] = static_cast<char>(size >> (8 * (length_size - 1 - i)));
        }
    }
    void push(Oid of, char const* data, std::size_t size) {
        bool const null = data == nullptr && of != static_cast<Oid>(type::text) &&
                          of != static_cast<Oid>(type::bytes);
        types_.push_back(of);
        values_.push_back(null ? nullptr : data == nullptr ? "" : data);
        lengths_.push_back(static_cast<int>(size));
        formats_.push_back(1);
    }

    static constexpr std::size_t length_size = 4;

    std::deque<std::string> owned_{};
    std::vector<Oid> types_{};
    std::vector<char const*> values_{};
    std::vector<int> lengths_{};
    std::vector<int> formats_{};
};

struct clear_result {
    void operator()(PGresult* result) const noexcept {
        PQclear(result);
    }
};
using result = std::unique_ptr<PGresult, clear_result>;

[[nodiscard]] inline int row_count(result const& of) {
    return PQntuples(of.get());
}

/// The columns of one row, read from the left. Null reads as zero, or as nothing.
class row_reader {
public:
    row_reader(result const& of, int row) : result_{of.get()}, row_{row} {}

    [[nodiscard]] bool next_is_null() const {
        return PQgetisnull(result_, row_, column_) != 0;
    }
    void skip() {
        ++column_;
    }
    template <std::integral Number>
    [[nodiscard]] Number number() {
        return next_is_null() ? skip(), Number{0} : read_number<Number>(take(sizeof(Number)));
    }
    [[nodiscard]] bool boolean() {
        return !next_is_null() ? *take(1) != 0 : (skip(), false);
    }
    /// Text or bytes, as a view of the answer.
    [[nodiscard]] std::string_view text() {
        auto const size = static_cast<std::size_t>(PQgetlength(result_, row_, column_));
        return {take(), size};
    }
    void read(message_id& to) {
        to = id();
    }
    void read(std::string_view& to) {
        to = text();
    }
    void read(std::string& to) {
        to = text();
    }
    void read(wall_time& to) {
        to = time();
    }
    void read(duration& to) {
        to = microseconds();
    }
    void read(record_state& to) {
        to = static_cast<record_state>(number<std::int16_t>());
    }
    template <std::integral Number>
    void read(Number& to) {
        to = number<Number>();
    }
    [[nodiscard]] std::string string() {
        return std::string{text()};
    }
    [[nodiscard]] message_id id() {
        message_id id{};
        auto const bytes = text();
        for (std::size_t i = 0; i < id.bytes.size() && i < bytes.size(); ++i)
            id.bytes[i] = static_cast<std::uint8_t>(bytes[i]);
        return id;
    }
    [[nodiscard]] wall_time time() {
        return wall_time{duration{number<std::int64_t>()} + epoch_offset};
    }
    [[nodiscard]] row_place place() {
        constexpr std::size_t block_size = sizeof(row_place::block);
        if (next_is_null()) return skip(), row_place{};
        auto const* const bytes = take(block_size + sizeof(row_place::offset));
        return {read_number<std::uint32_t>(bytes), read_number<std::uint16_t>(bytes + block_size)};
    }
    [[nodiscard]] duration microseconds() {
        return duration{number<std::int64_t>()};
    }

private:
    [[nodiscard]] char const* take() {
        return PQgetvalue(result_, row_, column_++);
    }
    /// Throws `schema_mismatch` where somebody changed the column's type under our feet.
    [[nodiscard]] char const* take(std::size_t size) {
        auto const length = PQgetlength(result_, row_, column_);
        if (std::cmp_equal(length, size)) return take();
        throw error{errc::schema_mismatch, "column " + std::to_string(column_ + 1) +
                                               " of an answer has " + std::to_string(length) +
                                               " bytes, not " + std::to_string(size)};
    }

    PGresult* result_;
    int row_;
    int column_{0};
};

}  // namespace outbox::postgres
