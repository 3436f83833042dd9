// SPDX-License-Identifier: MIT
//
// Random sequences of commands, told to a storage and to the reference, which must agree after each
// of them. A sequence that fails is cut down to a short one and told as a story, one command a
// line. LAW_SEQUENCES=N runs another number of them; RC_PARAMS="seed=N" tells the same ones again.
#pragma once

#include <rapidcheck.h>

#include <array>
#include <cstdlib>
#include <memory>
#include <set>
#include <sstream>

#include "laws/storage_case.hpp"
#include "laws/storage_reference.hpp"

namespace laws {

enum class verb : std::uint8_t {
    begin,
    enqueue,
    enqueue_three,
    commit,
    roll_back,
    acquire,
    read,
    read_due,
    settle,
    round,
    release,
    restart,
    elapse,
    expire,
    list_dead,
    requeue,
    discard,
    replay,
    purge_published,
    purge_dead,
};

/// Numbers mean the simplest when they are 0, so that a failing sequence shrinks to a simple one.
struct command {
    verb what{verb::begin};
    int who{0};
    std::array<int, 3> with{};
};

inline rc::Gen<command> any_command() {
    using enum verb;
    auto const what = rc::gen::weightedElement<verb>(
        {{6, begin},    {14, enqueue}, {5, enqueue_three}, {3, commit},     {2, roll_back},
         {12, acquire}, {10, read},    {10, read_due},     {14, settle},    {10, round},
         {3, release},  {1, restart},  {3, elapse},        {3, expire},     {3, list_dead},
         {3, requeue},  {2, discard},  {3, replay},        {1, purge_dead}, {1, purge_published}});
    // Otherwise the first sequences, which are short, would have small numbers alone.
    auto const below = [](int end) {
        return rc::gen::resize(rc::kNominalSize, rc::gen::inRange(0, end));
    };
    return rc::gen::apply(
        [](verb chosen, int who, int first, int second, int third) {
            return command{chosen, who, {first, second, third}};
        },
        what, below(3), below(12), below(12), below(12));
}

/// Where the storage and the reference part.
struct difference {
    std::string words{};
};

template <class Value>
std::string words_of(Value const& value) {
    std::ostringstream words;
    if constexpr (requires { value.begin(); } && !std::is_convertible_v<Value, std::string_view>) {
        char const* between = "";
        for (auto const& one : value) {
            words << between << words_of(one);
            between = " ";
        }
    } else {
        words << value;
    }
    return words.str();
}
template <class Said, class Expected>
void same(std::string_view what, Said const& said, Expected const& expected) {
    if (said == expected) return;
    throw difference{std::string{what} + ": the storage says [" + words_of(said) +
                     "], the reference [" + words_of(expected) + "]"};
}
inline void require(std::string_view what, bool holds) {
    if (!holds) throw difference{std::string{what}};
}
/// Real storages take real time, which is short beside every duration of a story.
inline void near(std::string_view what, outbox::duration said, outbox::duration expected) {
    auto const apart = said > expected ? said - expected : expected - said;
    if (apart < 10min) return;
    same(what, std::chrono::duration_cast<std::chrono::seconds>(said).count(),
         std::chrono::duration_cast<std::chrono::seconds>(expected).count());
}

// Time passes by whole hours, and everything falls due at half past: so it is never in doubt
// whether it has.
inline constexpr outbox::duration story_lease = 90min;
inline constexpr std::array<outbox::duration, 3> story_delays{0min, 30min, 210min};
inline constexpr std::array<char const*, 7> fate_words{"remove",   "stamp", "retry",    "follow",
                                                       "schedule", "bury",  "hand back"};

/// Four keys: none, two that share a partition, and one elsewhere, where there is an elsewhere.
template <class Model>
reference::place_of_keys some_keys() {
    Model at;
    std::vector<std::string> names{""};
    for (int i = 1; i <= 60; ++i) names.push_back("k" + std::to_string(i));
    for (auto const& name : names) put(at, 1, name);
    worker mine{at, 100};
    mine.acquire();
    std::map<int, std::vector<std::string>> by_partition;
    int keyless = 0;
    for (auto const& one : mine.read().read.records) {
        if (one.key.empty()) keyless = one.partition;
        by_partition[one.partition].emplace_back(one.key);
    }
    auto const shared = std::ranges::find_if(by_partition, [&](auto const& entry) {
        return entry.second.size() > 1 && (entry.first != keyless || by_partition.size() == 1);
    });
    reference::place_of_keys keys{{"", keyless}};
    for (auto const& name : shared->second) {
        if (keys.size() < 3) keys[name] = shared->first;
    }
    for (auto const& [number, those] : by_partition) {
        bool const elsewhere = number != keyless && number != shared->first;
        if (keys.size() < 4 && elsewhere) keys[those.front()] = number;
    }
    return keys;
}

template <class Model>
class story {
    using session = typename Model::storage_type::session;
    using message = reference::message;

public:
    explicit story(bool block) {
        static auto const keys = some_keys<Model>();
        expected_.partition_count = static_cast<int>(Model::partitions);
        expected_.partition_of = keys;
        expected_.block = block;
        for (auto const& [key, number] : keys) {
            keys_.push_back(key);
            expected_.partitions[number];
        }
        if (block) told_ = "dead letters block their keys\n";
    }

