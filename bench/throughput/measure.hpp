// SPDX-License-Identifier: MIT
//
// How one storage, broker and delete policy are measured: enqueueing by one and by many producers,
// delivering what waits, and both at once.
#pragma once

#include <algorithm>
#include <atomic>
#include <barrier>
#include <chrono>
#include <exception>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "outbox/outbox.hpp"
#include "throughput/setting.hpp"

namespace bench::throughput {

constexpr int at_once = 100;

/// Counts what the broker took.
struct count_accepted {
    std::shared_ptr<std::atomic<std::int64_t>> all{std::make_shared<std::atomic<std::int64_t>>(0)};

    void operator()(outbox::event::round_finished const& e) const {
        *all += static_cast<std::int64_t>(e.accepted);
    }
};

/// Messages as the setting has them, each with the next key.
class messages {
public:
    messages(setting const& of, int first) : payload_(length(of), 'x'), next_{index(first)} {
        for (int i = 0; i < of.keys; ++i) keys_.push_back("key-" + std::to_string(i));
    }
    [[nodiscard]] outbox::message one() {
        outbox::message made{goals::topic, payload_, {}};
        if (!keys_.empty()) made.options.key = keys_[next_++ % keys_.size()];
        return made;
    }
    [[nodiscard]] std::vector<outbox::message> many(int count) {
        std::vector<outbox::message> all;
        for (int i = 0; i < count; ++i) all.push_back(one());
        return all;
    }

private:
    static std::size_t length(setting const& of) {
        return static_cast<std::size_t>(of.payload_bytes);
    }
    static std::size_t index(int first) {
        return static_cast<std::size_t>(first);
    }
    std::string payload_;
    std::vector<std::string> keys_{};
    std::size_t next_;
};

/// Runs `work(i)` on so many threads, and ends with all of them.
template <class Work>
void together(int threads, Work const& work) {
    std::mutex mutex;
    std::exception_ptr failed;
    std::vector<std::thread> all;
    for (int i = 0; i < threads; ++i) {
        all.emplace_back([&, i] {
            try {
                work(i);
            } catch (...) {
                std::lock_guard const lock{mutex};
                failed = std::current_exception();
            }
        });
    }
    for (auto& one : all) one.join();
    if (failed) std::rethrow_exception(failed);
}

/// `Side`: the storage with all that belongs to it. It has `storage()`, `connect()`, which makes a
/// producer's connection, `on(connection)`, which is what a transaction is begun on, and
/// `settle_down()`.
template <class Side, class Broker, class Delete>
class bench_of {
public:
    bench_of(Side& side, Broker broker, setting const& of, effort const& most)
        : side_{side}, of_{of}, most_{most}, box_{side.storage(),
                                                  std::move(broker),
                                                  outbox::options{.batch_size = of.batch},
                                                  outbox::system_clock{},
                                                  Delete{},
                                                  accepted_} {}

    /// Each producer on a connection of its own, `count` messages a transaction. A second.
    double enqueued(int producers, int count) {
        auto const bytes = std::int64_t{of_.payload_bytes} * count;
        auto const fits = std::max<std::int64_t>(1, most_.bytes / bytes / producers);
        std::atomic<std::int64_t> done{0};
        double longest = 0;
        std::barrier start{producers};
        std::mutex mutex;
        together(producers, [&](int i) {
            auto connection = side_.connect();
            messages all{of_, i * 1'000};
            start.arrive_and_wait();
            auto const took = seconds([&] {
                auto const until =
                    clock::now() + std::chrono::duration<double>{most_.enqueue_seconds};
                for (auto left = fits; left > 0 && clock::now() < until; --left) {
                    transaction(connection, all, count);
                    done += count;
                }
            });
            std::lock_guard const lock{mutex};
            longest = std::max(longest, took);
        });
        return static_cast<double>(done) / longest;
    }
    /// What waits, from the moment at which the workers start.
    double relayed() {
        fill(1);
        side_.settle_down();
        return delivered([] {});
    }
    /// Producers, 100 messages a transaction, and the workers, until all is delivered.
    double sustained() {
        return delivered([&] { fill(8); });
    }

private:
    using clock = std::chrono::steady_clock;

    [[nodiscard]] std::int64_t count() const {
        auto const fits = std::max<std::int64_t>(at_once, most_.bytes / of_.payload_bytes);
        return std::min<std::int64_t>(most_.messages, fits);
    }
    template <class Connection>
    void transaction(Connection& connection, messages& from, int count) {
        auto work = box_.begin(side_.on(connection));
        if (count == 1) {
            auto const one = from.one();
            box_.create_message(work, one.topic, one.payload, one.options);
        } else {
            box_.create_messages(work, from.many(count));
        }
        work.commit();
    }
    void fill(int producers) {
        std::atomic<std::int64_t> left{count()};
        together(producers, [&](int i) {
            auto connection = side_.connect();
            messages all{of_, i * 1'000};
            for (auto mine = left.fetch_sub(at_once); mine > 0; mine = left.fetch_sub(at_once)) {
                auto const some = static_cast<int>(std::min<std::int64_t>(mine, at_once));
                transaction(connection, all, some);
            }
        });
    }
    template <class Meanwhile>
    double delivered(Meanwhile const& meanwhile) {
        std::vector<typename decltype(box_)::worker> workers;
        auto const took = seconds([&] {
            for (int i = 0; i < of_.workers; ++i) workers.push_back(box_.start_worker());
            together(2, [&](int i) { i == 0 ? meanwhile() : wait_for_all(); });
        });
        auto const all = static_cast<double>(std::min(count(), accepted_.all->load()));
        if (all == 0) throw std::runtime_error{"nothing was delivered"};
        return all / took;
    }
    /// The storage is asked only once the broker has them all, lest asking costs.
    void wait_for_all() {
        auto const until = clock::now() + std::chrono::duration<double>{most_.limit_seconds};
        while (clock::now() < until) {
            if (*accepted_.all >= count() && box_.stats().storage.backlog == 0) return;
            std::this_thread::sleep_for(std::chrono::milliseconds{1});
        }
    }

    Side& side_;
    setting of_;
    effort most_;
    count_accepted accepted_{};
    outbox::basic_outbox<decltype(std::declval<Side&>().storage()), Broker, outbox::system_clock,
                         Delete, count_accepted>
        box_;
};

}  // namespace bench::throughput
