// SPDX-License-Identifier: MIT
//
// What producers, operators and time do in a story, told to a storage and to the reference at once.
#pragma once

#include "outbox/testing/laws/storage_commands.hpp"
#include "outbox/testing/laws/storage_reference.hpp"

namespace outbox::testing::laws {

// Time passes by whole hours, and everything falls due at half past: so it is never in doubt
// whether it has.
inline constexpr outbox::duration story_lease = 90min;
inline constexpr std::array<outbox::duration, 3> story_delays{0min, 30min, 210min};

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
class tale {
protected:
    using message = reference::message;

    explicit tale(bool block) {
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
        say("an operator looks at the figures");
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

    Model at_{};
    reference expected_{};
    std::vector<std::string> keys_{};
    std::string told_{};
    int who_{0};
    std::array<int, 3> with_{};
    std::array<bool, 2> open_{};
    int last_number_{0};
    int moments_{0};
};

}  // namespace outbox::testing::laws
