// SPDX-License-Identifier: MIT
//
// One sequence of commands, told to a storage and to the reference at once; here what workers do.
#pragma once

#include <memory>

#include "outbox/testing/laws/storage_tale.hpp"

namespace outbox::testing::laws {

inline constexpr std::array<char const*, 7> fate_words{"remove",   "stamp", "retry",    "follow",
                                                       "schedule", "bury",  "hand back"};

template <class Model>
class story : tale<Model> {
    using base = tale<Model>;
    using session = typename Model::storage_type::session;
    using base::at_;
    using base::end_transactions;
    using base::expected_;
    using base::keys_;
    using base::next_moment;
    using base::numbers_of;
    using base::say;
    using base::who_;
    using base::with_;
    using typename base::message;

public:
    explicit story(bool block) : base{block} {}

    void tell(command const& next) {
        who_ = next.who;
        with_ = next.with;
        switch (next.what) {
            case verb::begin: this->begin(this->producer()); break;
            case verb::enqueue: this->enqueue(1); break;
            case verb::enqueue_three: this->enqueue(3); break;
            case verb::commit: this->commit(this->producer()); break;
            case verb::roll_back: this->roll_back(this->producer()); break;
            case verb::acquire: acquire(); break;
            case verb::read: exchange(false, true, false); break;
            case verb::read_due: exchange(false, false, true); break;
            case verb::settle: exchange(true, false, false); break;
            case verb::round: exchange(true, with_[1] % 2 == 0, with_[2] % 3 == 0); break;
            case verb::release: release(); break;
            case verb::restart: restart(); break;
            case verb::elapse: this->elapse(1h); break;
            case verb::expire: this->elapse(2h); break;
            case verb::list_dead: this->list_dead(); break;
            case verb::requeue: this->requeue(); break;
            case verb::discard: this->discard(); break;
            case verb::replay: this->replay(); break;
            case verb::purge_published: this->purge(record_state::published); break;
            case verb::purge_dead: this->purge(record_state::dead); break;
            case verb::figures: this->check_figures(); break;
        }
    }
    void end() {
        end_transactions(true);
        this->check_figures();
    }
    [[nodiscard]] std::string const& words() const {
        return this->told_;
    }

private:
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
            same("buried lately", got.accused->buried_lately, wanted.accused->buried_lately);
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
            bool const heard =
                std::ranges::count(reply.changed, one.key, &outbox::parked_key::key) > 0;
            require("the owner is told of key '" + one.key + "'",
                    heard || !at.to_tell.contains(one.key));
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
            // What waits behind a record that is read alone may count against the limit.
            int const most = std::min(request.records, read_due + left_due);
            require("no more are read than were asked for",
                    std::max(read_due, read_ready) <= request.records);
            if (!someone_died) same("retrying records read", read_due, most);
            // Partitions that have more than a read takes may divide it among them.
            require("ready records are read where there are any",
                    read_ready > 0 || left_ready == 0);
        }
        if (left > 0 && !someone_died) same("more", reply.more, true);
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

    struct in_hand {
        int number{0};
        outbox::sequence_number sequence{0};
    };

    std::map<int, std::unique_ptr<session>> sessions_{};
    /// What each worker believes to have in hand, by partition.
    std::map<int, std::map<int, std::vector<in_hand>>> hands_{};
    std::map<int, outbox::epoch_number> epochs_{};
    std::map<int, outbox::sequence_number> sequences_{};  ///< by place in the order of drawing
};

}  // namespace outbox::testing::laws
