// SPDX-License-Identifier: MIT
//
// The storage without a database: the double for unit tests, and the model to copy for a new
// storage. It keeps every promise of the concept but one: nothing survives the process.
//
//     outbox::memory_storage storage{clock};
//     auto transaction = storage.begin_transaction();
//     box.create_message(transaction, "order.created", "{}");
//     transaction.commit();
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "outbox/concepts.hpp"

namespace outbox {

namespace testing {
struct memory_surgery;
}

template <clock Clock>
class basic_memory_storage {
    struct shared_state;
    friend testing::memory_surgery;

public:
    static constexpr partition_number partitions = 8;

    /// What a database connection is to the other storages: at most one transaction at a time.
    /// Dropping it rolls back. One thread at a time.
    class connection {
    public:
        connection() = default;
        void commit() {
            state_->commit(*this);
        }
        void rollback() noexcept {
            open_ = false;
            staged_.clear();
        }

    private:
        friend class basic_memory_storage;
        struct staged_message {
            draft head{};  ///< its views point into `text`
            std::unique_ptr<std::string> text{};
        };
        std::shared_ptr<shared_state> state_{};
        std::vector<staged_message> staged_{};
        bool open_{false};
    };

    class transaction {
    public:
        transaction(connection& of)
            : connection_{&of} {}  // NOLINT: a connection is what callers have

    private:
        friend class basic_memory_storage;
        connection* connection_;
    };

    class session;

    explicit basic_memory_storage(Clock clock = {})
        : state_{std::make_shared<shared_state>(clock)} {}

    [[nodiscard]] std::string_view name() const {
        return "memory";
    }
    [[nodiscard]] connection begin_transaction() {
        connection opened;
        begin(opened);
        return opened;
    }
    void begin(transaction on) {
        if (on.connection_->open_)
            throw error{errc::no_transaction, "a transaction is open already"};
        on.connection_->state_ = state_;
        on.connection_->open_ = true;
    }
    void commit(transaction on) {
        state_->commit(*on.connection_);
    }
    void rollback(transaction on) noexcept {
        on.connection_->rollback();
    }
    void append(transaction on, std::span<draft const> drafts);

    [[nodiscard]] session connect(message_id const& worker, duration /*time_limit*/) {
        return session{state_, worker};
    }

    [[nodiscard]] std::vector<dead_letter> dead_letters(dead_letter_filter const& filter,
                                                        std::optional<message_id> after,
                                                        std::size_t count) const;
    std::size_t requeue(dead_letter_filter const& filter, std::size_t count);
    std::size_t discard(dead_letter_filter const& filter, std::size_t count);
    std::vector<message_id> replay(time_range range, std::optional<message_id> after,
                                   std::size_t count);
    std::size_t purge_published(duration older_than, std::size_t count);
    std::size_t purge_dead(duration older_than, std::size_t count);
    [[nodiscard]] storage_statistics statistics() const;

private:
    struct stored {
        record head{};  ///< its views point into `text`
        std::unique_ptr<std::string> text{};
        bool caller_chose_id{false};
        epoch_number in_hand{0};  ///< the epoch whose owner has read it and not settled it
        std::string last_error{};
        monotonic_time due{};
        wall_time created_at{};
        wall_time ended_at{};  ///< published, or dead, since
    };
    using by_sequence = std::map<sequence_number, stored>;

    struct partition {
        by_sequence ready{};
        std::map<std::string, by_sequence, std::less<>> retrying{};
        std::multimap<monotonic_time, stored> scheduled{};
        std::optional<message_id> owner{};
        epoch_number epoch{0};
        monotonic_time lease_until{};
        monotonic_time wanted_until{};
        std::uint64_t served{0};
        caution care{};
        sequence_number suspect{0};
        std::int64_t version{0};
    };

    struct shared_state {
        explicit shared_state(Clock of) : clock{std::move(of)}, all(partitions) {}

        void commit(connection& on);
        void store(std::span<typename connection::staged_message> drafts);
        void take_back(sequence_number before) noexcept;
        stored& wait_again(stored& message);
        [[nodiscard]] bool holds_work(partition_number number, bool dead_letters_block) const;
        [[nodiscard]] std::optional<parked_key> parking(partition_number number,
                                                        std::string const& key,
                                                        bool dead_letters_block) const;
        [[nodiscard]] sequence_number first_dead(partition_number number,
                                                 std::string_view key) const;
        [[nodiscard]] std::int32_t buried_lately() const;

        mutable std::mutex mutex{};
        Clock clock;
        std::vector<partition> all;
        std::map<message_id, stored> dead{};
        std::map<message_id, stored> published{};
        std::set<message_id> chosen_ids{};
        sequence_number last_sequence{0};
        std::uint64_t services{0};
    };

    static bool matches(dead_letter_filter const& filter, record const& head) {
        return (filter.topic.empty() || filter.topic == head.topic) &&
               (!filter.id || *filter.id == head.id);
    }
    static partition_number partition_of(std::string_view key) {
        if (key.empty()) return 0;
        // FNV-1a: the same on every platform, so that a seed tells the same story everywhere.
        std::uint64_t hash = 0xcbf29ce484222325U;
        for (char const c : key) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
        return static_cast<partition_number>(1 + hash % (partitions - 1));
    }

    std::shared_ptr<shared_state> state_;
};

using memory_storage = basic_memory_storage<manual_clock>;

template <clock Clock>
class basic_memory_storage<Clock>::session {
public:
    [[nodiscard]] acquired acquire(acquire_request const& request);
    [[nodiscard]] round_reply exchange(round_request const& request);
    void release(std::span<ending const> endings);
    [[nodiscard]] int descriptor() const {
        return -1;
    }

private:
    friend class basic_memory_storage;
    struct holding {
        epoch_number epoch{0};
        sequence_number cursor{0};
        std::int64_t version{0};
    };
    session(std::shared_ptr<shared_state> state, message_id const& worker)
        : state_{std::move(state)}, worker_{worker} {}

    [[nodiscard]] bool owns(partition_number number) const;
    void accuse(partition& p, tenure& got);
    void settle(settlement const& one, holding& mine);
    void settle(settlement const& one, partition& p, by_sequence& from,
                typename by_sequence::iterator found);
    void read_ready(partition_number number, holding& mine, round_request const& request,
                    round_reply& reply);
    void read_due(due_key const& due, round_request const& request, round_reply& reply);
    void hand_out(stored& message, epoch_number epoch, round_reply& reply);
    void promote(partition& p);
    [[nodiscard]] bool full(round_request const& request, round_reply const& reply) const;

    std::shared_ptr<shared_state> state_;
    message_id worker_;
    std::map<partition_number, holding> held_{};
    std::int64_t bytes_{0};  ///< of this round's records
    std::int32_t taken_{0};  ///< of retrying records, then of ready ones
};

}  // namespace outbox

#include "outbox/storage/memory.ipp"

namespace outbox {

static_assert(storage<memory_storage>);
static_assert(storage<basic_memory_storage<system_clock>>);

}  // namespace outbox
