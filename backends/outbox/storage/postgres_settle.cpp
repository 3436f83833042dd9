// SPDX-License-Identifier: MIT
//
// The writes of a round: what the relay decided becomes statements over exact sequences, behind
// the fence.
#include <algorithm>
#include <array>
#include <utility>

#include "outbox/storage/postgres_round.hpp"

namespace outbox::postgres {

namespace {

constexpr std::int64_t most_promoted = 1'000;  // in a round

enum class kind : std::uint8_t { remove, stamp, flag };

struct member {
    settlement const* as{nullptr};
    std::string_view key{};  ///< of a retrying record
    row_place place{};       ///< of a ready one
};
/// Settlements that one statement carries out.
struct group {
    kind what{kind::flag};
    bool retrying{false};
    bool by_place{false};
    std::vector<member> members{};
};

kind kind_of(fate what) {
    if (what == fate::remove) return kind::remove;
    if (what == fate::stamp) return kind::stamp;
    return kind::flag;
}

std::int16_t state_after(fate what) {
    switch (what) {
        case fate::schedule: return static_cast<std::int16_t>(record_state::scheduled);
        case fate::bury: return static_cast<std::int16_t>(record_state::dead);
        default: return static_cast<std::int16_t>(record_state::retrying);
    }
}

parameters values_of(group const& of) {
    parameters values;
    auto const add = [&](auto pick) {
        values.add_array(of.members, [&](member const& one) { return pick(*one.as); });
    };
    if (!of.by_place) add([](settlement const& one) { return one.partition; });
    add([](settlement const& one) { return one.sequence; });
    if (of.by_place) values.add_array(of.members, [](member const& one) { return one.place; });
    bool const flags = of.what == kind::flag;
    if (of.retrying || flags)
        values.add_array(of.members, [](member const& one) { return one.key; });
    if (!flags) return values;
    auto const counted = [](settlement const& one) {
        return one.what == fate::retry || one.what == fate::bury;
    };
    add([](settlement const& one) { return state_after(one.what); });
    add([&](settlement const& one) {
        return counted(one) ? std::optional{one.attempts} : std::nullopt;
    });
    add([](settlement const& one) {
        bool const delayed = one.what == fate::retry || one.what == fate::schedule;
        return delayed ? std::optional{std::int64_t{one.delay.count()}} : std::nullopt;
    });
    add([&](settlement const& one) {
        return counted(one) ? std::optional{std::string_view{one.error}} : std::nullopt;
    });
    return values;
}

}  // namespace

bool round::writes() const {
    if (!request_.renewals.empty() &&
        std::ranges::any_of(request_.renewals,
                            [&](renewal const& one) { return kept(one.partition); })) {
        return true;
    }
    return std::ranges::any_of(request_.settlements, [&](settlement const& one) {
        return one.what != fate::hand_back && kept(one.partition);
    });
}

/// What may be lost when the database crashes costs a copy of a message, and nothing else.
bool round::is_durable() const {
    if (scheduled_due_ || std::ranges::any_of(request_.renewals, [&](renewal const& one) {
            return kept(one.partition);
        })) {
        return true;
    }
    return std::ranges::any_of(request_.settlements, [&](settlement const& one) {
        if (one.what == fate::hand_back || !kept(one.partition)) return false;
        return kind_of(one.what) == kind::flag || of_.held_.at(one.partition).noted == one.sequence;
    });
}

void round::plan_writes(trip& plan) const {
    plan.commands.push_back({"begin"});
    if (!is_durable() && request_.promote) {
        plan.commands.push_back({of_.sql_->relax_unless_due, parameters{named_}, "relax"});
    } else if (!is_durable()) {
        plan.commands.push_back({"set local synchronous_commit = off"});
    }
    plan.standing = plan.commands.size();
    auto values = naming(named_);
    values.add(static_cast<std::int64_t>(named_.size()));
    plan.commands.push_back({of_.sql_->fence, std::move(values), "fence"});
    plan_settlements(plan);
    plan_renewals(plan);
    if (request_.promote) {
        plan.commands.push_back({of_.sql_->promote, parameters{named_, most_promoted}, "promote"});
    }
    plan.own_id = plan.commands.size();
    plan.commands.push_back(
        {"select set_config('relay.own_id', pg_current_xact_id()::text, false)"
         "::bigint",
         {},
         "own id"});
    plan.commit = plan.commands.size();
    plan.commands.push_back({"commit"});
}

void round::plan_settlements(trip& plan) const {
    std::array<group, 6> groups{};
    std::vector<partition_number> cleared;
    for (std::size_t i = 0; i < groups.size(); ++i) {
        groups[i].what = static_cast<kind>(i / 2);
        groups[i].retrying = i % 2 == 1;
    }
    for (auto const& one : request_.settlements) {
        if (one.what == fate::hand_back || !kept(one.partition)) continue;
        auto const& mine = of_.held_.at(one.partition);
        auto const* const ready = mine.read.find_ready(one.sequence);
        auto const key = ready ? std::nullopt : mine.read.retrying_key(one.sequence);
        if (!ready && !key) continue;
        auto const at = 2 * static_cast<std::size_t>(kind_of(one.what)) + (key ? 1 : 0);
        groups[at].members.push_back(
            {&one, key.value_or(std::string_view{}), ready ? ready->place : row_place{}});
        if (mine.noted == one.sequence) cleared.push_back(one.partition);
    }
    auto const& sql = *of_.sql_;
    std::array const statements{
        std::pair{&sql.remove_ready, "remove ready"}, std::pair{&sql.remove_retrying, "remove"},
        std::pair{&sql.stamp_ready, "stamp ready"},   std::pair{&sql.stamp_retrying, "stamp"},
        std::pair{&sql.flag_ready, "flag ready"},     std::pair{&sql.flag_retrying, "flag"}};
    for (std::size_t i = 0; i < groups.size(); ++i) {
        auto& one = groups[i];
        if (one.members.empty()) continue;
        if (rows_lie_still_ && !one.retrying && one.what != kind::flag) {
            std::ranges::sort(one.members, {}, [](member const& m) { return m.as->sequence; });
            one.by_place = true;
            plan.by_place.push_back(plan.commands.size());
            bool const removes = one.what == kind::remove;
            plan.commands.push_back({removes ? sql.remove_placed : sql.stamp_placed, values_of(one),
                                     removes ? "remove placed" : "stamp placed"});
            continue;
        }
        plan.commands.push_back({*statements[i].first, values_of(one), statements[i].second});
    }
    if (!cleared.empty())
        plan.commands.push_back({sql.clear_note, parameters{cleared}, "clear note"});
}

void round::plan_renewals(trip& plan) const {
    std::vector<renewal const*> ours;
    for (auto const& one : request_.renewals) {
        if (kept(one.partition)) ours.push_back(&one);
    }
    if (ours.empty()) return;
    parameters values;
    values.add_array(ours, [](auto const* one) { return one->partition; });
    values.add_array(ours,
                     [&](auto const* one) { return of_.held_.at(one->partition).read.low(); });
    values.add_array(ours, [](auto const* one) { return one->care.strikes; });
    values.add_array(ours, [](auto const* one) { return one->care.left; });
    values.add_array(ours, [](auto const* one) { return one->care.reach; });
    values.add(std::int64_t{request_.lease.count()});
    plan.commands.push_back({of_.sql_->renew, std::move(values), "renew"});
}

/// The server has said yes: what was settled leaves the hand, and our own transaction's id bounds
/// all that was read before it.
void round::settle_in_hand(trip const& done) {
    for (auto const& one : request_.settlements) {
        if (!kept(one.partition)) continue;
        auto& mine = of_.held_.at(one.partition);
        if (one.what == fate::hand_back) {
            mine.read.hand_back(one.sequence);
            continue;
        }
        mine.read.settle(one.sequence);
        if (mine.noted == one.sequence) mine.noted.reset();
    }
    if (!done.writes) return;
    auto const own = row_reader{done.answers[done.own_id], 0}.number<transaction_id>();
    for (auto& [number, mine] : of_.held_) mine.read.bound(own);
}

}  // namespace outbox::postgres