    void tell(command const& next) {
        who_ = next.who;
        with_ = next.with;
        switch (next.what) {
            case verb::begin: begin(producer()); break;
            case verb::enqueue: enqueue(1); break;
            case verb::enqueue_three: enqueue(3); break;
            case verb::commit: commit(producer()); break;
            case verb::roll_back: roll_back(producer()); break;
            case verb::acquire: acquire(); break;
            case verb::read: exchange(false, true, false); break;
            case verb::read_due: exchange(false, false, true); break;
            case verb::settle: exchange(true, false, false); break;
            case verb::round: exchange(true, with_[1] % 2 == 0, with_[2] % 3 == 0); break;
            case verb::release: release(); break;
            case verb::restart: restart(); break;
            case verb::elapse: elapse(1h); break;
            case verb::expire: elapse(2h); break;
            case verb::list_dead: list_dead(); break;
            case verb::requeue: requeue(); break;
            case verb::discard: discard(); break;
            case verb::replay: replay(); break;
            case verb::purge_published: purge(record_state::published); break;
            case verb::purge_dead: purge(record_state::dead); break;
        }
        check_figures();
    }
    [[nodiscard]] std::string const& told() const {
        return told_;
    }

private:
    template <class... Words>
    void say(Words const&... words) {
        std::ostringstream line;
        (line << ... << words);
        told_ += line.str() + "\n";
    }
    static std::string numbers_of(std::vector<message*> const& all) {
        laws::list found;
        for (auto const* one : all) found.push_back(one->number);
        return words_of(found);
    }

    // --- producers -------------------------------------------------------------------------------

