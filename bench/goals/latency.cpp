// SPDX-License-Identifier: MIT
//
// From a commit, as the producer knows of it, to a consumer of the stream that has the message; and
// what it costs producers that workers of other processes are woken.
#include <algorithm>
#include <chrono>
#include <fstream>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "goals/goal.hpp"
#include "goals/producing.hpp"
#include "goals/site.hpp"
#include "support/process.hpp"

namespace bench::goals {

namespace {

using namespace std::chrono_literals;

enum class from { same_process, other_process, other_process_polled };

/// A consumer of the stream, and when it got which message.
class consumer {
public:
    explicit consumer(std::string const& url) {
        require(natsConnection_ConnectTo(&connection_, url.c_str()));
        require(natsConnection_JetStream(&context_, connection_, nullptr));
        jsSubOptions options;
        jsSubOptions_Init(&options);
        options.Config.AckPolicy = js_AckNone;
        require(js_Subscribe(&subscription_, context_, "bench.>", take, this, nullptr, &options,
                             nullptr));
    }
    consumer(consumer const&) = delete;
    consumer& operator=(consumer const&) = delete;
    ~consumer() {
        natsSubscription_Destroy(subscription_);
        jsCtx_Destroy(context_);
        natsConnection_Destroy(connection_);
    }

    void wait_for(std::size_t count) const {
        support::wait_until_ready("the consumer", [&] {
            std::lock_guard const lock{mutex_};
            return arrived_.size() >= count;
        });
    }
    /// From `moment` of each message to its arrival. A consumer may have it before its producer
    /// knows of the commit: that is no time at all.
    [[nodiscard]] std::vector<double> milliseconds(std::vector<moments> const& all,
                                                   std::int64_t moments::*moment) const {
        std::lock_guard const lock{mutex_};
        std::vector<double> took;
        for (auto const& one : all) {
            auto const late = std::max<std::int64_t>(arrived_.at(one.made) - one.*moment, 0);
            took.push_back(static_cast<double>(late) / 1e6);
        }
        return took;
    }

private:
    static void require(natsStatus status) {
        if (status != NATS_OK) throw std::runtime_error{natsStatus_GetText(status)};
    }
    static void take(natsConnection*, natsSubscription*, natsMsg* message, void* self) {
        auto const now = stamp();
        std::string_view const payload{natsMsg_GetData(message),
                                       static_cast<std::size_t>(natsMsg_GetDataLength(message))};
        auto const made = stamp_of(payload);
        natsMsg_Destroy(message);
        auto& mine = *static_cast<consumer*>(self);
        std::lock_guard const lock{mine.mutex_};
        mine.arrived_[made] = now;
    }

