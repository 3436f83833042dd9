// SPDX-License-Identifier: MIT
//
// The time in front of a line of a log: 2026-03-01T12:00:00.125Z.
#pragma once

#include <array>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <string>

namespace example {

[[nodiscard]] inline std::string now_as_text() {
    auto const now = std::chrono::system_clock::now().time_since_epoch();
    auto const milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
    std::time_t const seconds = milliseconds / 1'000;
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    std::array<char, 32> text{};
    auto const day = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
    std::snprintf(text.data() + day, text.size() - day, ".%03dZ",
                  static_cast<int>(milliseconds % 1'000));
    return text.data();
}

}  // namespace example
