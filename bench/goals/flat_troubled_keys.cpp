// SPDX-License-Identifier: MIT
//
// Keys in trouble beside all others: one with very many messages whose first one is refused again
// and again, and one percent of all keys parked behind a failure.
#include "goals/flat.hpp"

namespace bench::goals {

namespace {

using namespace std::chrono_literals;

/// No stream takes it, which counts as the message's own fault while others are taken.
constexpr char const* refused_topic = "nowhere.one";

class troubled_site : public site {
public:
    using site::site;

    void refused_head(std::string const& keys, int count) {
        put(refused_topic, keys, count);
    }
    void put(char const* to, std::string const& key, std::int64_t count) {
        sql("insert into " + std::string{table.qualified()} + " (topic, key, payload) select '" +
            to + "', " + key + ", convert_to(repeat('x', " + std::to_string(wants.payload_bytes) +
            "), 'UTF8') from generate_series(1, " + std::to_string(count) + ") i");
    }
};

/// The others first, then the key itself, once its first message is a dead letter.
figures head_refused(servers& on, std::string const& name, load const& wanted) {
    troubled_site at{on, wanted, keep_little};
    auto const others = static_cast<std::size_t>(wanted.messages);
    auto const hot = 10 * others;
    at.refused_head("'hot'", 1);
    at.put(topic, "'hot'", static_cast<std::int64_t>(hot));
    at.fill_at_once(static_cast<std::int64_t>(others));
    tally const watched;
    auto box = at.box<outbox::hard_delete>(
        {.batch_size = 1'000, .max_attempts = 10, .backoff_min = 50ms, .backoff_max = 200ms},
        watched);
    auto const worker = box.start_worker();
    auto const first = moment::when_settled(on, watched, others / 10);
    auto const last = moment::when_settled(on, watched, others * 8 / 10);
    auto const key_first = moment::when_settled(on, watched, others + hot / 4);
    auto const key_last = moment::when_settled(on, watched, others + hot / 2);
    auto read = (last - first).as(name + ", others");
    auto const after = (key_last - key_first).as(name + ", the key");
    read.insert(read.end(), after.begin(), after.end());
    return read;
}

figures keys_parked(servers& on, std::string const& name, load const& wanted) {
    troubled_site at{on, wanted, keep_little};
    auto const rows = 5 * static_cast<std::size_t>(wanted.messages);
    at.refused_head("'key-' || 100 * i", wanted.keys / 100);
    at.fill_at_once(static_cast<std::int64_t>(rows));
    tally const watched;
    auto box = at.box<outbox::hard_delete>(
        {.batch_size = 1'000, .backoff_min = 10min, .backoff_max = 10min, .probe_max = 10min},
        watched);
    auto const worker = box.start_worker();
    auto const first = moment::when_settled(on, watched, rows / 5);
    auto const last = moment::when_settled(on, watched, rows * 4 / 5);
    return (last - first).as(name);
}

}  // namespace

family flat_troubled_keys(std::shared_ptr<servers> const& on, load const& wanted) {
    family all{};
    using enum goal::kind;
    all.goals = {
        {"flat_refused_others", "others, while the head of a key of a million is refused",
         "head refused, others", "backlog of 10", shown, 0},
        {"flat_refused_key", "that key, once its head is a dead letter", "head refused, the key",
         "backlog of 10", shown, 0},
        {"flat_parked", "with one percent of the keys parked in back-off", "keys parked",
         "backlog of 10", shown, 0},
    };
    all.measurements.push_back(
        {"head refused", [=] { return head_refused(*on, "head refused", wanted); }});
    all.measurements.push_back(
        {"keys parked", [=] { return keys_parked(*on, "keys parked", wanted); }});
    return all;
}

}  // namespace bench::goals