    natsConnection* connection_{nullptr};
    jsCtx* context_{nullptr};
    natsSubscription* subscription_{nullptr};
    mutable std::mutex mutex_{};
    std::map<std::int64_t, std::int64_t> arrived_{};
};

double percentile(std::vector<double> all, double share) {
    std::ranges::sort(all);
    auto const place = static_cast<std::size_t>(share * static_cast<double>(all.size()));
    return all.at(std::min(place, all.size() - 1));
}

/// In a process of its own.
std::vector<moments> produce_elsewhere(site const& at, pace const& wanted, bool announce) {
    support::temporary_folder const folder;
    auto const log = folder.path() / "log";
    support::child_process producer{
        {support::program_folder() / "producer", at.on.postgres.connection_string(),
         std::string{at.table.qualified()}, announce ? "yes" : "no", std::to_string(wanted.threads),
         std::to_string(wanted.each_second), std::to_string(wanted.seconds),
         std::to_string(at.wants.keys), std::to_string(at.wants.payload_bytes)},
        log};
    auto const status = producer.wait();
    std::ifstream file{log};
    std::vector<moments> all;
    for (moments one; file >> one.made >> one.committed;) all.push_back(one);
    if (status != 0 || all.empty()) throw std::runtime_error{"the producer failed"};
    return all;
}

/// One worker at work in this process.
template <class Act>
void beside_a_worker(site& at, bool announce, Act&& act) {
    auto box = at.box_on(outbox::postgres_storage{
        at.on.postgres.connection_string(), at.table, {.announce = announce}});
    auto worker = box.start_worker();
    act(box);
    if (!worker.stop(20s).clean()) throw std::runtime_error{"the worker did not stop"};
}

figures delays(servers& on, std::string const& name, load const& wanted, from where,
               pace const& at_pace) {
    site at{on, wanted};
    consumer stream{on.nats.url()};
    bool const announce = where != from::other_process_polled;
    std::vector<moments> made;
    beside_a_worker(at, announce, [&](auto& box) {
        auto const run = [&](pace const& some) {
            return where == from::same_process
                       ? produce(box, on.postgres.connection_string(), some, wanted.keys,
                                 static_cast<std::size_t>(wanted.payload_bytes))
                       : produce_elsewhere(at, some, announce);
        };
        // Everybody is connected, and has prepared what they use, before it counts.
        auto const first = run({.threads = 1, .each_second = 100, .seconds = 1});
        stream.wait_for(first.size());
        made = run(at_pace);
        stream.wait_for(first.size() + made.size());
    });
    auto const since_commit = stream.milliseconds(made, &moments::committed);
    auto const since_made = stream.milliseconds(made, &moments::made);
    return {{name + " p50", percentile(since_commit, 0.50)},
            {name + " p99", percentile(since_commit, 0.99)},
            {name + " p99.9", percentile(since_commit, 0.999)},
            {name + ", storing included, p50", percentile(since_made, 0.50)},
            {name + ", storing included, p99", percentile(since_made, 0.99)}};
}

/// After each pause the worker holds nothing any more: it has given its partitions back.
figures first_after_idle(servers& on, std::string const& name, load const& wanted, from where) {
    constexpr int messages = 6;
    constexpr auto pause = 4'500ms;
    site at{on, wanted};
    consumer stream{on.nats.url()};
    std::vector<moments> made;
    beside_a_worker(at, true, [&](auto& box) {
        // Of another outbox object only the database can tell the worker.
        auto other = at.box();
        auto const put = [&](auto& with) {
            auto const payload = stamped(static_cast<std::size_t>(wanted.payload_bytes));
            auto work = with.begin(at.sql.handle());
            with.create_message(work, topic, payload);
            work.commit();
            made.push_back({stamp_of(payload), stamp()});
        };
        for (std::size_t i = 1; i <= messages + 1; ++i) {
            where == from::same_process ? put(box) : put(other);
            stream.wait_for(i);
            std::this_thread::sleep_for(pause);
        }
    });
    made.erase(made.begin());
    auto const all = stream.milliseconds(made, &moments::committed);
    return {{name, median(all)}, {name + ", worst", percentile(all, 1)}};
}

figures rate(servers& on, std::string const& name, load const& wanted, bool announce) {
    constexpr pace fast{.threads = 8, .each_second = 0, .seconds = 5};
    site at{on, wanted};
    auto const channel =
        "message_outbox_" + at.sql("select '" + at.table.qualified() + "'::regclass::oid");
    at.sql("listen " + channel);
    double made = 0;
    beside_a_worker(at, announce, [&](auto&) {
        std::this_thread::sleep_for(500ms);  // it waits by then
        made = static_cast<double>(produce_elsewhere(at, fast, announce).size());
    });
    at.sql("unlisten *");
    int announced = 0;
    while (auto* const one = PQnotifies(at.sql.handle())) {
        PQfreemem(one);
        ++announced;
    }
    return {{name, made / fast.seconds}, {name + ", announced of 1000", 1e3 * announced / made}};
}

}  // namespace

family latency_family(std::shared_ptr<servers> const& on, load const& wanted) {
    family all{.name = "latency"};
    using enum goal::kind;
    all.goals = {
        {"latency_same_p50", "ms from commit to a consumer, 200/s, same process", "same 200 p50",
         "", at_most, 2},
        {"latency_same_p99", "the same, 99 of 100", "same 200 p99", "", at_most, 10},
        {"latency_other_p50", "ms at 200/s, producer in another process", "other 200 p50", "",
         at_most, 2},
        {"latency_other_p99", "the same, 99 of 100", "other 200 p99", "", at_most, 10},
        {"latency_first_same", "ms, first message after a pause, same process", "first same", "",
         shown, 0},
        {"latency_first_other", "ms, first message after a pause, other outbox object",
         "first other", "", shown, 0},
        {"latency_poll_p50", "ms at 200/s where another process is only found by polling",
         "poll 200 p50", "", shown, 0},
        {"latency_same_2000_p50", "ms at 2,000/s, same process", "same 2000 p50", "", shown, 0},
        {"latency_same_2000_p99", "the same, 99 of 100", "same 2000 p99", "", shown, 0},
        {"latency_other_2000_p50", "ms at 2,000/s, another process", "other 2000 p50", "", shown,
         0},
        {"latency_other_2000_p99", "the same, 99 of 100", "other 2000 p99", "", shown, 0},
        {"wake_rate", "8 producers elsewhere with a worker to wake against one that polls",
         "producers announcing", "producers silent", at_least, 0.9},
        {"wake_announced", "of 1,000 transactions of theirs, those that sent a NOTIFY",
         "producers announcing, announced of 1000", "", shown, 0},
    };
    auto const add = [&](std::string const& name, bool once, auto measure) {
        all.measurements.push_back({name, [=] { return measure(*on, name); }, once});
    };
    using text = std::string const&;
    constexpr pace slow{.threads = 4, .each_second = 200, .seconds = 10};
    constexpr pace brisk{.threads = 4, .each_second = 2'000, .seconds = 5};
    auto const add_delays = [&](std::string const& name, from where, pace const& some) {
        add(name, where == from::other_process_polled,
            [=](servers& here, text called) { return delays(here, called, wanted, where, some); });
    };
    add_delays("same 200", from::same_process, slow);
    add_delays("other 200", from::other_process, slow);
    add_delays("poll 200", from::other_process_polled, slow);
    add_delays("same 2000", from::same_process, brisk);
    add_delays("other 2000", from::other_process, brisk);
    add("first same", true, [=](servers& here, text name) {
        return first_after_idle(here, name, wanted, from::same_process);
    });
    add("first other", true, [=](servers& here, text name) {
        return first_after_idle(here, name, wanted, from::other_process);
    });
    add("producers announcing", false,
        [=](servers& here, text name) { return rate(here, name, wanted, true); });
    add("producers silent", false,
        [=](servers& here, text name) { return rate(here, name, wanted, false); });
    return all;
}

}  // namespace bench::goals
