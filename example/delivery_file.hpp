// SPDX-License-Identifier: MIT
//
// What a line of the file broker says, and back: topic, headers, payload and id with tabs in
// between. The line feed comes first, so that a line which a killed process left unfinished spoils
// no other one; the id comes last, so that nobody takes such a line for a whole one.
#pragma once

#include <array>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "outbox/record.hpp"

namespace demo {

/// A copy that arrived.
struct delivery {
    std::string topic{};
    std::string headers{};  ///< as stored, see outbox/headers.hpp
    std::string payload{};
    std::string id{};
};

inline void append_escaped(std::string& line, std::string_view text) {
    for (char const c : text) {
        switch (c) {
            case '\\': line += "\\\\"; break;
            case '\n': line += "\\n"; break;
            case '\t': line += "\\t"; break;
            default: line += c;
        }
    }
}

[[nodiscard]] inline std::string unescaped(std::string_view text) {
    std::string plain;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '\\' || i + 1 == text.size()) {
            plain += text[i];
            continue;
        }
        char const meant = text[++i];
        plain += meant == 'n' ? '\n' : meant == 't' ? '\t' : meant;
    }
    return plain;
}

inline void append_line(std::string& lines, outbox::record const& message) {
    lines += '\n';
    for (auto const field : {message.topic, message.headers, message.payload}) {
        append_escaped(lines, field);
        lines += '\t';
    }
    lines += to_string(message.id);
}

/// All that arrived, in the order of the file.
[[nodiscard]] inline std::vector<delivery> read_deliveries(std::filesystem::path const& path) {
    std::vector<delivery> all;
    std::ifstream file{path, std::ios::binary};
    for (std::string line; std::getline(file, line);) {
        std::array<std::string, 4> fields;
        std::size_t start = 0;
        for (auto& field : fields) {
            auto const end = std::min(line.find('\t', start), line.size());
            field = unescaped(std::string_view{line}.substr(start, end - start));
            start = std::min(end + 1, line.size());
        }
        auto& [topic, headers, payload, id] = fields;
        if (!outbox::parse_message_id(id)) continue;
        all.push_back({std::move(topic), std::move(headers), std::move(payload), std::move(id)});
    }
    return all;
}

}  // namespace demo