    [[nodiscard]] std::size_t producer() const {
        return Model::concurrent && who_ == 1 ? 1 : 0;
    }
    typename Model::storage_type::transaction handle(std::size_t of) {
        if (of == 1) return at_.other();
        return at_.own();
    }
    void begin(std::size_t of) {
        if (open_[of]) return;
        say("producer ", of + 1, " begins");
        at_.storage().begin(handle(of));
        open_[of] = true;
    }
    void commit(std::size_t of) {
        if (!open_[of]) return;
        say("producer ", of + 1, " commits");
        open_[of] = false;
        at_.storage().commit(handle(of));
        expected_.commit(of);
    }
    void roll_back(std::size_t of) {
        if (!open_[of]) return;
        say("producer ", of + 1, " rolls back");
        open_[of] = false;
        at_.storage().rollback(handle(of));
        expected_.uncommitted[of].clear();
    }
    /// Where a storage has one writer at a time, the others wait for a transaction to end.
    void end_transactions(bool all = !Model::concurrent) {
        if (!all) return;
        commit(0);
        commit(1);
    }
    void enqueue(int count) {
        auto const by = producer();
        bool const alone = !open_[by];
        begin(by);
        std::vector<message> messages;
        for (int i = 0; i < count; ++i) {
            auto const at = static_cast<std::size_t>(i);
            auto& one = messages.emplace_back();
            one.key = keys_[static_cast<std::size_t>(with_[at]) % keys_.size()];
            // Two open transactions with the same id would wait for each other.
            int const choice = by == 0 ? with_[(at + 1) % 3] : 0;
            one.chosen = choice > 7;
            one.number = one.chosen ? 10'000 + choice % 2 : ++last_number_;
            one.topic = one.number % 3 == 0 ? "u" : "t";
            one.payload = one.chosen && with_[(at + 2) % 3] > 9 ? "other" : "p";
            bool const later = with_[(at + 2) % 3] % 6 == 5;
            if (later) one.due = expected_.now + story_delays[1] + next_moment();
        }
        std::vector<outbox::draft> drafts;
        std::ostringstream words;
        for (auto const& one : messages) {
            auto& draft = drafts.emplace_back(draft_of(one.number, one.key));
            draft.topic = one.topic;
            draft.payload = one.payload;
            draft.caller_chose_id = one.chosen;
            words << ' ' << one.number << " of key '" << one.key << "'";
            if (one.payload != "p") words << " with other content";
            if (one.due.count() == 0) continue;
            draft.not_before = at_.wall() + (one.due - expected_.now);
            words << " for later";
        }
        say("producer ", by + 1, " enqueues", words.str());
        bool const taken = expected_.enqueue(by, messages);
        auto const refused = refusal([&] { at_.storage().append(handle(by), drafts); });
        require(taken ? "it should be taken" : "it should be refused as a duplicate",
                refused == (taken ? std::nullopt : std::optional{outbox::errc::duplicate_id}));
        if (!taken) roll_back(by);
        if (alone) commit(by);
    }

    // --- workers ---------------------------------------------------------------------------------

