// SPDX-License-Identifier: MIT
//
// One measurement: so many messages stored, so many delivered, in how many seconds. The same for
// every storage and every broker.
#pragma once

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <string>
#include <vector>

#include "outbox/outbox.hpp"

namespace bench {

struct load {
    int messages{20'000};
    int payload_bytes{256};
    int batch{1'000};
    int keys{0};  ///< 0: keyless
};

/// Messages a second.
struct figures {
    double alone{0};      ///< stored, one a transaction
    double bulk{0};       ///< stored, 100 a transaction, in one statement where the storage can
    double delivered{0};  ///< by one worker, from the first read to the last settlement
};

[[nodiscard]] inline double median(std::vector<double> all) {
    std::sort(all.begin(), all.end());
    auto const middle = all.size() / 2;
    return all.size() % 2 == 1 ? all[middle] : (all[middle - 1] + all[middle]) / 2;
}

template <class Work>
double seconds(Work&& work) {
    auto const start = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// `box` is empty before and afterwards. `connection` is what its transactions are on.
template <class Outbox, class Connection>
figures measure(Outbox& box, Connection& connection, load const& wanted) {
    constexpr int at_once = 100;
    std::string const payload(static_cast<std::size_t>(wanted.payload_bytes), 'x');
    std::vector<std::string> keys;
    for (int i = 0; i < wanted.keys; ++i) keys.push_back("key-" + std::to_string(i));
    int next = 0;
    auto const options = [&] {
        outbox::message_options with;
        if (!keys.empty()) with.key = keys[static_cast<std::size_t>(next++) % keys.size()];
        return with;
    };

    // A commit of its own is slow where it waits for the disk: a tenth of them tells as much.
    int const alone = std::max(1, wanted.messages / 10);
    auto const alone_took = seconds([&] {
        for (int i = 0; i < alone; ++i) {
            auto work = box.begin(connection);
            box.create_message(work, "bench.one", payload, options());
            work.commit();
        }
    });
    int const rest = std::max(1, wanted.messages - alone);
    auto const bulk_took = seconds([&] {
        std::vector<outbox::message> batch;
        for (int left = rest; left > 0; left -= at_once) {
            batch.clear();
            for (int i = 0; i < std::min(left, at_once); ++i)
                batch.push_back({"bench.one", payload, options()});
            auto work = box.begin(connection);
            box.create_messages(work, batch);
            work.commit();
        }
    });
    auto worker = box.make_worker();
    bool is_empty = false;
    auto const took = seconds([&] { is_empty = worker.drain(std::chrono::hours{1}); });
    if (!is_empty) throw std::runtime_error{"the worker left messages behind"};
    return {alone / alone_took, rest / bulk_took, (alone + rest) / took};
}

[[nodiscard]] inline outbox::options settings(load const& wanted) {
    return {.batch_size = wanted.batch};
}

}  // namespace bench
