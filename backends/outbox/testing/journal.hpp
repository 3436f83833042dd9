// SPDX-License-Identifier: MIT
//
// What happened in a simulated run: a hash of all of it, how often what was seen, and, when asked
// for, the story in words.
#pragma once

#include <concepts>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "outbox/clock.hpp"

namespace outbox::testing {

class journal {
public:
    /// Writes the story down, too.
    void keep_words() {
        words_ = true;
    }
    template <class... Parts>
    void tell(monotonic_time when, Parts const&... parts) {
        add(static_cast<std::uint64_t>(when.time_since_epoch().count()));
        (add(parts), ...);
        if (!words_) return;
        auto const tenths = when.time_since_epoch().count() / 100;
        std::string line = std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " ms";
        line.resize(14, ' ');
        (append(line, parts), ...);
        story_.push_back(std::move(line));
    }
    /// It happened once more; `what` is a literal.
    void mark(std::string_view what) {
        ++marks_[what];
    }
    /// What does not hold any more: the first one counts.
    void accuse(std::string what) {
        if (violation_.empty()) violation_ = std::move(what);
    }

    [[nodiscard]] std::uint64_t hash() const {
        return hash_;
    }
    [[nodiscard]] std::map<std::string_view, std::int64_t> const& marks() const {
        return marks_;
    }
    [[nodiscard]] std::string const& violation() const {
        return violation_;
    }
    [[nodiscard]] std::vector<std::string> const& story() const {
        return story_;
    }

private:
    void add(std::uint64_t value) {
        hash_ = (hash_ ^ value) * 0x100000001b3U;  // FNV-1a, a word at a time
        hash_ ^= hash_ >> 29U;
    }
    void add(std::string_view text) {
        for (char const c : text) add(std::uint64_t{static_cast<unsigned char>(c)});
    }
    template <std::integral Number>
    void add(Number value) {
        add(static_cast<std::uint64_t>(value));
    }
    static void append(std::string& line, std::string_view text) {
        line.append(text);
    }
    template <std::integral Number>
    static void append(std::string& line, Number value) {
        line.append(std::to_string(value));
    }

    std::uint64_t hash_{0xcbf29ce484222325U};
    std::map<std::string_view, std::int64_t> marks_{};
    std::string violation_{};
    std::vector<std::string> story_{};
    bool words_{false};
};

}  // namespace outbox::testing
