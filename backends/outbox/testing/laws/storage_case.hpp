// SPDX-License-Identifier: MIT
//
// The words in which the laws of a storage are written. The file that includes them says before
// whose laws they are:
//
//     struct model {
//         using storage_type = …;
//         static constexpr bool concurrent = …;        two transactions may be open at once
//         static constexpr std::size_t partitions = …;
//         static constexpr int random_sequences = …;   as many as fit in half a minute
//         storage_type& storage();
//         connection& own();                           a caller's handle, for one transaction at
//         once connection& other();                         another one void
//         elapse(outbox::duration);               lets time pass: leases, due times, ages
//         outbox::wall_time wall();                    what the storage takes for now
//     };
//
// where `connection` converts to `storage_type::transaction`. Each case makes a model of its own.
// Real storages take real time, so no law relies on none passing.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "outbox/concepts.hpp"
#include "outbox/testing/catch.hpp"

namespace outbox::testing::laws {

using namespace std::chrono_literals;
using outbox::fate;

inline outbox::message_id numbered(int number) {
    outbox::message_id id{};
    for (std::size_t i = 0; i < 4; ++i) {
        id.bytes[15 - i] = static_cast<std::uint8_t>(number >> (8 * i));
    }
    return id;
}
inline int number_of(outbox::message_id const& id) {
    return (int{id.bytes[12]} << 24) | (int{id.bytes[13]} << 16) | (int{id.bytes[14]} << 8) |
           int{id.bytes[15]};
}

inline std::vector<int> numbers(outbox::round_reply const& reply) {
    std::vector<int> all;
    for (auto const& one : reply.read.records) all.push_back(number_of(one.id));
    return all;
}
using list = std::vector<int>;

template <class Call>
std::optional<outbox::errc> refusal(Call&& call) {
    try {
        call();
    } catch (outbox::error const& failure) {
        return failure.code();
    }
    return std::nullopt;
}

inline constexpr outbox::duration lease = 60s;
inline constexpr outbox::acquire_request everything{
    .lease = lease, .most = 1'000, .reach = 9, .careful_reach = 1};

inline outbox::draft draft_of(int number, std::string_view key = {}) {
    return {.id = numbered(number), .topic = "t", .key = key, .payload = "p"};
}

/// Enqueues in a transaction of its own.
template <class Model>
void put(Model& at, std::vector<outbox::draft> const& drafts) {
    at.storage().begin(at.own());
    at.storage().append(at.own(), drafts);
    at.storage().commit(at.own());
}
template <class Model>
void put(Model& at, int number, std::string_view key = {}) {
    put(at, {draft_of(number, key)});
}

inline outbox::settlement settled(outbox::record const& of, fate what) {
    return {.partition = of.partition,
            .sequence = of.sequence,
            .what = what,
            .attempts = of.attempts + 1,
            .error = "why"};
}
inline std::vector<outbox::settlement> all_settled(outbox::round_reply const& reply, fate what) {
    std::vector<outbox::settlement> all;
    for (auto const& one : reply.read.records) all.push_back(settled(one, what));
    return all;
}

/// A worker of the law's own: a session, and what it holds.
template <class Model>
class worker {
public:
    worker(Model& at, int number) : session_{at.storage().connect(numbered(number), 20s)} {}

    outbox::acquired acquire(outbox::acquire_request const& request = everything) {
        auto got = session_.acquire(request);
        for (auto const& one : got.tenures) held_.push_back(one.partition);
        return got;
    }
    outbox::round_reply exchange(outbox::round_request const& request) {
        return session_.exchange(request);
    }
    /// Reads ready records of all that it holds.
    outbox::round_reply read(std::int32_t records = 100,
                             std::vector<outbox::settlement> const& settlements = {}) {
        return exchange({.settlements = settlements,
                         .lease = lease,
                         .read = held_,
                         .records = records,
                         .bytes = 1'000'000,
                         .promote = true});
    }
    outbox::round_reply settle(std::vector<outbox::settlement> const& settlements) {
        return exchange({.settlements = settlements, .lease = lease});
    }
    /// Reads retrying records of one key.
    outbox::round_reply read_due(outbox::partition_number partition, std::string_view key,
                                 bool alone = false, bool block = false) {
        outbox::due_key const due{partition, key};
        return exchange({.lease = lease,
                         .due_keys = {&due, 1},
                         .records = 100,
                         .bytes = 1'000'000,
                         .alone = alone,
                         .dead_letters_block = block});
    }
    void release(outbox::caution const& care = {}) {
        std::vector<outbox::ending> endings;
        for (auto const partition : held_) endings.push_back({partition, care});
        session_.release(endings);
        held_.clear();
    }
    [[nodiscard]] std::vector<outbox::partition_number> const& held() const {
        return held_;
    }

private:
    typename Model::storage_type::session session_;
    std::vector<outbox::partition_number> held_{};
};
template <class Model>
worker(Model&, int) -> worker<Model>;

/// Reads one record and has it noted as the only one in flight.
template <class Model>
outbox::round_reply read_alone(worker<Model>& mine) {
    return mine.exchange(
        {.lease = lease, .read = mine.held(), .records = 100, .bytes = 1'000'000, .alone = true});
}

}  // namespace outbox::testing::laws

// In the words of the models and the laws.
namespace {  // NOLINT(google-build-namespaces)
namespace laws = outbox::testing::laws;
}
