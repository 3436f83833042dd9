// SPDX-License-Identifier: MIT
//
// The round from above, and what its reads bring; its writes are in postgres_settle.cpp.
#include "outbox/storage/postgres_round.hpp"

#include <algorithm>
#include <range/v3/action/sort.hpp>
#include <range/v3/action/unique.hpp>
#include <utility>

#include "outbox/storage/sql_columns.hpp"

namespace outbox::postgres {

namespace {

constexpr std::string_view division_by_zero = "22012";  // what the fence raises

}  // namespace

round::round(worker& of, round_request const& request) : of_{of}, request_{request} {
    for (auto const& one : request.settlements) named_.push_back(one.partition);
    for (auto const& one : request.renewals) named_.push_back(one.partition);
    for (auto const& one : request.due_keys) named_.push_back(one.partition);
    named_.insert(named_.end(), request.read.begin(), request.read.end());
    named_ |= ranges::actions::sort | ranges::actions::unique;
    for (auto const& one : request.due_keys) due_.push_back(one);
    for (auto const one : request.read) {
        if (std::ranges::find(read_, one) == read_.end()) read_.push_back(one);
    }
    for (auto const one : std::vector{named_}) {
        if (!of_.held_.contains(one)) lose(one);
    }
}

round_reply round::run() {
    for (;;) {
        if (named_.empty()) return std::move(reply_);
        trip plan;
        if (!travel(plan)) continue;
        settle_in_hand(plan);
        if (request_.alone) {
            take_alone(plan);
        } else {
            if (plan.due) take_due(plan.answers[*plan.due]);
            if (plan.ready) take_ready(plan.answers[*plan.ready]);
        }
        if (plan.drained) take_drained(plan.answers[*plan.drained]);
        take_changed();
        return std::move(reply_);
    }
}

/// False: again, since partitions turned out to be lost, or scheduled records to be due.
bool round::travel(trip& plan) {
    plan.writes = scheduled_due_ || writes();
    if (plan.writes) {
        plan_writes(plan);
    } else {
        auto values = naming(named_);
        values.add(request_.promote);
        plan.commands.push_back({of_.sql_->peek, std::move(values), "peek"});
    }
    plan_reads(plan);
    try {
        plan.answers = of_.link_.run(plan.commands);
    } catch (failure const& why) {
        if (plan.writes && why.command == plan.standing && why.sqlstate == division_by_zero) {
            of_.link_.roll_back();
            lose_the_overtaken();
            return false;
        }
        if (plan.writes && why.command > plan.commit) of_.committed_ = true;
        throw;
    }
    auto const& standing = plan.answers[plan.standing];
    if (plan.writes) {
        of_.committed_ = true;
    } else if (std::cmp_less(row_count(standing), named_.size())) {
        lose_all_but(standing);
        return false;
    }
    take_standing(standing);
    return plan.writes || !scheduled_due_;
}

bool round::kept(partition_number partition) const {
    return std::ranges::binary_search(named_, partition);
}

void round::lose(partition_number partition) {
    reply_.lost.push_back(partition);
    of_.held_.erase(partition);
    std::erase(named_, partition);
    std::erase(read_, partition);
    std::erase_if(due_, [&](due_key const& one) { return one.partition == partition; });
}

void round::lose_all_but(result const& standing) {
    std::vector<partition_number> ours;
    for (int row = 0; row < row_count(standing); ++row)
        ours.push_back(row_reader{standing, row}.number<partition_number>());
    for (auto const one : std::vector{named_}) {
        if (std::ranges::find(ours, one) == ours.end()) lose(one);
    }
}

void round::lose_the_overtaken() {
    auto const before = named_.size();
    auto values = naming(named_);
    values.add(false);
    lose_all_but(of_.link_.run(command{of_.sql_->peek, std::move(values), "peek"}));
    if (named_.size() == before)
        throw failure{.sqlstate = "40001", .message = "the fence raised, and nothing was lost"};
}

parameters round::naming(std::vector<partition_number> const& partitions) const {
    parameters values{partitions};
    values.add_array(partitions, [&](partition_number one) { return of_.held_.at(one).epoch; });
    values.add(of_.id_);
    return values;
}

// --- what the reads bring ----------------------------------------------------------------------

void round::plan_reads(trip& plan) const {
    auto const limit = request_.alone ? std::int64_t{1} : std::int64_t{request_.records};
    auto const bytes = std::max(std::int64_t{1}, request_.bytes);
    bool const any = request_.alone || request_.records > 0;
    auto const hand = in_hand();
    auto const push = [&](std::optional<std::size_t>& at, command one) {
        at = plan.commands.size();
        plan.commands.push_back(std::move(one));
    };
    auto const due_values = [&] {
        parameters values;
        values.add_array(due_, [](due_key const& one) { return one.partition; });
        values.add_array(due_, [](due_key const& one) { return one.key; });
        return values;
    };
    if (!due_.empty() && any) {
        auto values = due_values();
        values.add(hand);
        values.add(limit);
        values.add(bytes);
        values.add(!request_.alone);
        values.add(request_.dead_letters_block);
        push(plan.due, {of_.sql_->read_due, std::move(values), "due"});
    }
    if (!due_.empty()) {
        auto values = due_values();
        values.add(request_.dead_letters_block);
        push(plan.drained, {of_.sql_->drained, std::move(values), "drained"});
    }
    if (!read_.empty() && any) {
        parameters values{read_};
        values.add_array(read_, [&](partition_number one) { return read_from(one); });
        values.add(hand);
        values.add(limit);
        values.add(bytes);
        values.add(!request_.alone);
        push(plan.ready, {of_.sql_->read_ready, std::move(values), "ready"});
    }
}

/// What is read and will not be settled by this round.
std::vector<sequence_number> round::in_hand() const {
    std::vector<sequence_number> settled;
    for (auto const& one : request_.settlements) settled.push_back(one.sequence);
    std::ranges::sort(settled);
    std::vector<sequence_number> hand;
    auto const add = [&](sequence_number one) {
        if (!std::ranges::binary_search(settled, one)) hand.push_back(one);
    };
    for (auto const number : named_) {
        auto const& read = of_.held_.at(number).read;
        for (auto const one : read.ready()) add(one);
        for (auto const& [one, key] : read.retrying()) add(one);
    }
    return hand;
}

/// The low-water mark as of the last yes: below all that was in hand then, handed back now or not.
sequence_number round::read_from(partition_number partition) const {
    return of_.held_.at(partition).read.low();
}

void round::take_standing(result const& rows) {
    reply_.wanted.clear();
    changed_.clear();
    for (int row = 0; row < row_count(rows); ++row) {
        row_reader from{rows, row};
        auto const number = from.number<partition_number>();
        auto const version = from.number<std::int64_t>();
        if (version != of_.held_.at(number).version) changed_.emplace_back(number, version);
        if (from.boolean()) reply_.wanted.push_back(number);
        if (from.boolean()) scheduled_due_ = true;
    }
}

bool round::full() {
    bool const enough = !reply_.read.records.empty() && bytes_ >= request_.bytes;
    if (enough) reply_.more = true;
    return enough;
}

void round::hand_out(record const& one) {
    auto& read = of_.held_.at(one.partition).read;
    if (one.state == record_state::ready) {
        read.take_ready(one.sequence);
    } else {
        read.take_retrying(one.sequence, std::string{one.key});
    }
    bytes_ += static_cast<std::int64_t>(reply_.read.add(one).size_bytes());
}

void round::take_due(result const& rows) {
    std::optional<std::pair<partition_number, std::string_view>> stopped;
    std::int64_t payloads = 0;
    for (int row = 0; row < row_count(rows); ++row) {
        row_reader from{rows, row};
        auto const one = read_row<record>(from);
        std::pair const key{one.partition, one.key};
        if (stopped == key) continue;
        // A record that workers died over is read alone, and what comes after it waits.
        if (one.deaths > 0) {
            stopped = key;
            continue;
        }
        if (full()) return;
        payloads += static_cast<std::int64_t>(one.payload.size());
        hand_out(one);
    }
    // Where nothing could be handed out, asking the same again brings nothing either.
    bool const cut = row_count(rows) >= request_.records ||
                     payloads >= std::max(std::int64_t{1}, request_.bytes);
    if (cut && !reply_.read.records.empty()) reply_.more = true;
}

void round::take_ready(result const& rows) {
    std::map<partition_number, sequence_number> highest;
    partition_number last = 0;
    std::int64_t payloads = 0;
    bool cut = row_count(rows) >= request_.records;
    for (int row = 0; row < row_count(rows); ++row) {
        row_reader from{rows, row};
        from.skip();
        if (from.next_is_null()) {  // the horizon alone, which is no record
            cut = false;
            break;
        }
        auto const one = read_row<record>(from);
        if (full()) {
            cut = true;
            break;
        }
        payloads += static_cast<std::int64_t>(one.payload.size());
        hand_out(one);
        last = one.partition;
        highest[last] = one.sequence;
    }
    cut = cut || payloads >= std::max(std::int64_t{1}, request_.bytes);
    if (cut) reply_.more = true;
    auto const horizon = row_reader{rows, 0}.number<transaction_id>();
    for (auto const number : read_) {
        if (cut && highest.empty()) break;
        auto const found = highest.find(number);
        bool const ends_here = cut && number == last;
        auto const top = found == highest.end() ? 0 : found->second;
        of_.held_.at(number).read.look(ends_here ? std::optional{top} : std::nullopt, top, horizon);
        if (ends_here) break;
    }
}

void round::take_drained(result const& rows) {
    for (int row = 0; row < row_count(rows); ++row) {
        auto const place = row_reader{rows, row}.number<std::int32_t>();
        reply_.drained.emplace_back(due_[static_cast<std::size_t>(place)].key);
    }
}

/// Which record it is stands in the partition's row before its payload is touched.
void round::take_alone(trip const& done) {
    std::optional<record> chosen;
    transaction_id horizon = 0;
    if (done.due && row_count(done.answers[*done.due]) > 0) {
        row_reader from{done.answers[*done.due], 0};
        reply_.more = true;
        chosen = read_row<record>(from);
    }
    if (done.ready) {
        row_reader from{done.answers[*done.ready], 0};
        horizon = from.number<transaction_id>();
        if (!from.next_is_null()) {
            reply_.more = true;
            if (!chosen) chosen = read_row<record>(from);
        }
    }
    if (!chosen || !note(*chosen)) return;
    bool const ready = chosen->state == record_state::ready;
    auto const rows =
        of_.link_.run(ready ? command{of_.sql_->read_one_ready,
                                      parameters{chosen->partition, chosen->sequence}, "ready one"}
                            : command{of_.sql_->read_one_retrying,
                                      parameters{chosen->partition, chosen->sequence, chosen->key},
                                      "retrying one"});
    auto& mine = of_.held_.at(chosen->partition);
    mine.noted = chosen->sequence;
    if (row_count(rows) == 0) return;
    row_reader from{rows, 0};
    hand_out(read_row<record>(from));
    if (ready) mine.read.look(chosen->sequence, chosen->sequence, horizon);
}

bool round::note(record const& chosen) {
    of_.committed_ = true;  // what this round settled; from here on nothing can be taken back
    std::vector const one{chosen.partition};
    auto values = naming(one);
    values.add(std::int64_t{1});
    std::vector<command> commands;
    commands.push_back({"begin"});
    commands.push_back({of_.sql_->fence, std::move(values), "fence"});
    commands.push_back({of_.sql_->note, parameters{chosen.partition, chosen.sequence}, "note"});
    commands.push_back({"commit"});
    try {
        static_cast<void>(of_.link_.run(commands));
    } catch (failure const& why) {
        if (why.sqlstate != division_by_zero) throw;
        of_.link_.roll_back();
        lose(chosen.partition);
        return false;
    }
    return true;
}

void round::take_changed() {
    std::vector<partition_number> partitions;
    for (auto const& [number, version] : changed_) {
        if (kept(number)) partitions.push_back(number);
    }
    std::vector<std::pair<parked_key, bool>> parked;
    of_.read_parked(partitions, request_.dead_letters_block, parked);
    for (auto& [key, retrying] : parked) {
        if (retrying) reply_.changed.push_back(std::move(key));
    }
    for (auto const& [number, version] : changed_) {
        if (kept(number)) of_.held_.at(number).version = version;
    }
}

}  // namespace outbox::postgres
