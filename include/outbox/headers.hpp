// SPDX-License-Identifier: MIT
//
// How headers are stored: one line of text each, `name: value` and a line feed. It reads well in
// psql, a program in any language can write it, and it keeps order and repetition. A value is all
// that follows the colon and one space, so every value without a line feed comes back unchanged.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "outbox/message.hpp"

namespace outbox {

inline void append_header(std::string& encoded, std::string_view name, std::string_view value) {
    encoded.append(name).append(": ").append(value).append("\n");
}

/// Calls `visit(name, value)` for each header and returns nothing, or the byte at which the text is
/// no header line. The last line feed may be missing.
template <class Visit>
constexpr std::optional<std::size_t> for_each_header(std::string_view encoded, Visit&& visit) {
    std::size_t start = 0;
    while (start < encoded.size()) {
        auto end = encoded.find('\n', start);
        if (end == std::string_view::npos) end = encoded.size();
        auto const line = encoded.substr(start, end - start);
        auto const colon = line.find(':');
        if (colon == std::string_view::npos || colon == 0) return start;
        auto value = line.substr(colon + 1);
        if (!value.empty() && value.front() == ' ') value.remove_prefix(1);
        visit(line.substr(0, colon), value);
        start = end + 1;
    }
    return std::nullopt;
}

}  // namespace outbox
