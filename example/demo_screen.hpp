// SPDX-License-Identifier: MIT
//
// What the demo shows. On a terminal the last line is alive; in a pipe every line is a plain one.
// Colour only on a terminal that has it, and never under NO_COLOR (no-color.org).
#pragma once

#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

namespace demo {

/// 12,345: digits in groups, so that the eye need not count them.
[[nodiscard]] inline std::string grouped(std::size_t number) {
    auto text = std::to_string(number);
    for (auto at = text.size(); at > 3;) text.insert(at -= 3, 1, ',');
    return text;
}

[[nodiscard]] inline std::string right(std::string const& text, std::size_t width) {
    std::string padded(text.size() < width ? width - text.size() : 0, ' ');
    return padded.append(text);
}

class screen {
public:
    enum class ink { plain, dim, bold, good, bad };

    /// Something happened: a line that stays, with the time since the start.
    void tell(std::string const& text, ink colour = ink::plain) {
        std::array<char, 16> clock{};
        std::snprintf(clock.data(), clock.size(), "%5.1f s", seconds());
        say("  " + paint(clock.data(), ink::dim) + "  " + paint(text, colour));
    }
    /// A line that stays.
    void say(std::string const& text = {}) {
        wipe();
        std::printf("%s\n", text.c_str());
        std::fflush(stdout);
    }
    /// How far things are: drawn over the last such line, or now and then where nothing can be.
    void progress(std::size_t done, std::size_t of, std::string const& text) {
        auto const now = seconds();
        if (now < next_) return;
        next_ = now + (is_terminal_ ? 0.05 : 2.0);
        constexpr std::size_t width = 24;
        auto const filled = of == 0 ? 0 : width * done / of;
        if (!is_terminal_) {
            tell(text);
            return;
        }
        std::string bar;
        for (std::size_t i = 0; i < width; ++i) bar += i < filled ? "█" : "░";
        std::printf("\r  %s  %s\x1b[K", paint(bar, ink::good).c_str(), text.c_str());
        std::fflush(stdout);
        is_drawn_ = true;
    }
    [[nodiscard]] std::string paint(std::string_view text, ink colour) const {
        if (!has_colour_ || colour == ink::plain) return std::string{text};
        char const* code = "0";
        switch (colour) {
            case ink::plain: break;
            case ink::dim: code = "2"; break;
            case ink::bold: code = "1"; break;
            case ink::good: code = "32"; break;
            case ink::bad: code = "1;31"; break;
        }
        return std::string{"\x1b["} + code + "m" + std::string{text} + "\x1b[0m";
    }
    [[nodiscard]] double seconds() const {
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    }

private:
    void wipe() {
        if (is_drawn_) std::printf("\r\x1b[K");
        is_drawn_ = false;
    }
    [[nodiscard]] static bool says_no_colour() {
        char const* const wish = std::getenv("NO_COLOR");
        return wish != nullptr && *wish != '\0';
    }
    [[nodiscard]] static bool is_dumb() {
        char const* const kind = std::getenv("TERM");
        return kind == nullptr || std::string_view{kind} == "dumb";
    }

    std::chrono::steady_clock::time_point start_{std::chrono::steady_clock::now()};
    bool is_terminal_{::isatty(STDOUT_FILENO) == 1 && !is_dumb()};
    bool has_colour_{is_terminal_ && !says_no_colour()};
    bool is_drawn_{false};
    double next_{0};
};

}  // namespace demo
