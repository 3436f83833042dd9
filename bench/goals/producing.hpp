// SPDX-License-Identifier: MIT
//
// Producers for the goals: threads with a connection each, one message a transaction, at an even
// pace or as fast as they can. Each message begins with the moment at which it was made.
#pragma once

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "outbox/outbox.hpp"
#include "support/postgres_server.hpp"

namespace bench::goals {

struct pace {
    int threads{4};
    int each_second{0};  ///< of all threads together; 0: as fast as they can
    int seconds{10};
};

/// Nanoseconds of the steady clock, which all processes of a machine share.
[[nodiscard]] inline std::int64_t stamp() {
    return std::chrono::steady_clock::now().time_since_epoch().count();
}
[[nodiscard]] inline std::int64_t stamp_of(std::string_view payload) {
    std::int64_t made = 0;
    std::from_chars(payload.data(), payload.data() + payload.size(), made);
    return made;
}
/// No two threads stamp the same moment: by that a message is told from all others.
[[nodiscard]] inline std::string stamped(std::size_t bytes, int thread = 0) {
    constexpr std::int64_t most_threads = 16;
    auto text = std::to_string(stamp() / most_threads * most_threads + thread) + ' ';
    text.resize(std::max(bytes, text.size()), 'x');
    return text;
}

/// A message's moments: made just before it is stored, and committed when the producer knows so.
struct moments {
    std::int64_t made{0};
    std::int64_t committed{0};
};

template <class Outbox>
std::vector<moments> produce(Outbox& box, std::string const& database, pace const& wanted, int keys,
                             std::size_t bytes) {
    using clock = std::chrono::steady_clock;
    auto const run = [&](int thread) {
        support::sql_connection sql{database};
        auto const began = clock::now();
        auto const until = began + std::chrono::seconds{wanted.seconds};
        std::vector<moments> made;
        for (int number = thread;; number += wanted.threads) {
            auto next = clock::now();
            if (wanted.each_second > 0) {
                std::chrono::nanoseconds const apart{1'000'000'000 / wanted.each_second};
                next = began + number * apart;
            }
            if (next >= until) return made;
            std::this_thread::sleep_until(next);
            auto const key = "key-" + std::to_string(number % keys);
            auto work = box.begin(sql.handle());
            auto const payload = stamped(bytes, thread);
            box.create_message(work, "bench.one", payload, {.key = key});
            work.commit();
            made.push_back({stamp_of(payload), stamp()});
        }
    };
    std::vector<std::vector<moments>> made(static_cast<std::size_t>(wanted.threads));
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < made.size(); ++i)
        threads.emplace_back([&, i] { made[i] = run(static_cast<int>(i)); });
    threads.clear();
    std::vector<moments> all;
    for (auto const& some : made) all.insert(all.end(), some.begin(), some.end());
    return all;
}

}  // namespace bench::goals
