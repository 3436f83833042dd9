// SPDX-License-Identifier: MIT
//
// A session's transactions, and the lease: taking the partition, and giving it back.
#include "outbox/storage/sqlite_worker.hpp"

#include <algorithm>

#include "outbox/error.hpp"
#include "outbox/storage/sqlite_schema.hpp"
#include "outbox/storage/sqlite_within.ipp"

namespace outbox::sqlite {

namespace {

sqlite3* checked(sqlite3* on, table_name const& table) {
    check_schema(on, table);
    return on;
}

}  // namespace

worker::worker(std::string const& path, table_name const& table, message_id const& id,
               duration limit)
    // A verb waits for another connection at most twice: when it looks, and when it writes.
    : db_{path, limit / 2}, sql_{checked(db_.handle(), table), table}, id_{to_string(id)} {}

worker::lease_row worker::glance() {
    auto row = sql_.lease_row.run();
    if (!row.next()) {
        throw error{errc::schema_mismatch, "the table of partitions is empty; run migrate() again"};
    }
    return {.now = row.integer(0),
            .owner = std::string{row.text(1)},
            .epoch = row.integer(2),
            .lease_until = row.integer(3),
            .version = row.integer(4),
            .suspect = row.integer(5),
            .care = {.strikes = row.small(6), .left = row.small(7), .reach = row.small(8)}};
}

bool worker::owns(lease_row const& row) const {
    return held_ && row.owner == id_ && row.epoch == held_->epoch;
}

void worker::forget() {
    held_.reset();
    in_hand_.clear();
}

acquired worker::acquire(acquire_request const& request) {
    acquired result;
    if (held_ || request.most < 1) return result;
    // One partition: a fair share is one, whoever holds it, so nothing is ever marked as wanted.
    auto found = prospect::idle;
    within(purpose::read,
           [&](lease_row const& row) { found = look(row, request.dead_letters_block); });
    if (found == prospect::free) {
        within(purpose::decide, [&](lease_row const& row) {
            found = look(row, request.dead_letters_block);
            if (found == prospect::free) result.tenures.push_back(take(row, request));
        });
    }
    result.waiting = found == prospect::taken;
    return result;
}

worker::prospect worker::look(lease_row const& row, bool dead_letters_block) {
    bool work = sql_.any_ready.any() || sql_.any_scheduled_due.any();
    if (!work) {
        for_each_retrying_key([&](std::string_view key, sequence_number first, std::int64_t due) {
            work = due <= row.now && !(dead_letters_block && is_blocked(key, first));
            return !work;
        });
    }
    if (!work) return prospect::idle;
    bool const others = !row.owner.empty() && row.owner != id_ && row.lease_until > row.now;
    return others ? prospect::taken : prospect::free;
}

tenure worker::take(lease_row const& row, acquire_request const& request) {
    bool const died = !row.owner.empty() && row.owner != id_;
    tenure got{.partition = 0, .epoch = row.epoch + 1, .care = row.care};
    if (died) {
        ++got.care.strikes;
        got.care.left = row.care.reach;
    }
    got.care.reach = got.care.left > 0 || died ? request.careful_reach : request.reach;
    sql_.take.execute(id_, got.epoch, row.now + request.lease.count(), got.care.strikes,
                      got.care.left, got.care.reach);
    forget();
    held_ = {.epoch = got.epoch, .version = row.version};
    if (died) got.accused = accuse(row);
    add_retrying(row, request.dead_letters_block, got.parked);
    if (request.dead_letters_block) add_blocked(got.parked);
    return got;
}

/// The record that was in flight alone when its worker died.
std::optional<accused_record> worker::accuse(lease_row const& row) {
    auto found = sql_.accuse.run(row.suspect, row.now);
    if (!found.next()) return std::nullopt;
    in_hand_.add(row.suspect);
    auto const hour_ago = row.now - duration{std::chrono::hours{1}}.count();
    return accused_record{
        .sequence = row.suspect,
        .id = parse_message_id(found.text(0)).value_or(message_id{}),
        .key = std::string{found.text(1)},
        .attempts = found.small(2),
        .deaths = found.small(3),
        .buried_lately = static_cast<std::int32_t>(sql_.buried_since.number(hour_ago).value_or(0))};
}

template <class Visit>
void worker::for_each_retrying_key(Visit&& visit) {
    std::optional<std::string> key;
    while (true) {
        auto row = sql_.next_retrying_key.run(key);
        if (!row.next()) return;
        key = row.text(0);
        if (!visit(std::string_view{*key}, row.integer(1), row.integer(2))) return;
    }
}

bool worker::is_blocked(std::string_view key, sequence_number first) {
    auto const dead = sql_.first_dead.number(key);
    return dead && *dead < first;
}

void worker::add_retrying(lease_row const& row, bool dead_letters_block,
                          std::vector<parked_key>& to) {
    for_each_retrying_key([&](std::string_view key, sequence_number first, std::int64_t due) {
        to.push_back({.key = std::string{key},
                      .due_in = duration{std::max<std::int64_t>(due - row.now, 0)},
                      .blocked = dead_letters_block && is_blocked(key, first)});
        return true;
    });
}

/// Keys that nothing but a dead letter parks.
void worker::add_blocked(std::vector<parked_key>& to) {
    std::optional<std::string> key;
    while (true) {
        auto row = sql_.next_dead_key.run(key);
        if (!row.next()) return;
        key = row.text(0);
        if (!sql_.any_retrying.any(*key)) to.push_back({.key = *key, .blocked = true});
    }
}

void worker::release(std::span<ending const> endings) {
    auto const ours = std::ranges::find(endings, partition_number{0}, &ending::partition);
    if (!held_ || ours == endings.end()) return;
    within(purpose::decide, [&](lease_row const& row) {
        if (!owns(row)) return;
        sql_.give_back.execute(ours->care.strikes, ours->care.left, ours->care.reach);
    });
    forget();
}

}  // namespace outbox::sqlite
