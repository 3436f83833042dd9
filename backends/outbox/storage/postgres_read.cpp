// SPDX-License-Identifier: MIT
//
// What a round reads, and what it makes of the answers.
#include <algorithm>
#include <limits>
#include <map>
#include <range/v3/action/sort.hpp>
#include <range/v3/action/unique.hpp>
#include <utility>

#include "outbox/storage/postgres_reading.hpp"
#include "outbox/storage/postgres_round.hpp"
#include "outbox/storage/postgres_shares.hpp"
#include "outbox/storage/sql_columns.hpp"

namespace outbox::postgres {

namespace {

/// Beyond all numbers: a look that begins there brings nothing, one that ends there all there is.
constexpr auto nowhere = std::numeric_limits<sequence_number>::max();

sight read_sight(result const& rows, lasting_transactions& lasting) {
    row_reader first{rows, 0};
    sight seen{.horizon = first.number<transaction_id>(), .next = first.number<transaction_id>()};
    seen.head = first.number<sequence_number>();
    for (int row = 0; row < row_count(rows); ++row) {
        row_reader from{rows, row};
        for (int i = 0; i < 3; ++i) from.skip();
        if (!from.next_is_null()) seen.open.push_back(from.number<transaction_id>());
    }
    seen.recent = lasting.recent(seen.open);
    return seen;
}

}  // namespace

void round::plan_reads(trip& plan) const {
    auto const limit = request_.alone ? std::int64_t{1} : std::int64_t{request_.records};
    auto const bytes = std::max(std::int64_t{1}, request_.bytes);
    bool const any = request_.alone || request_.records > 0;
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
        values.add(retrying_in_hand());
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
    if (!read_.empty() && any) plan_ready(plan);
}

void round::plan_ready(trip& plan) const {
    auto const limit = request_.alone ? std::int64_t{1} : std::int64_t{request_.records};
    // What this round hands back is readable again, by this very look.
    std::map<partition_number, sequence_number> handed_back;
    for (auto const& one : request_.settlements) {
        if (one.what != fate::hand_back || !kept(one.partition)) continue;
        if (!of_.held_.at(one.partition).read.holds_ready(one.sequence)) continue;
        auto const found = handed_back.try_emplace(one.partition, one.sequence).first;
        found->second = std::min(found->second, one.sequence);
    }
    auto const settled = sequences_settled();
    std::vector<sequence_number> from;
    std::vector<sequence_number> quiet_from;
    std::vector<std::string> own_ids;
    std::vector<sequence_number> behind;
    std::vector<std::int64_t> open;
    std::vector<sequence_number> reach;
    std::vector<sequence_number> hand;
    std::vector<sequence_number> held_to;
    for (auto const number : read_) {
        auto const& read = of_.held_.at(number).read;
        auto const back = handed_back.find(number);
        bool const returns = back != handed_back.end();
        auto const next = read.next_look(of_.stretch_.numbers(),
                                         returns ? std::optional{back->second} : std::nullopt);
        from.push_back(next.else_passes ? nowhere : next.below);
        behind.push_back(next.behind);
        open.insert(open.end(), next.open.begin(), next.open.end());
        reach.push_back(next.reach.value_or(nowhere));
        plan.looks.push_back({next.reach, next.else_passes});
        auto const quiet = !returns && plan.writes ? read.quiet() : std::nullopt;
        quiet_from.push_back(quiet ? quiet->from : next.behind);
        own_ids.push_back(quiet ? std::to_string(quiet->own) : "none");
        auto const& ready = read.ready();
        held_to.push_back(ready.empty() ? next.below : ready.back().sequence);
        auto one = std::ranges::upper_bound(ready, next.below, {}, &progress::taken::sequence);
        for (; one != ready.end(); ++one) {
            if (!std::ranges::binary_search(settled, one->sequence)) hand.push_back(one->sequence);
        }
    }
    plan.shares = shares(limit);
    auto const bytes = std::max(std::int64_t{1}, request_.bytes);
    bool const light = of_.heaviest_ <= bytes / limit;
    parameters values{read_, from, hand};
    values.add(limit);
    values.add(bytes);
    values.add(!request_.alone);
    values.add(plan.shares);
    values.add(quiet_from);
    values.add_array(own_ids, [](std::string const& one) { return std::string_view{one}; });
    open |= ranges::actions::sort | ranges::actions::unique;
    values.add(behind);
    values.add(open);
    values.add(held_to);
    values.add(reach);
    plan.open.assign(open.begin(), open.end());
    plan.sight = plan.commands.size();
    plan.commands.push_back({of_.sql_->look, {}, "look"});
    plan.ready = plan.commands.size();
    plan.commands.push_back(light ? command{of_.sql_->read_light, std::move(values), "light"}
                                  : command{of_.sql_->read_ready, std::move(values), "ready"});
}

void round::read_ready_again() {
    trip plan;
    plan.commands.push_back({begin_look_sql});
    plan_ready(plan);
    plan.commands.push_back({"commit"});
    plan.answers = of_.link_.run(plan.commands);
    take_ready(plan);
}

std::vector<std::int64_t> round::shares(std::int64_t limit) const {
    std::vector<std::optional<sequence_number>> fronts;
    for (auto const number : read_) {
        auto const& mine = of_.held_.at(number);
        fronts.push_back(mine.cut ? std::optional{mine.read.front()} : std::nullopt);
    }
    return divide_read(limit, fronts);
}

/// By this round, in order.
std::vector<sequence_number> round::sequences_settled() const {
    std::vector<sequence_number> settled;
    for (auto const& one : request_.settlements) settled.push_back(one.sequence);
    std::ranges::sort(settled);
    return settled;
}

/// Retrying records that are read and will not be settled by this round.
std::vector<sequence_number> round::retrying_in_hand() const {
    auto const settled = sequences_settled();
    std::vector<sequence_number> hand;
    for (auto const number : named_) {
        for (auto const& [one, key] : of_.held_.at(number).read.retrying()) {
            if (!std::ranges::binary_search(settled, one)) hand.push_back(one);
        }
    }
    return hand;
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

void round::hand_out(record const& one, row_place place) {
    auto& read = of_.held_.at(one.partition).read;
    if (one.state == record_state::ready) {
        read.take_ready(one.sequence, place);
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
        auto const place = from.place();
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
        hand_out(one, place);
    }
    // Where nothing could be handed out, asking the same again brings nothing either.
    bool const cut = row_count(rows) >= request_.records ||
                     payloads >= std::max(std::int64_t{1}, request_.bytes);
    if (cut && !reply_.read.records.empty()) reply_.more = true;
}

void round::take_ready(trip const& done) {
    struct tally {
        std::int64_t rows{0};
        sequence_number highest{0};
    };
    auto const& rows = done.answers[*done.ready];
    std::map<partition_number, tally> found;
    partition_number last = 0;
    std::int64_t payloads = 0;
    bool cut = row_count(rows) >= request_.records;
    auto const payload = PQnfields(rows.get()) - 1;
    too_heavy_ = false;
    of_.heaviest_ = 0;
    for (int row = 0; row < row_count(rows); ++row) {
        row_reader from{rows, row};
        auto const place = from.place();
        auto const one = read_row<record>(from);
        too_heavy_ = PQgetisnull(rows.get(), row, payload) != 0;
        if (too_heavy_ || full()) {
            cut = true;
            break;
        }
        of_.heaviest_ = std::max(of_.heaviest_, static_cast<std::int64_t>(one.payload.size()));
        payloads += static_cast<std::int64_t>(one.payload.size());
        hand_out(one, place);
        last = one.partition;
        auto& here = found[last];
        ++here.rows;
        here.highest = one.sequence;
    }
    if (too_heavy_) of_.heaviest_ = std::numeric_limits<std::int64_t>::max();
    cut = cut || payloads >= std::max(std::int64_t{1}, request_.bytes);
    if (cut) reply_.more = true;
    auto const seen = read_sight(done.answers[*done.sight], of_.lasting_);
    bool reached = !(cut && found.empty());
    for (std::size_t i = 0; i < read_.size(); ++i) {
        auto& mine = of_.held_.at(read_[i]);
        mine.cut = !reached;
        if (!reached || passed_over(done, i, seen)) continue;
        auto const here = found[read_[i]];
        bool const ends_here = cut && read_[i] == last;
        bool const filled = ends_here || here.rows >= done.shares[i];
        looked(done, i, filled ? std::optional{here.highest} : std::nullopt, here.highest, seen);
        reached = !ends_here;
    }
}

/// Whether the look at this partition did not take place.
bool round::passed_over(trip const& done, std::size_t at, sight const& seen) {
    auto const ended = [&](transaction_id one) { return seen.has_ended(one); };
    if (!done.looks[at].else_passes || std::ranges::none_of(done.open, ended)) return false;
    auto& mine = of_.held_.at(read_[at]);
    mine.cut = true;
    mine.read.pass_over(seen);
    reply_.more = true;
    return true;
}

/// `filled`: where the look ended because it had brought enough.
void round::looked(trip const& done, std::size_t at, std::optional<sequence_number> filled,
                   sequence_number highest, sight const& seen) {
    auto& mine = of_.held_.at(read_[at]);
    auto const covered = filled ? filled : done.looks[at].reach;
    mine.cut = covered.has_value();
    if (mine.cut) reply_.more = true;
    mine.read.look(covered, highest, seen);
    stretched_ = stretched_ || (!filled && covered);
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
    sight seen;
    if (done.due && row_count(done.answers[*done.due]) > 0) {
        row_reader from{done.answers[*done.due], 0};
        reply_.more = true;
        from.skip();
        chosen = read_row<record>(from);
    }
    if (done.ready) {
        seen = read_sight(done.answers[*done.sight], of_.lasting_);
        if (row_count(done.answers[*done.ready]) == 0) {
            for (std::size_t i = 0; i < read_.size(); ++i) {
                if (!passed_over(done, i, seen)) looked(done, i, std::nullopt, 0, seen);
            }
        } else {
            row_reader from{done.answers[*done.ready], 0};
            reply_.more = true;
            from.skip();
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
    auto const place = from.place();
    hand_out(read_row<record>(from), place);
    if (ready) mine.read.look(chosen->sequence, chosen->sequence, seen);
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
