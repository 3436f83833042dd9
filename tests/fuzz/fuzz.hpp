// SPDX-License-Identifier: MIT
//
// What the fuzz targets share. Include it in one file of a program: libFuzzer calls it.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace fuzz {

/// The bytes that libFuzzer made up, cut into parts: a byte of length before each.
class input {
public:
    input(std::uint8_t const* data, std::size_t size)
        : left_{reinterpret_cast<char const*>(data), size} {}

    [[nodiscard]] std::string_view part() {
        if (left_.empty()) return {};
        auto const length = static_cast<unsigned char>(left_.front());
        auto const cut = left_.substr(1, length);
        left_.remove_prefix(1 + cut.size());
        return cut;
    }
    [[nodiscard]] std::string_view rest() const {
        return left_;
    }

private:
    std::string_view left_;
};

inline void require(bool holds, char const* what) {
    if (holds) return;
    std::fprintf(stderr, "found: %s\n", what);
    std::abort();
}

inline bool is_printable(std::string_view text) {
    for (char const c : text) {
        if (c < 0x20 || c > 0x7e) return false;
    }
    return true;
}

/// What a target does with each input.
void try_one(input from);

}  // namespace fuzz

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {  // NOLINT
    fuzz::try_one({data, size});
    return 0;
}
