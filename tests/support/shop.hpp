// SPDX-License-Identifier: MIT
//
// A service with an outbox of doubles: one storage and one broker, which several processes, each a
// `shop`, may share.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "outbox/broker/memory.hpp"
#include "outbox/outbox.hpp"
#include "outbox/storage/memory.hpp"
#include "outbox/testing/scripted_storage.hpp"

namespace support {

using namespace std::chrono_literals;

/// Everything soon.
inline outbox::options quick() {
    outbox::options settings;
    settings.lease_duration = 1s;
    settings.poll_interval = 100ms;
    settings.backoff_min = 10ms;
    settings.backoff_max = 100ms;
    settings.probe_max = 100ms;
    settings.max_attempts = 3;
    return settings;
}

/// What all processes share.
struct market {
    outbox::manual_clock clock{};
    outbox::memory_storage storage{clock};
    outbox::memory_broker broker{};
    std::uint64_t shops{0};

    [[nodiscard]] std::string payloads() const {
        std::string all;
        for (auto const& one : broker.delivered()) all += one.payload;
        return all;
    }
};

template <class Observer = outbox::silent>
struct shop {
    using storage_type = outbox::testing::scripted_storage<outbox::memory_storage>;
    using box_type = outbox::basic_outbox<storage_type, outbox::memory_broker, outbox::manual_clock,
                                          outbox::soft_delete, Observer>;

    market& all;
    storage_type storage{all.storage};
    box_type box;
    outbox::memory_storage::connection connection{};

    /// Each shop of a market draws its own numbers, the same in every run.
    explicit shop(market& of, outbox::options const& settings = {}, Observer observer = {})
        : all{of}, box{storage, all.broker,          settings,   all.clock,
                       {},      std::move(observer), ++all.shops} {}

    void place(std::string_view payload, std::string_view key = {}, std::string_view topic = "t") {
        auto work = box.begin(connection);
        box.create_message(work, topic, payload, {.key = key});
        work.commit();
    }
    /// Rounds with the clock moving by `gap` between them.
    template <class Worker>
    void run(Worker& worker, int rounds, outbox::duration gap) {
        for (int i = 0; i < rounds; ++i) {
            worker.drain(0s);
            all.clock.advance(gap);
        }
        worker.drain(0s);
    }
};

}  // namespace support
