// SPDX-License-Identifier: MIT
//
// A good history, and the ways to change it that the checker's tests are told in.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "chaos/history.hpp"

namespace made {

using chaos::ending;
using chaos::history;

inline outbox::message_id id(std::uint8_t number) {
    outbox::message_id made{};
    made.bytes[15] = number;
    return made;
}

constexpr chaos::moment second = 1'000;

/// Six messages, two of them keyless, each committed, sent and delivered once, a second apart:
/// ids 1, 3 of key a; 2, 4 of key b; 5, 6 keyless. No fault.
inline history good() {
    history one;
    one.rows.emplace();
    one.attempts.emplace();
    for (std::uint8_t n = 1; n <= 6; ++n) {
        std::string const key = n > 4 ? "" : n % 2 == 1 ? "a" : "b";
        one.ledger.push_back(
            {.id = id(n), .key = key, .number = n, .digest = n, .end = ending::committed});
        one.rows->push_back(id(n));
        one.attempts->push_back({.id = id(n), .at = n * second});
        one.stream.push_back({.id = id(n),
                              .key = key,
                              .digest = n,
                              .sequence = n,
                              .generation = 0,
                              .at = n * second + 1});
    }
    return one;
}

/// As if message `n` had been rolled back: in the ledger alone.
inline void roll_back(history& one, std::uint8_t n) {
    one.ledger[n - 1U].end = ending::rolled_back;
    std::erase(*one.rows, id(n));
    std::erase_if(one.stream, [&](auto const& it) { return it.id == id(n); });
    std::erase_if(*one.attempts, [&](auto const& it) { return it.id == id(n); });
}
inline void take_from_stream(history& one, std::uint8_t n) {
    std::erase_if(one.stream, [&](auto const& it) { return it.id == id(n); });
}
inline void take_row(history& one, std::uint8_t n) {
    std::erase(*one.rows, id(n));
}
inline void send(history& one, std::uint8_t n, chaos::moment at) {
    one.attempts->push_back({.id = id(n), .at = at});
}
inline void refuse(history& one, std::uint8_t n, chaos::moment at) {
    one.attempts->push_back({.id = id(n), .at = at, .refused = true});
}
/// Once more at the end of the stream, as the first copy is there.
inline void copy(history& one, std::uint8_t n, chaos::moment at, std::int32_t generation = 0) {
    auto again = one.stream[n - 1U];
    again.sequence = one.stream.back().sequence + 1;
    again.at = at;
    again.generation = generation;
    one.stream.push_back(again);
}
inline void swap_in_stream(history& one, std::size_t first, std::size_t other) {
    std::swap(one.stream[first], one.stream[other]);
    std::swap(one.stream[first].sequence, one.stream[other].sequence);
}
inline void poison(history& one, std::uint8_t n) {
    one.ledger[n - 1U].poisoned = true;
    take_from_stream(one, n);
    one.dead.push_back(id(n));
}
inline void fault_at(history& one, chaos::moment begin, chaos::moment end) {
    one.faults.push_back({.kind = "kill", .begin = begin, .end = end});
}

}  // namespace made
