// SPDX-License-Identifier: MIT
//
// The round from above; its writes are in postgres_settle.cpp, its reads in postgres_read.cpp.
#include "outbox/storage/postgres_round.hpp"

#include <algorithm>
#include <range/v3/action/sort.hpp>
#include <range/v3/action/unique.hpp>
#include <utility>

#include "outbox/storage/postgres_reading.hpp"

namespace outbox::postgres {

namespace {

constexpr std::string_view division_by_zero = "22012";  // what the fence raises, for one

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
            if (plan.ready) take_ready(plan);
            if (too_heavy_ && reply_.read.records.empty()) read_ready_again();
        }
        if (plan.drained) take_drained(plan.answers[*plan.drained]);
        take_changed();
        if (stretched_) {
            of_.stretch_.walked(took_);
        } else if (plan.ready) {
            of_.stretch_.ended();
        }
        return std::move(reply_);
    }
}

/// False: again, since partitions turned out to be lost, or scheduled records to be due.
bool round::travel(trip& plan) {
    plan.writes = scheduled_due_ || writes();
    if (plan.writes) plan_writes(plan);
    plan.commands.push_back({begin_look_sql});
    if (!plan.writes) {
        auto values = naming(named_);
        values.add(request_.promote);
        plan.standing = plan.commands.size();
        plan.commands.push_back({of_.sql_->peek, std::move(values), "peek"});
    }
    plan_reads(plan);
    plan.commands.push_back({"commit"});
    auto const begun = system_clock{}.now();
    try {
        plan.answers = of_.link_.run(plan.commands);
        took_ = system_clock{}.now() - begun;
    } catch (failure const& why) {
        if (plan.writes && why.command == plan.standing && why.sqlstate == division_by_zero) {
            of_.link_.roll_back();
            lose_the_overtaken();
            return false;
        }
        if (why.sqlstate == division_by_zero &&
            std::ranges::find(plan.by_place, why.command) != plan.by_place.end()) {
            of_.link_.roll_back();
            rows_lie_still_ = false;
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

}  // namespace outbox::postgres
