// SPDX-License-Identifier: MIT
//
// Many workers share what one could do alone: they must not be in each other's way.
#include "goals/flat.hpp"

namespace bench::goals {

namespace {

figures shared_by(servers& on, std::string const& name, load const& wanted, std::size_t workers) {
    site at{on, wanted, keep_little};
    auto const rows = static_cast<std::size_t>(wanted.messages) * 15;
    at.fill_at_once(static_cast<std::int64_t>(rows));
    tally const watched;
    auto box = at.box<outbox::hard_delete>({.batch_size = 1'000}, watched);
    std::vector<decltype(box.start_worker())> all;
    while (all.size() < workers) all.push_back(box.start_worker());
    // The first that comes holds all, and gives away what others ask for: a matter of seconds.
    auto const first = moment::when_settled(on, watched, rows / 2);
    auto const last = moment::when_settled(on, watched, rows * 9 / 10);
    auto const between = last - first;
    auto read = between.as(name);
    auto least = workers == last.settled.size() ? between.messages : 0;
    for (auto const& [worker, count] : last.settled) {
        auto const before = first.settled.find(worker);
        auto const own = count - (before == first.settled.end() ? 0 : before->second);
        least = std::min(least, static_cast<double>(own));
    }
    read.emplace_back(name + ", least share", least / between.messages);
    return read;
}

}  // namespace

family flat_workers(std::shared_ptr<servers> const& on, load const& wanted) {
    family all{};
    using enum goal::kind;
    all.goals = {
        {"flat_workers", "8 workers against 1, many keys", "8 workers", "1 worker", at_least, 0.95},
        {"flat_workers_share", "what the least of them delivers, of all", "8 workers, least share",
         "", at_least, 0.05},
        {"flat_workers_database", "the database's processor time a message, 8 against 1",
         "8 workers, database us", "1 worker, database us", at_most, 1.3},
        {"flat_workers_16", "16 workers against 1", "16 workers", "1 worker", shown, 0},
        {"flat_workers_16_share", "what the least of these delivers", "16 workers, least share", "",
         shown, 0},
    };
    for (std::size_t const workers : {1U, 8U, 16U}) {
        auto const name = std::to_string(workers) + (workers == 1 ? " worker" : " workers");
        all.measurements.push_back({name, [=] { return shared_by(*on, name, wanted, workers); }});
    }
    return all;
}

}  // namespace bench::goals
