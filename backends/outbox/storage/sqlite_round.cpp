// SPDX-License-Identifier: MIT
//
// One round: settle, renew, promote, read, in one transaction under the fence.
#include <algorithm>
#include <limits>

#include "outbox/error.hpp"
#include "outbox/storage/sql_columns.hpp"
#include "outbox/storage/sqlite_within.ipp"
#include "outbox/storage/sqlite_worker.hpp"

namespace outbox::sqlite {

namespace {

/// Scheduled records that one round lets take their place.
constexpr int promotions_a_round = 1'000;

}  // namespace

worker::purpose worker::purpose_of(round_request const& request, bool promotes) {
    auto most = purpose::read;
    for (auto const& one : request.settlements) {
        if (one.what == fate::hand_back) continue;
        bool const costs_a_duplicate = one.what == fate::remove || one.what == fate::stamp;
        most = std::max(most, costs_a_duplicate ? purpose::stamp : purpose::decide);
    }
    bool const reads = !request.read.empty() || !request.due_keys.empty();
    bool const notes_suspect = request.alone && reads;
    bool const renews = !request.renewals.empty();
    return promotes || notes_suspect || renews ? purpose::decide : most;
}

round_reply worker::exchange(round_request const& request) {
    round_reply reply;
    reading part{.wants = request, .reply = reply};
    bool const promotes = held_ && request.promote && sql_.any_scheduled_due.any();
    within(purpose_of(request, promotes), [&](lease_row const& row) {
        if (!keeps(request, row, reply)) return;
        removed_.clear();
        stamped_.clear();
        for (auto const& one : request.settlements) settle(one, row);
        settle_published(row);
        for (auto const& one : request.renewals) renew(one, request.lease, row);
        if (promotes) promote(row, reply);
        if (held_->version != row.version) {
            held_->version = row.version;
            add_retrying(row, request.dead_letters_block, reply.changed);
        }
        part.now = row.now;
        read(part);
        if (part.alone) sql_.note_suspect.execute(*part.alone);
    });
    // Only now that it is on record is its payload touched.
    if (part.alone) outcome_matters([&] { fetch(*part.alone, part); });
    return reply;
}

/// The fence: says which of the partitions that are named are lost, and whether ours is kept.
bool worker::keeps(round_request const& request, lease_row const& row, round_reply& reply) {
    auto const mine = owns(row);
    if (!mine) forget();
    auto const name = [&](partition_number number) {
        if (number == 0 && mine) return;
        if (std::ranges::find(reply.lost, number) == reply.lost.end()) reply.lost.push_back(number);
    };
    for (auto const& one : request.settlements) name(one.partition);
    for (auto const& one : request.renewals) name(one.partition);
    for (auto const number : request.read) name(number);
    for (auto const& one : request.due_keys) name(one.partition);
    return mine;
}

void worker::settle(settlement const& one, lease_row const& row) {
    if (one.partition != 0 || !in_hand_.remove(one.sequence)) return;
    auto const due = row.now + one.delay.count();
    switch (one.what) {
        case fate::remove: removed_.push_back(one.sequence); break;
        case fate::stamp: stamped_.push_back(one.sequence); break;
        case fate::retry: sql_.retry.execute(one.sequence, due, one.attempts, one.error); break;
        case fate::follow: sql_.follow.execute(one.sequence, row.now); break;
        case fate::schedule: sql_.schedule.execute(one.sequence, due); break;
        case fate::bury: sql_.bury.execute(one.sequence, row.now, one.attempts, one.error); break;
        case fate::hand_back: return;
    }
    if (one.sequence == row.suspect) sql_.clear_suspect.execute();
}

/// Writes what was removed or stamped.
void worker::settle_published(lease_row const& row) {
    write_published(removed_, row.now, sql_.remove_run, sql_.remove_scattered);
    write_published(stamped_, row.now, sql_.stamp_run, sql_.stamp_scattered);
}

void worker::write_published(std::vector<sequence_number>& all, std::int64_t now, statement& run,
                             statement& scattered) {
    std::ranges::sort(all);
    std::vector<sequence_number> lone;
    for (auto first = all.begin(); first != all.end();) {
        // No number between first and last is missing, so the range names nothing else.
        auto last = first;
        while (std::next(last) != all.end() && *std::next(last) == *last + 1) ++last;
        auto const end = std::next(last);
        if (end - first >= long_run) {
            run.execute(now, *first, *last);
        } else {
            lone.insert(lone.end(), first, end);
        }
        first = end;
    }
    for (std::span<sequence_number const> left{lone}; !left.empty();) {
        auto const some = left.first(std::min(left.size(), sequences_at_once));
        scattered.execute_for(some, now);
        left = left.subspan(some.size());
    }
    all.clear();
}

void worker::renew(renewal const& one, duration lease, lease_row const& row) {
    if (one.partition != 0) return;
    sql_.extend.execute(row.now + lease.count(), one.care.strikes, one.care.left, one.care.reach);
}

/// Scheduled records whose time has come join the end of the line, earliest first.
void worker::promote(lease_row const& row, round_reply& reply) {
    for (int i = 0; i < promotions_a_round; ++i) {
        auto const scheduled = sql_.scheduled_due.number(row.now);
        if (!scheduled) return;
        auto const drawn = sql_.draw_sequence.number();
        if (!drawn) throw error{errc::schema_mismatch, "the table has no row in sqlite_sequence"};
        sql_.promote.execute(*scheduled, *drawn);
    }
    reply.more = true;
}

bool worker::reading::full() const {
    if (wants.alone) return alone.has_value();
    return taken >= wants.records || (!reply.read.records.empty() && bytes >= wants.bytes);
}

void worker::read(reading& part) {
    for (auto const& due : part.wants.due_keys) {
        if (due.partition == 0) read_due(due.key, part);
    }
    part.taken = 0;
    if (std::ranges::find(part.wants.read, partition_number{0}) != part.wants.read.end()) {
        read_ready(part);
    }
}

void worker::read_due(std::string_view key, reading& part) {
    auto const dead = part.wants.dead_letters_block ? sql_.first_dead.number(key) : std::nullopt;
    bool drained = !dead;
    auto line = sql_.retrying.run(key);
    while (line.next()) {
        drained = false;
        auto const sequence = line.integer(0);
        if (dead && sequence >= *dead) return;
        if (in_hand_.contains(sequence)) continue;
        bool const killed = line.integer(1) > 0;
        if (killed && !part.wants.alone) return;
        if (part.full()) {
            part.reply.more = true;
            return;
        }
        hand_out(sequence, part);
    }
    if (drained) part.reply.drained.emplace_back(key);
}

void worker::read_ready(reading& part) {
    // From the first on, past what is in hand: so one that turned up late, or was handed back, is
    // found in its place.
    auto next = next_ready(std::numeric_limits<sequence_number>::min());
    if (next && !part.full()) {
        if (part.wants.alone) {
            hand_out(*next, part);
            next = next_ready(*next);
        } else {
            read_ready_from(*next, part);
            next = next_ready(part.last);
        }
    }
    if (next) part.reply.more = true;
}

std::optional<sequence_number> worker::next_ready(sequence_number after) {
    std::optional<sequence_number> behind;
    do {
        auto line = sql_.ready.run(behind.value_or(after));
        behind.reset();
        while (!behind && line.next()) {
            auto const found = line.integer(0);
            if (!in_hand_.contains(found)) return found;
            // A long run of what is in hand is passed at once: the index is entered behind it.
            auto const end = in_hand_.end_of_run(found);
            if (end - found >= long_run) behind = end;
        }
    } while (behind);
    return std::nullopt;
}

/// One statement for all of them, as long as there is room.
void worker::read_ready_from(sequence_number first, reading& part) {
    auto line = sql_.ready_records.run(first);
    while (!part.full() && line.next()) {
        part.last = line.integer(0);
        if (in_hand_.add(part.last)) take_in(line, part);
    }
}

void worker::hand_out(sequence_number sequence, reading& part) {
    in_hand_.add(sequence);
    if (part.wants.alone) {
        part.alone = sequence;
    } else {
        fetch(sequence, part);
    }
}

void worker::fetch(sequence_number sequence, reading& part) {
    auto stored = sql_.one.run(sequence);
    if (!stored.next()) return;
    take_in(stored, part);
}

void worker::take_in(rows const& stored, reading& part) {
    row_reader from{stored};
    auto one = read_row<record>(from);
    // Up to here it is the time itself, and zero where there is none.
    one.remaining = one.state == record_state::ready
                        ? std::max(one.remaining - duration{part.now}, duration::zero())
                        : duration::zero();
    part.bytes += static_cast<std::int64_t>(part.reply.read.add(one).size_bytes());
    ++part.taken;
}

}  // namespace outbox::sqlite
