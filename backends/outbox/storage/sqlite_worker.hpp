// SPDX-License-Identifier: MIT
//
// A worker's session: the lease on the one partition, and rounds of settling and reading. What is
// in hand is known here alone; all else is in the file, and read anew in every transaction.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "outbox/lease.hpp"
#include "outbox/storage/sqlite_connection.hpp"
#include "outbox/storage/sqlite_in_hand.hpp"
#include "outbox/table_name.hpp"

namespace outbox::sqlite {

class worker {
public:
    worker(std::string const& path, table_name const& table, message_id const& id, duration limit);

    [[nodiscard]] acquired acquire(acquire_request const& request);
    [[nodiscard]] round_reply exchange(round_request const& request);
    void release(std::span<ending const> endings);

private:
    /// What a transaction is for.
    enum class purpose : std::uint8_t {
        read,    ///< writes nothing, and so waits for nobody who writes
        stamp,   ///< losing it costs a duplicate: its commit need not wait for the disk
        decide,  ///< durable
    };
    /// The partition's row, and the time, at the start of a transaction.
    struct lease_row {
        std::int64_t now{0};
        std::string owner{};
        epoch_number epoch{0};
        std::int64_t lease_until{0};
        std::int64_t version{0};
        sequence_number suspect{0};
        caution care{};
    };
    struct holding {
        epoch_number epoch{0};
        std::int64_t version{0};
    };
    /// What was published is removed or stamped by so many numbers a statement: to open the table
    /// and all its indexes takes as long as to change a row.
    static constexpr std::size_t sequences_at_once = 64;
    /// From so many numbers without a gap on, a statement of their own for the range is cheaper
    /// than their part of a list, which SQLite first puts into an index.
    static constexpr std::ptrdiff_t long_run = 8;

    struct statements {
        statements(sqlite3* on, table_name const& table);

        statement lease_row;
        statement take, extend, give_back, note_suspect, clear_suspect;
        statement remove_run, remove_scattered, stamp_run, stamp_scattered;
        statement retry, follow, schedule, bury;
        statement any_ready, any_scheduled_due, scheduled_due, draw_sequence, promote;
        statement accuse, buried_since, next_retrying_key, any_retrying, first_dead, next_dead_key;
        statement ready, retrying, one, ready_records;
    };

    /// One round's reading. `alone`: the one record, chosen and not yet looked at.
    struct reading {
        round_request const& wants;
        round_reply& reply;
        std::int64_t now{0};
        std::int64_t bytes{0};
        std::int32_t taken{0};
        sequence_number last{0};  ///< of those that were read from the line
        std::optional<sequence_number> alone{};

        [[nodiscard]] bool full() const;
    };
    /// How the partition looks to one that does not hold it.
    enum class prospect : std::uint8_t { idle, taken, free };

    template <class Work>
    void within(purpose why, Work&& work);
    [[nodiscard]] lease_row glance();
    [[nodiscard]] bool owns(lease_row const& row) const;
    void forget();

    [[nodiscard]] prospect look(lease_row const& row, bool dead_letters_block);
    [[nodiscard]] tenure take(lease_row const& row, acquire_request const& request);
    [[nodiscard]] std::optional<accused_record> accuse(lease_row const& row);

    [[nodiscard]] static purpose purpose_of(round_request const& request, bool promotes);
    [[nodiscard]] bool keeps(round_request const& request, lease_row const& row,
                             round_reply& reply);
    void settle(settlement const& one, lease_row const& row);
    void settle_published(lease_row const& row);
    static void write_published(std::vector<sequence_number>& all, std::int64_t now, statement& run,
                                statement& scattered);
    void renew(renewal const& one, duration lease, lease_row const& row);
    void promote(lease_row const& row, round_reply& reply);
    void read(reading& part);
    void read_due(std::string_view key, reading& part);
    void read_ready(reading& part);
    void read_ready_from(sequence_number first, reading& part);
    /// The first ready record behind that one which is not in hand; only the index is read.
    [[nodiscard]] std::optional<sequence_number> next_ready(sequence_number after);
    void hand_out(sequence_number sequence, reading& part);
    void fetch(sequence_number sequence, reading& part);
    /// Takes the record that `stored` stands at.
    static void take_in(rows const& stored, reading& part);

    /// Calls `visit(key, first sequence, due)` for each key with retrying records, until it says
    /// false.
    template <class Visit>
    void for_each_retrying_key(Visit&& visit);
    /// Whether a dead letter of the key stands before its first retrying record.
    [[nodiscard]] bool is_blocked(std::string_view key, sequence_number first);
    void add_retrying(lease_row const& row, bool dead_letters_block, std::vector<parked_key>& to);
    void add_blocked(std::vector<parked_key>& to);

    connection db_;
    statements sql_;
    std::string id_;
    std::optional<holding> held_{};
    sequences_in_hand in_hand_{};
    /// Of the transaction that runs: settled, and not yet written.
    std::vector<sequence_number> removed_{}, stamped_{};
};

}  // namespace outbox::sqlite
