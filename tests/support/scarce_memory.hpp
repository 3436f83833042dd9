// SPDX-License-Identifier: MIT
//
// A program whose memory runs out when a test says so. Include it in one file of a program: it
// replaces what allocates.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <new>

namespace support {

/// Allocations of the whole program, while one of these exists.
class scarce_memory {
public:
    enum class end : std::uint8_t { once, for_good };

    /// The allocation after `granted` others fails, and all after it, if it is the end for good.
    scarce_memory(long granted, end how) {
        for_good = how == end::for_good;
        left = granted;
    }
    scarce_memory(scarce_memory const&) = delete;
    scarce_memory& operator=(scarce_memory const&) = delete;
    ~scarce_memory() {
        left = plenty;
    }
    /// Whether any allocation failed.
    [[nodiscard]] static bool ran_out() {
        return left < 0;
    }
    [[nodiscard]] static bool grants() {
        if (left == plenty) return true;
        auto const before = left--;
        return before > 0 || (before < 0 && !for_good);
    }

private:
    static constexpr long plenty = 1'000'000'000;

    inline static std::atomic<long> left{plenty};
    inline static std::atomic<bool> for_good{false};
};

}  // namespace support

void* operator new(std::size_t size) {
    if (!support::scarce_memory::grants()) throw std::bad_alloc{};
    if (void* const got = std::malloc(size == 0 ? 1 : size)) return got;  // NOLINT
    throw std::bad_alloc{};
}
void* operator new(std::size_t size, std::nothrow_t const&) noexcept {
    if (!support::scarce_memory::grants()) return nullptr;
    return std::malloc(size == 0 ? 1 : size);  // NOLINT
}
void operator delete(void* given) noexcept {
    std::free(given);  // NOLINT
}
void operator delete(void* given, std::size_t) noexcept {
    std::free(given);  // NOLINT
}