    session& worker_session() {
        auto& mine = sessions_[who_];
        if (!mine) mine.reset(new session{at_.storage().connect(numbered(1'000 + who_), 20s)});
        return *mine;
    }
    void acquire() {
        end_transactions();
        outbox::acquire_request const request{.lease = story_lease,
                                              .most = with_[0] < 9 ? 1'000 : 1,
                                              .reach = 9,
                                              .careful_reach = 1,
                                              .dead_letters_block = expected_.block};
        say("worker ", who_ + 1, " acquires", request.most == 1 ? " one" : "");
        auto const found = expected_.look(who_, request.most);
        auto const got = worker_session().acquire(request);
        auto const most = std::clamp(found.room, 0, static_cast<int>(found.free.size()));
        same("partitions acquired", got.tenures.size(), static_cast<std::size_t>(most));
        std::set<int> taken;
        int latest = 0;
        for (auto const& one : got.tenures) {
            require("only what is free is acquired", found.free.contains(one.partition));
            require("each partition is acquired once", taken.insert(one.partition).second);
            latest = std::max(latest, expected_.partitions[one.partition].served);
        }
        for (int const number : found.free) {
            require("the longest unserved come first",
                    taken.contains(number) || expected_.partitions[number].served >= latest);
        }
        same("waiting", got.waiting,
             taken.empty() && expected_.held[who_].empty() && !found.taken.empty());
        ++expected_.services;
        for (auto const& one : got.tenures) check_tenure(one, request);
    }
    void check_tenure(outbox::tenure const& got, outbox::acquire_request const& request) {
        auto const number = int{got.partition};
        auto& last = epochs_[number];
        require("the epoch rises", got.epoch > std::exchange(last, got.epoch));
        auto const wanted = expected_.take(who_, number, request);
        same("strikes", got.care.strikes, wanted.care.strikes);
        same("care left", got.care.left, wanted.care.left);
        same("reach", got.care.reach, wanted.care.reach);
        require("a record is accused", got.accused.has_value() == wanted.accused.has_value());
        hands_[who_].erase(number);
        if (got.accused) {
            same("accused", number_of(got.accused->id), number_of(wanted.accused->id));
            same("its key", got.accused->key, wanted.accused->key);
            same("its attempts", got.accused->attempts, wanted.accused->attempts);
            same("its deaths", got.accused->deaths, wanted.accused->deaths);
            hands_[who_][number].push_back({number_of(got.accused->id), got.accused->sequence});
        }
        check_parked(got.parked, wanted.parked, true);
    }
    void check_parked(std::vector<outbox::parked_key> said, std::vector<outbox::parked_key> wanted,
                      bool all) {
        std::ranges::sort(said, {}, &outbox::parked_key::key);
        std::set<std::string> names;
        for (auto const& one : said) {
            auto const other = std::ranges::find(wanted, one.key, &outbox::parked_key::key);
            require("no key is parked but '" + words_of(names) + "'", other != wanted.end());
            require("each parked key is told once", names.insert(one.key).second);
            same("partition of key " + one.key, one.partition, other->partition);
            same("key " + one.key + " is blocked", one.blocked, other->blocked);
            near("key " + one.key + " is due in seconds", one.due_in, other->due_in);
        }
        if (all) same("parked keys", said.size(), wanted.size());
    }
    void release() {
        end_transactions();
        outbox::caution const care{with_[0] % 2, with_[1] % 3, with_[2] % 4};
        std::vector<outbox::ending> endings;
        ++expected_.services;
        for (auto const& [number, epoch] : expected_.held[who_]) {
            endings.push_back({static_cast<outbox::partition_number>(number), care});
            expected_.release(who_, number, care);
        }
        if (endings.empty()) return;
        say("worker ", who_ + 1, " releases all");
        worker_session().release(endings);
        expected_.held[who_].clear();
        hands_[who_].clear();
    }
    /// The same worker comes again, with nothing in mind.
    void restart() {
        end_transactions();
        say("worker ", who_ + 1, " restarts");
        sessions_[who_].reset();
        expected_.held[who_].clear();
        hands_[who_].clear();
    }

    // --- rounds ----------------------------------------------------------------------------------

    void exchange(bool settles, bool reads, bool reads_due) {
        end_transactions();
        auto& held = expected_.held[who_];
        if (held.empty()) return;
        std::ostringstream words;
        std::set<int> named;

        std::vector<outbox::settlement> settlements;
        laws::list of_settlements;
        for (auto& [number, records] : hands_[who_]) {
            if (!settles) break;
            // From the front on or from the back, by turns with one fate or the other.
            for (int left = 1 + with_[0] % 4; left > 0 && !records.empty(); --left) {
                auto const at = with_[0] > 7 ? records.end() - 1 : records.begin();
                auto const what = static_cast<fate>(with_[left % 2 == 0 ? 1 : 2] % 7);
                outbox::settlement one{.partition = static_cast<outbox::partition_number>(number),
                                       .sequence = at->sequence,
                                       .what = what,
                                       .attempts = 1 + expected_attempts(at->number),
                                       .error = "why"};
                if (what == fate::retry || what == fate::schedule) {
                    one.delay = story_delays[static_cast<std::size_t>(with_[2]) % 3];
                    // Scheduled at once, several would be due at the same time.
                    if (what == fate::schedule) one.delay = std::max(one.delay, story_delays[1]);
                    if (one.delay.count() > 0) one.delay += next_moment();
                }
                words << ", " << fate_words[static_cast<std::size_t>(what)] << " " << at->number;
                if (one.delay.count() > 0) {
                    words << " in "
                          << std::chrono::duration_cast<std::chrono::minutes>(one.delay).count()
                          << " minutes";
                }
                settlements.push_back(one);
                of_settlements.push_back(at->number);
                records.erase(at);
                named.insert(number);
            }
        }
        std::vector<outbox::renewal> renewals;
        if (with_[2] % 4 == 3) {
            words << ", renew";
            for (auto const& [number, epoch] : held) {
                renewals.push_back({static_cast<outbox::partition_number>(number),
                                    {with_[0] % 2, with_[1] % 3, with_[0] % 4}});
                named.insert(number);
            }
        }
        std::vector<outbox::partition_number> read;
        if (reads) {
            for (auto const& [number, epoch] : held) {
                read.push_back(static_cast<outbox::partition_number>(number));
                named.insert(number);
            }
            words << ", read";
        }
        std::vector<outbox::due_key> due;
        for (std::size_t i = 0; i < keys_.size() && reads_due; ++i) {
            auto const number = expected_.partition_of.at(keys_[i]);
            bool const asked = with_[0] > 5 || static_cast<std::size_t>(with_[0]) % 4 == i;
            if (!asked || !held.contains(number)) continue;
            due.push_back({static_cast<outbox::partition_number>(number), keys_[i]});
            named.insert(number);
            words << ", read key '" << keys_[i] << "'";
        }
        if (named.empty()) return;
        outbox::round_request request{.settlements = settlements,
                                      .renewals = renewals,
                                      .lease = story_lease,
                                      .read = read,
                                      .due_keys = due,
                                      .dead_letters_block = expected_.block};
        if (reads || reads_due) {
            request.records = std::array{100, 100, 2, 1}[static_cast<std::size_t>(with_[0]) % 4];
            request.bytes = with_[1] == 11 ? 1 : 1'000'000;
            request.alone = with_[2] > 8;
            request.promote = reads && with_[1] % 4 < 3;
            words << ", at most " << request.records;
            if (request.bytes == 1) words << " and one byte";
            if (request.alone) words << ", alone";
            if (request.promote) words << ", promote";
        }
        say("worker ", who_ + 1, words.str().substr(1));
        auto const reply = worker_session().exchange(request);

        std::set<int> lost;
        for (int const number : named) {
            if (!expected_.owns(who_, number)) lost.insert(number);
        }
        same("lost", std::set<int>(reply.lost.begin(), reply.lost.end()), lost);
        for (int const number : lost) {
            held.erase(number);
            hands_[who_].erase(number);
        }
        auto const kept = [&](int number) { return !lost.contains(number); };
        for (std::size_t i = 0; i < settlements.size(); ++i) {
            if (kept(settlements[i].partition)) expected_.settle(of_settlements[i], settlements[i]);
        }
        for (auto const& one : renewals) {
            if (!kept(one.partition)) continue;
            auto& at = expected_.partitions[one.partition];
            at.lease_until = expected_.now + request.lease;
            at.care = one.care;
        }
        // Four partitions are at most a fair share of one among two.
        require("nobody is asked to give way", reply.wanted.empty());
        std::vector<outbox::parked_key> may_change;
        for (int const number : named) {
            if (!kept(number)) continue;
            if (request.promote) expected_.promote(number);
            check_changed(number, reply, may_change);
        }
        check_parked(reply.changed, may_change, false);
        check_read(request, reply, kept);
    }
    int expected_attempts(int number) {
        auto const found = std::ranges::find(expected_.messages, number, &message::number);
        return found == expected_.messages.end() ? 0 : found->attempts;
    }
    /// All of a partition may be told where an operator touched any.
    void check_changed(int number, outbox::round_reply const& reply,
                       std::vector<outbox::parked_key>& may_change) {
        auto& at = expected_.partitions[number];
        for (auto const& one : expected_.parked(number)) {
            bool const retrying = !expected_.of_key(one.key, record_state::retrying).empty();
            if (!retrying || !at.touched) continue;
            may_change.push_back(one);
            bool const told =
                std::ranges::count(reply.changed, one.key, &outbox::parked_key::key) > 0;
            require("the owner is told of key '" + one.key + "'",
                    told || !at.to_tell.contains(one.key));
        }
        at.touched = false;
        at.to_tell.clear();
    }
    template <class Kept>
    void check_read(outbox::round_request const& request, outbox::round_reply const& reply,
                    Kept const& kept) {
        std::multiset<std::string> drained;
        std::vector<std::vector<message*>> due_lines;
        std::vector<std::vector<message*>> ready_lines;
        bool someone_died = false;
        for (auto const& one : request.due_keys) {
            if (!kept(one.partition)) continue;
            std::string const key{one.key};
            if (expected_.drained(key)) drained.insert(key);
            due_lines.push_back(expected_.readable_due(key, request.alone));
            for (auto const* retrying : expected_.of_key(key, record_state::retrying)) {
                someone_died = someone_died || retrying->deaths > 0;
            }
        }
        for (auto const number : request.read) {
            if (kept(number)) ready_lines.push_back(expected_.readable(number));
        }
        same("drained", std::multiset<std::string>(reply.drained.begin(), reply.drained.end()),
             drained);

        std::map<int, outbox::sequence_number> last;
        int read_due = 0;
        int read_ready = 0;
        for (auto const& one : reply.read.records) {
            bool const retrying = one.state == record_state::retrying;
            auto& lines = retrying ? due_lines : ready_lines;
            ++(retrying ? read_due : read_ready);
            auto const number = number_of(one.id);
            auto const line = std::ranges::find_if(lines, [&](auto const& among) {
                return !among.empty() && among.front()->number == number;
            });
            if (line == lines.end()) {
                std::string next;
                for (auto const& among : lines) next += " [" + numbers_of(among) + "]";
                throw difference{"the storage read " + std::to_string(number) +
                                 ", and in order there are only" + next};
            }
            check_record(one, *line->front());
            auto& before = last[retrying ? -1 - one.partition : one.partition];
            if (!retrying)
                require("sequences rise", one.sequence > std::exchange(before, one.sequence));
            line->front()->in_hand = true;
            if (request.alone) expected_.partitions[one.partition].suspect = number;
            hands_[who_][one.partition].push_back({number, one.sequence});
            line->erase(line->begin());
        }
        int left_due = 0;
        int left_ready = 0;
        for (auto const& line : due_lines) left_due += static_cast<int>(line.size());
        for (auto const& line : ready_lines) left_ready += static_cast<int>(line.size());
        int const left = left_due + left_ready;
        int const all = read_due + read_ready;
        if (request.alone || request.bytes == 1) {
            same("records read", all, std::min(1, all + left));
        } else {
            same("retrying records read", read_due, std::min(request.records, read_due + left_due));
            same("ready records read", read_ready,
                 std::min(request.records, read_ready + left_ready));
        }
        if (left > 0) same("more", reply.more, true);
        if (all == 0 && left == 0 && !someone_died) same("more", reply.more, false);
    }
    void check_record(outbox::record const& said, message const& wanted) {
        std::string const of = " of " + std::to_string(wanted.number);
        same("topic" + of, said.topic, wanted.topic);
        same("key" + of, said.key, wanted.key);
        same("payload" + of, said.payload, wanted.payload);
        same("partition" + of, int{said.partition}, expected_.partition_at(wanted));
        same("generation" + of, said.generation, wanted.generation);
        same("attempts" + of, said.attempts, wanted.attempts);
        same("deaths" + of, said.deaths, wanted.deaths);
        same("remaining" + of, said.remaining.count(), 0);
        auto const [known, fresh] = sequences_.emplace(wanted.place, said.sequence);
        if (!fresh) same("sequence" + of, said.sequence, known->second);
    }

    // --- operators, and time ---------------------------------------------------------------------

    void elapse(outbox::duration time) {
        end_transactions(true);
        say(std::chrono::duration_cast<std::chrono::hours>(time).count(), " hours pass");
        at_.elapse(time);
        expected_.now += time;
    }
    outbox::dead_letter_filter filter() {
        outbox::dead_letter_filter chosen{};
        if (with_[0] % 4 == 1) chosen.topic = "t";
        auto const dead = expected_.all([](auto& one) { return one.state == record_state::dead; });
        if (with_[0] % 4 > 1 && !dead.empty()) {
            chosen.id = numbered(dead[static_cast<std::size_t>(with_[1]) % dead.size()]->number);
        }
        return chosen;
    }
    std::vector<message*> chosen_by(outbox::dead_letter_filter const& filter) {
        auto found = expected_.all([&](auto& one) {
            return one.state == record_state::dead &&
                   (filter.topic.empty() || filter.topic == one.topic) &&
                   (!filter.id || *filter.id == numbered(one.number));
        });
        std::ranges::sort(found, {}, &message::number);
        return found;
    }
    /// Page by page, until a page is not full.
    template <class Call>
    void in_pages(std::string_view what, std::size_t expected, Call&& call) {
        std::size_t const page = with_[2] % 2 == 0 ? 100 : 1;
        for (;;) {
            auto const done = call(page);
            same(what, done, std::min(page, expected));
            expected -= done;
            if (done < page) return;
        }
    }
    void list_dead() {
        auto const which = filter();
        auto wanted = chosen_by(which);
        std::optional<outbox::message_id> after;
        if (with_[1] > 6 && !wanted.empty()) {
            after = numbered(wanted.front()->number);
            wanted.erase(wanted.begin());
        }
        std::size_t const count = with_[2] > 8 ? 1 : 100;
        if (wanted.size() > count) wanted.resize(count);
        say("an operator lists dead letters");
        auto const said = at_.storage().dead_letters(which, after, count);
        laws::list found;
        for (auto const& one : said) found.push_back(number_of(one.id));
        same("dead letters", words_of(found), numbers_of(wanted));
        for (std::size_t i = 0; i < said.size(); ++i) {
            auto const& one = *wanted[i];
            same("topic", said[i].topic, one.topic);
            same("key", said[i].key, one.key);
            same("payload", said[i].payload, one.payload);
            same("attempts", said[i].attempts, one.attempts);
            same("deaths", said[i].deaths, one.deaths);
            same("generation", said[i].generation, one.generation);
            same("last error", said[i].last_error, one.error);
            near("seconds since it was created", at_.wall() - said[i].created_at,
                 expected_.now - one.created);
            near("seconds since it died", at_.wall() - said[i].died_at, expected_.now - one.ended);
        }
    }
    void requeue() {
        end_transactions();
        auto const which = filter();
        auto const dead = chosen_by(which);
        say("an operator requeues ", numbers_of(dead));
        in_pages("requeued", dead.size(),
                 [&](std::size_t page) { return at_.storage().requeue(which, page); });
        expected_.requeue(dead);
    }
    void discard() {
        end_transactions();
        auto const which = filter();
        auto const dead = chosen_by(which);
        say("an operator discards ", numbers_of(dead));
        in_pages("discarded", dead.size(),
                 [&](std::size_t page) { return at_.storage().discard(which, page); });
        expected_.erase(dead);
    }
    void replay() {
        end_transactions();
        auto const age = std::array<outbox::duration, 3>{
            1000h, 30min, 150min}[static_cast<std::size_t>(with_[0]) % 3];
        auto const published = expected_.all([&](auto& one) {
            return one.state == record_state::published && expected_.now - one.ended < age;
        });
        say("an operator replays ", numbers_of(published));
        auto const now = at_.wall();
        std::optional<outbox::message_id> after;
        std::set<int> said;
        in_pages("replayed", published.size(), [&](std::size_t page) {
            auto const ids = at_.storage().replay({now - age, now + 30min}, after, page);
            if (!ids.empty()) after = ids.back();
            for (auto const& id : ids) said.insert(number_of(id));
            return ids.size();
        });
        std::set<int> wanted;
        for (auto const* one : published) wanted.insert(one->number);
        same("replayed", said, wanted);
        expected_.replay(published);
    }
    void purge(record_state state) {
        end_transactions();
        auto const age = with_[0] % 2 == 0 ? 30min : 150min;
        auto const old = expected_.all(
            [&](auto& one) { return one.state == state && expected_.now - one.ended > age; });
        say("what is older is purged: ", numbers_of(old));
        in_pages("purged", old.size(), [&](std::size_t page) {
            return state == record_state::dead ? at_.storage().purge_dead(age, page)
                                               : at_.storage().purge_published(age, page);
        });
        expected_.erase(old);
    }
    void check_figures() {
        auto const figures = at_.storage().statistics();
        auto const ready = expected_.count(record_state::ready);
        same("retrying", figures.retrying, expected_.count(record_state::retrying));
        same("scheduled", figures.scheduled, expected_.count(record_state::scheduled));
        same("dead", figures.dead, expected_.count(record_state::dead));
        same("backlog", figures.backlog, ready + figures.retrying + figures.scheduled);
        same("backlog is an estimate", figures.backlog_is_estimate, false);
        same("partitions held", figures.partitions_held,
             std::ranges::count_if(expected_.partitions, [&](auto const& entry) {
                 return expected_.live(entry.second);
             }));
        if (ready == 0) return same("oldest age", figures.oldest_age.count(), 0);
        // It may be told by the first of each partition alone.
        outbox::duration first{};
        outbox::duration oldest{};
        for (auto const& [number, at] : expected_.partitions) {
            auto const line = expected_.of_partition(number, record_state::ready);
            if (!line.empty()) first = std::max(first, expected_.now - line.front()->created);
            for (auto const* one : line) oldest = std::max(oldest, expected_.now - one->created);
        }
        near("oldest age in seconds", figures.oldest_age,
             std::clamp(figures.oldest_age, first, oldest));
    }

    /// No two times are the same, so that their order is never in doubt.
    outbox::duration next_moment() {
        return ++moments_ * outbox::duration{1'000};
    }

    struct in_hand {
        int number{0};
        outbox::sequence_number sequence{0};
    };

    Model at_{};
    reference expected_{};
    std::vector<std::string> keys_{};
    std::string told_{};
    int who_{0};
    std::array<int, 3> with_{};
    std::array<bool, 2> open_{};
    int last_number_{0};
    int moments_{0};
    std::map<int, std::unique_ptr<session>> sessions_{};
    /// What each worker believes to have in hand, by partition.
    std::map<int, std::map<int, std::vector<in_hand>>> hands_{};
    std::map<int, outbox::epoch_number> epochs_{};
    std::map<int, outbox::sequence_number> sequences_{};  ///< by place in the order of drawing
};

/// Nothing when the storage and the reference agree from the first command to the last.
template <class Model>
std::optional<std::string> parted(std::vector<command> const& commands, bool block) {
    story<Model> one{block};
    try {
        for (auto const& next : commands) one.tell(next);
    } catch (difference const& here) {
        return one.told() + here.words;
    } catch (outbox::error const& failure) {
        return one.told() + "it threw: " + failure.what();
    }
    return std::nullopt;
}

}  // namespace laws

namespace {

TEST_CASE("storage: a random sequence of commands does what the reference says") {
    auto parameters = rc::detail::configuration().testParams;
    auto const* const wish = std::getenv("LAW_SEQUENCES");
    parameters.maxSuccess = wish == nullptr ? model::random_sequences : std::atoi(wish);
    parameters.maxSize = 100;
    std::string shortest;
    auto const result = rc::detail::checkTestable(
        [&] {
            bool const block = *rc::gen::arbitrary<bool>();
            auto const commands =
                *rc::gen::container<std::vector<laws::command>>(laws::any_command());
            if (auto told = laws::parted<model>(commands, block)) {
                shortest = std::move(*told);
                RC_FAIL("they part");
            }
        },
        rc::detail::TestMetadata{}, parameters);
    if (result.is<rc::detail::SuccessResult>()) {
        CHECK(result.get<rc::detail::SuccessResult>().numSuccess == parameters.maxSuccess);
        return;
    }
    std::ostringstream why;
    if (result.is<rc::detail::FailureResult>()) {
        why << "after " << result.get<rc::detail::FailureResult>().numSuccess
            << " sequences that went well:\n\n"
            << shortest << "\n";
    } else {
        rc::detail::printResultMessage(result, why);
    }
    FAIL(why.str() << "\nagain by RC_PARAMS=\"seed=" << parameters.seed
                   << "\" LAW_SEQUENCES=" << parameters.maxSuccess);
}

}  // namespace
