// SPDX-License-Identifier: MIT
//
// What must have happened now and then in a full run: a simulation that never gets there proves
// nothing about it.
#pragma once

#include <array>
#include <string_view>

namespace simulated {

inline constexpr std::array markers = std::to_array<std::string_view>({
    "a change by an operator was noticed",
    "a clean hand-over",
    "a commit woke a worker",
    "a copy landed after its dead letter",
    "a dead letter was discarded",
    "a dead letter was requeued",
    "a dead worker's copy landed",
    "a failure was stored",
    "a flaky message failed",
    "a follower was flagged",
    "a killer was buried",
    "a message broke its channel",
    "a message had no route",
    "a message was buried",
    "a message was refused",
    "a message was refused, since another one was missing",
    "a message was rejected",
    "a message was replayed",
    "a message was sent right behind another one",
    "a parked key was drained",
    "a partition was released with care",
    "a partition was taken over with care",
    "a partition was wanted",
    "a receipt came too late",
    "a record was accused",
    "a record was handed back",
    "a record was read alone",
    "a second copy landed",
    "a settlement was forgotten",
    "a transaction was rolled back",
    "a worker stopped",
    "a worker took back its own partition",
    "a worker waits for its share",
    "a worker was fenced",
    "a worker was killed",
    "an unclean take-over",
    "answer lost",
    "channel breaks",
    "civil clock jumps",
    "contention",
    "copy lands late",
    "everything is up",
    "in doubt, and gone",
    "in doubt, and landed",
    "parked keys were handed over",
    "published messages were purged",
    "receipt comes twice",
    "receipt lost",
    "request lost",
    "request straggles",
    "sent again: it failed",
    "sent again: it was in doubt",
    "sent again: it was made to wait again",
    "sent again: its lease ran out",
    "sent again: its partition was taken over",
    "sent again: its receipt was late",
    "sent again: its worker died",
    "stall after a call",
    "stall before a call",
    "the broker swallows",
    "the storage crashed",
    "the storage is down",
});

}  // namespace simulated
