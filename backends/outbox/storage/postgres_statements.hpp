// SPDX-License-Identifier: MIT
//
// SQL of ours, written for a table called `outbox` and rendered for the table's real name. Every
// name of ours begins with that of the table.
#pragma once

#include <string>
#include <string_view>

#include "outbox/table_name.hpp"

namespace outbox::postgres {

/// `sql` with each word that is `outbox` or begins with `outbox_` made to begin with `name`. Does
/// what migrations/render.py does.
[[nodiscard]] std::string render(std::string_view sql, std::string_view name);

/// What a relay's session runs, each under the name that it is prepared by. The columns of a record
/// stand in the order of read_record (postgres_worker.cpp).
struct worker_statements {
    explicit worker_statements(table_name const& table);

    std::string mend_low;   ///< $1 me
    std::string find_work;  ///< $1 held partitions, $2 me, $3 dead letters block
    std::string head;
    std::string take;             ///< $1 candidates, $2 me, $3 lease, $4 reach, $5 careful, $6 most
    std::string accuse_retrying;  ///< $1 partition, $2 sequence
    std::string accuse_ready;
    std::string want;     ///< $1 me, $2 share, $3 for how long, $4 how many
    std::string parked;   ///< $1 partitions, $2 dead letters block
    std::string release;  ///< $1 partitions, $2 epochs, $3 me, $4 low, $5–$7 caution

    std::string watch;   ///< $1 the server's process as the client knows it
    std::string listen;  ///< without the table's number, which ends the channel's name
    std::string unwatch;

    std::string fence;          ///< $1 partitions, $2 epochs, $3 me, $4 how many
    std::string peek;           ///< $1 partitions, $2 epochs, $3 me, $4 look for due scheduled ones
    std::string remove_placed;  ///< $1 sequences, rising, $2 places
    std::string remove_ready;   ///< $1 partitions, $2 sequences
    std::string remove_retrying;  ///< $1 partitions, $2 sequences, $3 keys
    std::string stamp_placed;
    std::string stamp_ready;
    std::string stamp_retrying;
    std::string flag_ready;  ///< …, $4 state, $5 attempts, $6 delay, $7 error
    std::string flag_retrying;
    std::string clear_note;        ///< $1 partitions
    std::string renew;             ///< $1 partitions, $2 low, $3–$5 caution, $6 lease
    std::string relax_unless_due;  ///< $1 partitions
    std::string promote;           ///< $1 partitions, $2 how many at the most
    std::string read_due;          ///< $1 partitions, $2 keys, $3 in hand, $4 how many, $5 bytes,
                                   ///< $6 with payload, $7 dead letters block
    std::string drained;           ///< $1 partitions, $2 keys, $3 dead letters block
    std::string look;              ///< what the snapshot of the transaction can see
    std::string read_ready;        ///< $1 partitions, $2 low, $3 in hand, $4–$6 as above, $7 how
                                   ///< many of each partition, $8 quiet start, $9 for which own id,
                                   ///< $10 start while none of $11 has ended, $12 highest in
                                   ///< hand, $13 end
    std::string read_light;        ///< likewise
    std::string note;              ///< $1 partition, $2 sequence
    std::string read_one_ready;    ///< $1 partition, $2 sequence
    std::string read_one_retrying;  ///< $1 partition, $2 sequence, $3 key
};

}  // namespace outbox::postgres
