// SPDX-License-Identifier: MIT
//
// What the policies cost: the same messages through the outbox on its doubles, and through the same
// doubles by hand. Only work to be counted, by bench/doubles.py; one round of it is
//
//     doubles enqueue|deliver outbox|hand ROUNDS
//
// 100 messages over 10 keys in one transaction and, for `deliver`, published and settled.
#include <array>
#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "outbox/broker/memory.hpp"
#include "outbox/outbox.hpp"
#include "outbox/storage/memory.hpp"

namespace {

using namespace std::chrono_literals;

constexpr std::size_t batch = 100;
constexpr std::string_view topic = "order.created";
constexpr std::string_view payload = R"({"order":17,"status":"pending"})";
constexpr std::array<std::string_view, 10> keys{"key-0", "key-1", "key-2", "key-3", "key-4",
                                                "key-5", "key-6", "key-7", "key-8", "key-9"};

struct doubles {
    outbox::manual_clock clock{};
    outbox::memory_storage storage{clock};
    outbox::memory_broker broker{};

    doubles() {
        broker.keep_copies(false);
    }
};

/// What a user writes.
class by_outbox {
public:
    void enqueue() {
        auto work = box_.begin(connection_);
        box_.create_messages(work, messages_);
        work.commit();
    }
    void deliver() {
        worker_.drain(1h);
    }
    [[nodiscard]] std::uint64_t delivered() const {
        return parts_.broker.count();
    }

private:
    static std::vector<outbox::message> made() {
        std::vector<outbox::message> all;
        for (std::size_t i = 0; i < batch; ++i) {
            all.push_back({topic, payload, {.key = keys[i % keys.size()]}});
        }
        return all;
    }

    doubles parts_{};
    outbox::memory_storage::connection connection_{};
    outbox::basic_outbox<outbox::memory_storage, outbox::memory_broker, outbox::manual_clock,
                         outbox::hard_delete>
        box_{parts_.storage, parts_.broker, {}, parts_.clock, {}, {}, 1};
    decltype(box_)::worker worker_ = box_.make_worker();
    std::vector<outbox::message> messages_ = made();
};

/// The same verbs on the same doubles, without an outbox: no checks, no order within a key, no
/// failures, no leases that end. The least that could be written.
class by_hand {
public:
    void enqueue() {
        std::vector<outbox::draft> drafts;
        drafts.reserve(batch);
        auto const now = parts_.clock.wall().time_since_epoch();
        auto const milliseconds = static_cast<std::uint64_t>(now / 1ms);
        for (std::size_t i = 0; i < batch; ++i) {
            drafts.push_back({.id = ids_.next(milliseconds),
                              .topic = topic,
                              .key = keys[i % keys.size()],
                              .payload = payload});
        }
        auto transaction = parts_.storage.begin_transaction();
        parts_.storage.append(transaction, drafts);
        transaction.commit();
    }
    void deliver() {
        auto const held = session_.acquire({.lease = 10s, .most = 64, .reach = 500});
        for (auto const& one : held.tenures) partitions_.push_back(one.partition);
        while (true) {
            auto const reply = session_.exchange({.settlements = settlements_,
                                                  .read = partitions_,
                                                  .records = 500,
                                                  .bytes = 8 << 20});
            settlements_.clear();
            if (reply.read.records.empty()) return;
            std::vector<outbox::dispatch> dispatches;
            for (auto const& one : reply.read.records) dispatches.push_back({tokens_++, &one});
            channel_.send(dispatches);
            std::vector<outbox::receipt> receipts;
            channel_.collect(receipts);
            auto const first = tokens_ - dispatches.size();
            for (auto const& one : receipts) {
                auto const& record = *dispatches[one.token - first].message;
                settlements_.push_back({.partition = record.partition,
                                        .sequence = record.sequence,
                                        .what = outbox::fate::remove});
            }
        }
    }
    [[nodiscard]] std::uint64_t delivered() const {
        return parts_.broker.count();
    }

private:
    doubles parts_{};
    outbox::message_id_generator ids_{1};
    outbox::wakeup signal_{};
    outbox::memory_storage::session session_{parts_.storage.connect(outbox::message_id{}, 1s)};
    outbox::memory_broker::channel channel_{parts_.broker.connect({.signal = signal_})};
    std::vector<outbox::partition_number> partitions_{};
    std::vector<outbox::settlement> settlements_{};
    outbox::attempt_token tokens_{0};
};

template <class Way>
int run(bool deliver, std::size_t rounds) {
    Way way;
    for (std::size_t i = 0; i < rounds; ++i) {
        way.enqueue();
        if (deliver) way.deliver();
    }
    return way.delivered() == (deliver ? rounds * batch : 0) ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace

int main(int count, char** arguments) {
    if (count != 4) {
        std::cerr << "usage: doubles enqueue|deliver outbox|hand ROUNDS\n";
        return 2;
    }
    bool const deliver = arguments[1] == std::string_view{"deliver"};
    auto const rounds = std::strtoul(arguments[3], nullptr, 10);
    return arguments[2] == std::string_view{"outbox"} ? run<by_outbox>(deliver, rounds)
                                                      : run<by_hand>(deliver, rounds);
}
