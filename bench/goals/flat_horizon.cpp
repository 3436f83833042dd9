// SPDX-License-Identifier: MIT
//
// A transaction that stays open for minutes keeps every row that was deleted meanwhile, and a
// writer among them may still commit a message of its own. Producers and workers go on at full
// load: what is settled is replaced at once.
#include <algorithm>
#include <atomic>
#include <chrono>

#include "goals/flat.hpp"

namespace bench::goals {

namespace {

enum class pin { reader, writer };

/// Keeps as many waiting as there were.
class producer {
public:
    producer(site& at, tally watched)
        : thread_{[this, &at, watched = std::move(watched)] { produce(at, watched); }} {}
    producer(producer const&) = delete;
    producer& operator=(producer const&) = delete;
    ~producer() {
        stopping_ = true;
        thread_.join();
    }
    void check() const {
        if (failed_) throw std::runtime_error{"the producer failed"};
    }

private:
    void produce(site& at, tally const& watched) {
        try {
            auto box = at.box();
            auto const own = at.on.postgres.connect();
            auto const keys = at.keys(at.wants.keys);
            std::size_t made = 0;
            while (!stopping_) {
                if (made >= watched.total()) {
                    std::this_thread::sleep_for(std::chrono::milliseconds{1});
                    continue;
                }
                std::vector<outbox::message> batch;
                for (int i = 0; i < at_once; ++i)
                    batch.push_back({topic, at.payload, {.key = keys[made++ % keys.size()]}});
                auto work = box.begin(own.handle());
                box.create_messages(work, batch);
                work.commit();
            }
        } catch (std::exception const& failure) {
            std::fprintf(stderr, "producer: %s\n", failure.what());
            failed_ = true;
        }
    }

    static constexpr int at_once = 500;
    std::atomic<bool> stopping_{false};
    std::atomic<bool> failed_{false};
    std::thread thread_;
};

/// The longest time, in ms, in which nothing was settled.
double longest_pause(tally const& watched, std::chrono::steady_clock::duration whole) {
    using clock = std::chrono::steady_clock;
    auto const end = clock::now() + whole;
    auto count = watched.total();
    auto since = clock::now();
    clock::duration longest{0};
    while (clock::now() < end) {
        std::this_thread::sleep_for(std::chrono::milliseconds{2});
        longest = std::max(longest, clock::now() - since);
        auto const now = watched.total();
        if (now == count) continue;
        count = now;
        since = clock::now();
    }
    return std::chrono::duration<double, std::milli>{longest}.count();
}

figures pinned(servers& on, std::string const& name, load const& wanted, pin by, int workers) {
    using seconds = std::chrono::duration<double>;
    site at{on, wanted, keep_little};
    at.fill_at_once(5 * std::int64_t{wanted.messages});
    tally const watched;
    auto box = at.box<outbox::hard_delete>({.batch_size = 1'000}, watched);
    std::vector<decltype(box.start_worker())> all;
    for (int i = 0; i < workers; ++i) all.push_back(box.start_worker());
    producer const busy{at, watched};
    seconds const whole{wanted.pin_seconds};
    auto const window = [&] {
        auto const first = moment::now(on, watched);
        std::this_thread::sleep_for(whole / 6);
        busy.check();
        return moment::now(on, watched) - first;
    };
    std::this_thread::sleep_for(whole / 12);
    auto read = window().as(name + ", unpinned");

    auto holder = on.postgres.connect();
    holder("begin isolation level repeatable read");
    if (by == pin::writer) {
        holder("insert into " + std::string{at.table.qualified()} +
               " (topic, key, payload) values ('" + topic + "', 'key-0', 'late')");
    } else {
        holder("select count(*) from pg_class");
    }
    std::this_thread::sleep_for(whole * 5 / 6);
    auto const after = window().as(name);
    holder("rollback");
    read.insert(read.end(), after.begin(), after.end());
    read.emplace_back(name + ", pause ms", longest_pause(watched, std::chrono::seconds{20}));
    return read;
}

}  // namespace

family flat_horizon(std::shared_ptr<servers> const& on, load const& wanted) {
    family all{};
    for (int const workers : {1, 8}) {
        for (pin const by : {pin::reader, pin::writer}) {
            auto const who = std::string{by == pin::reader ? "reader" : "writer"};
            auto const name = "horizon " + who + " " + std::to_string(workers);
            all.goals.push_back({"flat_horizon_" + who + "_" + std::to_string(workers),
                                 "the horizon pinned by a " + who +
                                     ", workers: " + std::to_string(workers) + ", against before",
                                 name, name + ", unpinned", goal::kind::at_least, 0.9});
            all.goals.push_back({"flat_horizon_" + who + "_" + std::to_string(workers) + "_pause",
                                 "the longest pause in 20 s after it ended, ms",
                                 name + ", pause ms",
                                 {},
                                 goal::kind::shown});
            all.measurements.push_back(
                {name, [=] { return pinned(*on, name, wanted, by, workers); }, true});
        }
    }
    return all;
}

}  // namespace bench::goals
