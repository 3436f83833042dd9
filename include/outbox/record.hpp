// SPDX-License-Identifier: MIT
//
// A message as it is stored, and the page of them that one read brings. Records are views; the page
// owns their bytes, so that a batch costs a handful of allocations instead of several a message.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

#include "outbox/clock.hpp"
#include "outbox/message_id.hpp"

namespace outbox {

using partition_number = std::int16_t;
using sequence_number = std::int64_t;

/// Where a stored message stands. The numbers are those of the column `state` in SQL.
enum class record_state : std::uint8_t {
    ready = 0,
    retrying = 1,
    scheduled = 2,
    dead = 3,
    published = 4
};

struct record {
    sequence_number sequence{0};
    partition_number partition{0};
    record_state state{record_state::ready};  ///< ready, or retrying when read for a due key
    message_id id{};
    std::int32_t generation{0};  ///< raised by an operator's requeue alone
    std::int32_t attempts{0};    ///< failures that counted so far
    std::int32_t deaths{0};      ///< workers that died over this record
    duration remaining{0};       ///< above zero: its time has not come (a row written by plain SQL)
    std::string_view topic{};
    std::string_view key{};  ///< empty: keyless
    std::string_view headers{};
    std::string_view payload{};

    [[nodiscard]] std::size_t size_bytes() const {
        return topic.size() + key.size() + headers.size() + payload.size();
    }
};

/// Records and the memory that they point into. Movable; views stay valid across moves.
class page {
public:
    std::vector<record> records{};

    /// Adds a copy of the record, its texts included.
    record const& add(record one) {
        one.topic = keep(one.topic);
        one.key = keep(one.key);
        one.headers = keep(one.headers);
        one.payload = keep(one.payload);
        return records.emplace_back(one);
    }

    /// Copies `text` into the page and returns the copy.
    [[nodiscard]] std::string_view keep(std::string_view text) {
        if (text.empty()) return {};
        if (text.size() > left_) grow(text.size());
        char* const place = next_;
        std::memcpy(place, text.data(), text.size());
        next_ += text.size();
        left_ -= text.size();
        return {place, text.size()};
    }

private:
    static constexpr std::size_t block_size = 64 * 1024;

    void grow(std::size_t needed) {
        left_ = needed > block_size ? needed : block_size;
        blocks_.push_back(std::unique_ptr<char[]>{new char[left_]});
        next_ = blocks_.back().get();
    }

    std::vector<std::unique_ptr<char[]>> blocks_{};
    char* next_{nullptr};
    std::size_t left_{0};
};

}  // namespace outbox
