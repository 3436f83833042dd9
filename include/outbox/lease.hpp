// SPDX-License-Identifier: MIT
//
// The words that relay and storage exchange: partitions held under a lease, and one round of
// settling and reading. Durations, never times: a storage stamps with its own clock.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "outbox/record.hpp"
#include "outbox/settlement.hpp"

namespace outbox {

using epoch_number = std::int64_t;

/// A key with retrying records. Nothing newer of it may be published before these are settled.
struct parked_key {
    partition_number partition{0};
    std::string key{};
    duration due_in{0};  ///< until the earliest record of the key may be tried again
    bool blocked{
        false};  ///< a dead letter stands before its first retrying record ("block" option)
};

/// A record whose worker died while it was the only one in flight. It counts as read: the new owner
/// has it in hand and settles it, without having seen its payload.
struct accused_record {
    sequence_number sequence{0};
    message_id id{};
    std::string key{};
    std::int32_t attempts{0};
    std::int32_t deaths{0};         ///< this one included; already stored
    std::int32_t buried_lately{0};  ///< dead letters of the last hour over which a worker had died
};

/// How carefully a partition is read after its last owner died. Kept in the partition's row, across
/// clean releases too, until the records that may have been in flight are through.
struct caution {
    std::int32_t strikes{0};  ///< owners in a row that died while they held it
    std::int32_t left{0};     ///< records still to be read with care
    std::int32_t reach{0};    ///< records that the present owner may have in flight at once

    friend bool operator==(caution const&, caution const&) = default;
};

/// A partition that was acquired.
struct tenure {
    partition_number partition{0};
    epoch_number epoch{0};
    caution care{};
    std::optional<accused_record> accused{};
    std::vector<parked_key> parked{};  ///< all of them, in no order
};

/// What a worker that is about to wait may expect of those who commit elsewhere.
enum class outlook : std::uint8_t {
    silent,     ///< nobody tells this worker: it polls
    soon,       ///< nor now, but somebody is about to commit: look again soon
    announced,  ///< whatever is committed from now on is announced
};

struct acquire_request {
    duration lease{0};
    std::int32_t most{1};   ///< partitions at the most, beside the fair share
    std::int32_t reach{0};  ///< stored as `care.reach`, and copied to `care.left` of whoever
                            ///< takes the partition over after this owner's death
    std::int32_t careful_reach{0};  ///< the same where records are to be read with care: after such
                                    ///< a take-over, or while `care.left` is above zero
    bool dead_letters_block{false};
};

struct acquired {
    std::vector<tenure> tenures{};
    bool waiting{false};  ///< others hold what it could use; who holds too much was told
};

/// Asks for the retrying records of one key, earliest first.
struct due_key {
    partition_number partition{0};
    std::string_view key{};
};

struct renewal {
    partition_number partition{0};
    caution care{};
};

struct round_request {
    std::span<settlement const> settlements{};
    /// Partitions whose lease is extended to `lease` from now, with their caution.
    std::span<renewal const> renewals{};
    duration lease{0};
    /// Partitions to read ready records from; `due_keys` adds retrying ones.
    std::span<partition_number const> read{};
    std::span<due_key const> due_keys{};
    /// So many ready records at the most, and as many retrying ones; 0 reads nothing. Of ready ones
    /// fewer may come than there are, where `more` says so; none, too, where that was as much as
    /// there was time for, and another request goes on from there.
    std::int32_t records{0};
    std::int64_t bytes{0};  ///< of both together: stop after the record that reaches this
    /// Reads at most one record, and records durably which one before its payload is touched.
    bool alone{false};
    /// Lets scheduled records whose time has come take their place among the ready ones.
    bool promote{false};
    bool dead_letters_block{false};
};

struct round_reply {
    page read{};                             ///< for each partition and key in order of sequence
    std::vector<partition_number> lost{};    ///< overtaken: nothing was settled or read for these
    std::vector<partition_number> wanted{};  ///< another worker waits for these
    /// Those of `due_keys` that nothing parks any more: no retrying record left, in hand or not,
    /// and no dead letter where these block.
    std::vector<std::string> drained{};
    std::vector<parked_key>
        changed{};     ///< keys that an operator gave retrying records, or unblocked
    bool more{false};  ///< there may be more to read at once
};

/// Gives a partition back. Records in hand become readable again.
struct ending {
    partition_number partition{0};
    caution care{};
};

}  // namespace outbox
