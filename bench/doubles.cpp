// SPDX-License-Identifier: MIT
//
// What the policies cost: the same messages through the outbox on its doubles, and through the same
// doubles by hand, with the checks and the order that the outbox keeps, or bare. Only work to be
// counted, by bench/doubles.py and bench/goals; one round of it is
//
//     doubles enqueue|deliver outbox|hand|bare ROUNDS
//
// 100 messages over 10 keys in one transaction and, for `deliver`, published and settled.
#include <array>
#include <cstdlib>
#include <iostream>
#include <mutex>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "outbox/broker/memory.hpp"
#include "outbox/outbox.hpp"
#include "outbox/storage/memory.hpp"
#include "outbox/validation.hpp"

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

/// The same verbs on the same doubles, with no outbox: what all loops over them share.
class loop {
public:
    [[nodiscard]] std::uint64_t delivered() const {
        return parts_.broker.count();
    }

protected:
    [[nodiscard]] std::vector<outbox::message_id> next_ids() {
        std::vector<outbox::message_id> ids(batch);
        auto const now = parts_.clock.wall().time_since_epoch();
        for (auto& id : ids) id = ids_.next(static_cast<std::uint64_t>(now / 1ms));
        return ids;
    }
    void store(std::vector<outbox::draft> const& drafts) {
        auto transaction = parts_.storage.begin_transaction();
        parts_.storage.append(transaction, drafts);
        transaction.commit();
    }
    /// Shows what waits, page after page, until there is nothing more.
    template <class Publish>
    void for_each_page(Publish const& publish) {
        auto const held = session_.acquire({.lease = 10s, .most = 64, .reach = 500});
        for (auto const& one : held.tenures) partitions_.push_back(one.partition);
        while (true) {
            auto const reply = session_.exchange({.settlements = settlements_,
                                                  .read = partitions_,
                                                  .records = 500,
                                                  .bytes = 8 << 20});
            settlements_.clear();
            if (reply.read.records.empty()) return;
            publish(reply.read.records);
        }
    }
    void send() {
        receipts_.clear();
        channel_.send(dispatches_);
        channel_.collect(receipts_);
        dispatches_.clear();
    }
    void settle(outbox::record const& published) {
        settlements_.push_back({.partition = published.partition,
                                .sequence = published.sequence,
                                .what = outbox::fate::remove});
    }

    std::vector<outbox::dispatch> dispatches_{};
    std::vector<outbox::receipt> receipts_{};

private:
    doubles parts_{};
    outbox::message_id_generator ids_{1};
    outbox::wakeup signal_{};
    outbox::memory_storage::session session_{parts_.storage.connect(outbox::message_id{}, 1s)};
    outbox::memory_broker::channel channel_{parts_.broker.connect({.signal = signal_})};
    std::vector<outbox::partition_number> partitions_{};
    std::vector<outbox::settlement> settlements_{};
};

/// The floor: as a careful person writes it for these types alone. Ids from a generator that all
/// threads share; each message checked when it is enqueued, and again before it is sent; of a key
/// one message is in flight, and the next one goes when that was accepted; what was accepted is
/// removed with the next read. At the first failure it ends: it does not retry, bury, park keys,
/// bound what is in flight, renew leases, stop in time, or tell anybody anything.
class by_hand : public loop {
public:
    void enqueue() {
        std::vector<outbox::draft> drafts;
        drafts.reserve(batch);
        auto const ids = shared_ids();
        for (std::size_t i = 0; i < batch; ++i) {
            auto const key = keys[i % keys.size()];
            require_good(topic, key, {}, payload);
            drafts.push_back({.id = ids[i], .topic = topic, .key = key, .payload = payload});
        }
        store(drafts);
    }
    void deliver() {
        for_each_page([&](std::span<outbox::record const> records) {
            line_up(records);
            while (!dispatches_.empty()) {
                auto const first = dispatches_.front().token;
                in_flight_.clear();
                for (auto const& one : dispatches_) in_flight_.push_back(one.message);
                send();
                for (auto const& one : receipts_) {
                    if (one.what != outbox::outcome::accepted) throw std::runtime_error{one.reason};
                    auto const* const record = in_flight_[one.token - first];
                    settle(*record);
                    if (auto const* const next = behind_[index(record, records)]) go(next);
                }
            }
        });
    }

private:
    std::vector<outbox::message_id> shared_ids() {
        std::lock_guard const lock{mutex_};
        return next_ids();
    }
    static std::size_t index(outbox::record const* of, std::span<outbox::record const> records) {
        return static_cast<std::size_t>(of - records.data());
    }
    void require_good(std::string_view topic_text, std::string_view key, std::string_view headers,
                      std::string_view payload_text) const {
        if (auto const wrong = outbox::check_message<outbox::memory_broker>(
                topic_text, key, headers, payload_text, limits_)) {
            throw outbox::error{wrong->code, wrong->text()};
        }
    }
    /// The first of each key goes at once; each other one knows whom it follows.
    void line_up(std::span<outbox::record const> records) {
        last_.clear();
        behind_.assign(records.size(), nullptr);
        for (auto const& one : records) {
            require_good(one.topic, one.key, one.headers, one.payload);
            auto const [last, is_first] = last_.try_emplace(one.key, &one);
            if (is_first) {
                go(&one);
            } else {
                behind_[index(last->second, records)] = &one;
                last->second = &one;
            }
        }
    }
    void go(outbox::record const* one) {
        dispatches_.push_back({tokens_++, one});
    }

    outbox::options limits_{};
    std::mutex mutex_{};
    outbox::attempt_token tokens_{0};
    std::unordered_map<std::string_view, outbox::record const*> last_{};
    std::vector<outbox::record const*> behind_{};
    std::vector<outbox::record const*> in_flight_{};
};

/// The least that could be written: no checks, no order within a key, no thread beside it.
class bare : public loop {
public:
    void enqueue() {
        std::vector<outbox::draft> drafts;
        drafts.reserve(batch);
        auto const ids = next_ids();
        for (std::size_t i = 0; i < batch; ++i) {
            drafts.push_back(
                {.id = ids[i], .topic = topic, .key = keys[i % keys.size()], .payload = payload});
        }
        store(drafts);
    }
    void deliver() {
        for_each_page([&](std::span<outbox::record const> records) {
            for (auto const& one : records) dispatches_.push_back({tokens_++, &one});
            auto const first = tokens_ - records.size();
            send();
            for (auto const& one : receipts_) settle(records[one.token - first]);
        });
    }

private:
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
        std::cerr << "usage: doubles enqueue|deliver outbox|hand|bare ROUNDS\n";
        return 2;
    }
    bool const deliver = arguments[1] == std::string_view{"deliver"};
    auto const rounds = std::strtoul(arguments[3], nullptr, 10);
    std::string_view const way{arguments[2]};
    if (way == "outbox") return run<by_outbox>(deliver, rounds);
    return way == "hand" ? run<by_hand>(deliver, rounds) : run<bare>(deliver, rounds);
}
