// SPDX-License-Identifier: MIT
//
// A worker before a backlog that fits into the database's memory, and before one that does not.
#include "goals/flat.hpp"

namespace bench::goals {

namespace {

constexpr int most = 50;

/// Before a small backlog several times, since each is over in a moment.
figures drained(servers& on, std::string const& name, load const& wanted, int times_as_many) {
    site at{on, wanted, keep_little};
    auto const unit = static_cast<std::size_t>(wanted.messages);
    bool const small = times_as_many == 1;
    auto const rows = unit * static_cast<std::size_t>(times_as_many);
    auto const from = small ? unit / 10 : unit;
    auto const until = small ? unit * 8 / 10 : 5 * unit;
    span all;
    span late;
    for (int turn = 0; turn < (small ? 6 : 1); ++turn) {
        at.fill_at_once(static_cast<std::int64_t>(rows));
        tally const watched;
        auto box = at.box<outbox::hard_delete>({.batch_size = 1'000}, watched);
        auto const worker = box.start_worker();
        auto const first = moment::when_settled(on, watched, from);
        auto const last = moment::when_settled(on, watched, until);
        all += last - first;
        if (small) static_cast<void>(moment::when_settled(on, watched, rows));
        // More than an hour's messages at a thousand a second have passed by then.
        if (times_as_many == most) {
            auto const passed = moment::when_settled(on, watched, 38 * unit);
            late = moment::when_settled(on, watched, 44 * unit) - passed;
        }
    }
    auto read = all.as(name);
    if (late.messages > 0) {
        auto const after = late.as(name + ", late");
        read.insert(read.end(), after.begin(), after.end());
    }
    return read;
}

}  // namespace

family flat_backlog(std::shared_ptr<servers> const& on, load const& wanted) {
    family all{};
    using enum goal::kind;
    all.goals = {
        {"flat_backlog", "a backlog of 5 million against 100 thousand, steady windows",
         "backlog of 50", "backlog of 1", at_least, 0.9},
        {"flat_backlog_1m", "a backlog of 1 million against 100 thousand", "backlog of 10",
         "backlog of 1", shown, 0},
        {"flat_hour", "after 3.8 million messages, with 1.2 million left, against the beginning",
         "backlog of 50, late", "backlog of 50", shown, 0},
    };
    for (int const times : {1, 10, most}) {
        auto const name = "backlog of " + std::to_string(times);
        all.measurements.push_back({name, [=] { return drained(*on, name, wanted, times); }});
    }
    return all;
}

}  // namespace bench::goals
