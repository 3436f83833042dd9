// SPDX-License-Identifier: MIT
//
// Compares what was committed with what arrived: lost, invented, out of order, sent twice. Knows
// nothing of storages and brokers, so that the tests can show it histories that are wrong on
// purpose.
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace demo {

/// A message whose transaction was committed, as the service's own table has it.
struct committed_message {
    std::string id{};
    std::string key{};
    std::string payload{};
};

/// A copy that arrived, in the order of arrival.
struct arrived_message {
    std::string id{};
    std::string payload{};
};

struct verdict {
    std::size_t committed{0};
    std::size_t delivered{0};     ///< of those, each counted once
    std::size_t lost{0};          ///< committed, and never arrived
    std::size_t invented{0};      ///< arrived, and never committed, or with another payload
    std::size_t out_of_order{0};  ///< arrived first after a later one of their key
    std::size_t duplicates{0};    ///< further copies of what had arrived already

    [[nodiscard]] bool good() const {
        return lost == 0 && invented == 0 && out_of_order == 0;
    }
};

/// `committed` in the order of creation.
[[nodiscard]] inline verdict judge(std::span<committed_message const> committed,
                                   std::span<arrived_message const> arrived) {
    struct expectation {
        committed_message const* message{nullptr};
        std::size_t place{0};
        bool met{false};
    };
    std::map<std::string, expectation> expected;
    for (auto const& one : committed) expected[one.id] = {&one, expected.size(), false};

    verdict found{.committed = committed.size()};
    std::map<std::string, std::size_t> latest;  // the furthest place that a key has reached
    for (auto const& one : arrived) {
        auto const at = expected.find(one.id);
        if (at == expected.end() || at->second.message->payload != one.payload) {
            ++found.invented;
            continue;
        }
        auto& [message, place, met] = at->second;
        if (met) {
            ++found.duplicates;
            continue;
        }
        met = true;
        ++found.delivered;
        auto& furthest = latest.try_emplace(message->key, place).first->second;
        if (place < furthest) {
            ++found.out_of_order;
        } else {
            furthest = place;
        }
    }
    found.lost = expected.size() - found.delivered;
    return found;
}

}  // namespace demo
