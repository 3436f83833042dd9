// SPDX-License-Identifier: MIT
//
// Acquiring, releasing and watching; exchange is in postgres_round.cpp.
#include "outbox/storage/postgres_worker.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "outbox/storage/postgres_round.hpp"

namespace outbox::postgres {

namespace {

constexpr std::int32_t partition_count = 64;
constexpr std::uint32_t looks_per_mending = 256;

std::vector<partition_number> numbers(holdings const& held) {
    std::vector<partition_number> found;
    for (auto const& [number, mine] : held) found.push_back(number);
    return found;
}

}  // namespace

/// Hardly ever of use, so it must not cost much either: while somebody's transaction stays open,
/// all that was delivered since it began is dead rows, which this walks. A later look tries again.
void worker::mend_low() {
    constexpr std::string_view canceled = "57014";
    std::array const commands{command{"begin"}, command{"set local statement_timeout = '100ms'"},
                              command{sql_->mend_low, parameters{id_}, "mend low"},
                              command{"commit"}};
    try {
        static_cast<void>(link_.run(commands));
    } catch (failure const& why) {
        if (why.sqlstate != canceled) throw;
        link_.roll_back();
    }
}

acquired worker::acquire(acquire_request const& request) {
    return guarded("acquire", [&] {
        acquired taken;
        if (looks_for_work_++ % looks_per_mending == 0) mend_low();
        // Looking for work writes nothing, so an idle worker costs a query a poll.
        auto const found = link_.run(command{
            sql_->find_work, parameters{numbers(held_), id_, request.dead_letters_block}, "find"});
        std::vector<partition_number> candidates;
        std::int32_t owners = 1;
        std::int64_t most_held = 0;
        bool work_elsewhere = false;
        for (int row = 0; row < row_count(found); ++row) {
            row_reader from{found, row};
            owners = static_cast<std::int32_t>(from.number<std::int64_t>()) + 1;
            most_held = from.number<std::int64_t>();
            if (from.next_is_null()) break;
            auto const partition = from.number<partition_number>();
            if (from.boolean()) {
                work_elsewhere = true;
            } else {
                candidates.push_back(partition);
            }
        }
        auto const share = (partition_count + owners - 1) / owners;
        auto const room = std::min(request.most, share - static_cast<std::int32_t>(held_.size()));
        if (room > 0 && !candidates.empty()) take(request, candidates, room, taken);
        taken.waiting = held_.empty() && work_elsewhere;
        // Rounded up, the shares of the others can be all there is.
        auto const modest = std::max(partition_count / owners, 1);
        auto const lacks = std::min(request.most, modest) - static_cast<std::int32_t>(held_.size());
        bool const has_use = !held_.empty() || work_elsewhere;
        if (has_use && lacks > 0 && most_held > modest) {
            taken.waiting = true;
            ask_for_share(modest, lacks, request.lease / 2);
        }
        return taken;
    });
}

/// What was just taken is worth more than the question, which the next look repeats.
void worker::ask_for_share(std::int32_t modest, std::int32_t lacks, duration time) {
    try {
        static_cast<void>(link_.run(command{
            sql_->want,
            parameters{id_, std::int64_t{modest}, std::int64_t{time.count()}, std::int64_t{lacks}},
            "want"}));
    } catch (failure const& why) {
        if (classify(why.sqlstate) != errc::contention) throw;
        link_.roll_back();
    }
}

void worker::take(acquire_request const& request, std::vector<partition_number> const& candidates,
                  std::int32_t room, acquired& taken) {
    std::array const commands{
        command{"begin"}, command{sql_->head, {}, "head"},
        command{sql_->take,
                parameters{candidates, id_, std::int64_t{request.lease.count()}, request.reach,
                           request.careful_reach, std::int64_t{room}},
                "take"}};
    auto const answers = link_.run(commands);
    auto const head = row_reader{answers[1], 0}.number<sequence_number>();
    auto const& rows = answers.back();

    holdings added;
    std::vector<partition_number> partitions;
    for (int row = 0; row < row_count(rows); ++row) {
        row_reader from{rows, row};
        tenure got{.partition = from.number<partition_number>(),
                   .epoch = from.number<epoch_number>()};
        auto const low = from.number<sequence_number>();
        holding mine{.epoch = got.epoch,
                     .read = progress{low, head, from.number<transaction_id>()}};
        mine.version = from.number<std::int64_t>();
        got.care = {.strikes = from.number<std::int32_t>(),
                    .left = from.number<std::int32_t>(),
                    .reach = from.number<std::int32_t>()};
        if (!from.next_is_null()) accuse(got, from.number<sequence_number>());
        if (got.accused) mine.read.take_retrying(got.accused->sequence, got.accused->key);
        partitions.push_back(got.partition);
        added.emplace(got.partition, std::move(mine));
        taken.tenures.push_back(std::move(got));
    }
    std::vector<std::pair<parked_key, bool>> parked;
    read_parked(partitions, request.dead_letters_block, parked);
    for (auto& [key, retrying] : parked) {
        auto const owner = std::ranges::find(taken.tenures, key.partition, &tenure::partition);
        owner->parked.push_back(std::move(key));
    }
    static_cast<void>(link_.run(command{"commit"}));
    committed_ = true;
    // In the order in which they waited, as they were found.
    std::ranges::sort(taken.tenures, {}, [&](tenure const& one) {
        return std::ranges::find(candidates, one.partition);
    });
    held_.merge(added);
}

void worker::accuse(tenure& of, sequence_number suspect) {
    // The retrying first: what was ready becomes retrying by this.
    std::array const commands{command{sql_->accuse_retrying, parameters{of.partition, suspect}},
                              command{sql_->accuse_ready, parameters{of.partition, suspect}}};
    for (auto const& rows : link_.run(commands)) {
        if (row_count(rows) == 0) continue;
        row_reader from{rows, 0};
        accused_record found{};
        found.sequence = from.number<sequence_number>();
        found.id = from.id();
        found.key = from.string();
        found.attempts = from.number<std::int32_t>();
        found.deaths = from.number<std::int32_t>();
        found.buried_lately = from.number<std::int32_t>();
        of.accused = std::move(found);
    }
}

void worker::read_parked(std::vector<partition_number> const& partitions, bool dead_letters_block,
                         std::vector<std::pair<parked_key, bool>>& found) {
    if (partitions.empty()) return;
    auto const rows =
        link_.run(command{sql_->parked, parameters{partitions, dead_letters_block}, "parked"});
    for (int row = 0; row < row_count(rows); ++row) {
        row_reader from{rows, row};
        parked_key key{};
        key.partition = from.number<partition_number>();
        key.key = from.string();
        key.due_in = std::max(from.microseconds(), duration::zero());
        key.blocked = from.boolean();
        bool const retrying = from.boolean();
        found.emplace_back(std::move(key), retrying);
    }
}

round_reply worker::exchange(round_request const& request) {
    return guarded("exchange", [&] { return round{*this, request}.run(); });
}

void worker::release(std::span<ending const> endings) {
    static_cast<void>(guarded("release", [&] {
        std::vector<ending> ours;
        for (auto const& one : endings) {
            if (held_.contains(one.partition)) ours.push_back(one);
        }
        if (ours.empty()) return true;
        parameters values;
        values.add_array(ours, [](ending const& one) { return one.partition; });
        values.add_array(ours, [&](ending const& one) { return held_.at(one.partition).epoch; });
        values.add(id_);
        values.add_array(ours,
                         [&](ending const& one) { return held_.at(one.partition).read.low(); });
        values.add_array(ours, [](ending const& one) { return one.care.strikes; });
        values.add_array(ours, [](ending const& one) { return one.care.left; });
        values.add_array(ours, [](ending const& one) { return one.care.reach; });
        static_cast<void>(link_.run(command{sql_->release, std::move(values), "release"}));
        for (auto const& one : ours) held_.erase(one.partition);
        return true;
    }));
}

outlook worker::watch() {
    if (!announced_) return outlook::silent;
    return guarded("watch", [&] {
        auto const answer =
            link_.run(command{sql_->watch, parameters{link_.server_process()}, "watch"});
        row_reader from{answer, 0};
        auto const what = static_cast<outlook>(from.number<std::int32_t>());
        // A channel is an identifier, which cannot be bound; this one ends in a number.
        if (what == outlook::announced)
            static_cast<void>(
                link_.run(command{sql_->listen + std::to_string(from.number<std::int64_t>())}));
        return what;
    });
}

void worker::unwatch() {
    static_cast<void>(guarded("unwatch", [&] {
        std::array const commands{command{sql_->unwatch}, command{"unlisten *"}};
        return link_.run(commands);
    }));
}

std::size_t worker::heard() {
    return guarded("listen", [&] { return link_.notifications(); });
}

}  // namespace outbox::postgres
