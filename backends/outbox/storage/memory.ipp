// SPDX-License-Identifier: MIT
//
// The verbs of the memory storage, in the order of the concept.
#pragma once

namespace outbox {

template <clock Clock>
void basic_memory_storage<Clock>::append(transaction on, std::span<draft const> drafts) {
    auto& target = *on.connection_;
    if (!target.open_) {
        throw error{errc::no_transaction,
                    "create_message needs an open transaction; begin one first"};
    }
    auto const same = [](auto const& a, auto const& b) {
        return a.topic == b.topic && a.key == b.key && a.headers == b.headers &&
               a.payload == b.payload;
    };
    std::vector<typename connection::staged_message> added;
    std::lock_guard const lock{state_->mutex};
    for (auto const& one : drafts) {
        if (one.caller_chose_id) {
            bool stored_already = false;
            auto const compare = [&](auto const& other) {
                if (!same(one, other)) {
                    throw error{errc::duplicate_id, "message id " + to_string(one.id) +
                                                        " is stored already with other content"};
                }
                stored_already = true;
            };
            for (auto const& staged : target.staged_) {
                if (staged.head.id == one.id) compare(staged.head);
            }
            for (auto const& staged : added) {
                if (staged.head.id == one.id) compare(staged.head);
            }
            if (state_->chosen_ids.contains(one.id)) {
                auto const compare_stored = [&](stored const& message) {
                    if (message.head.id == one.id) compare(message.head);
                };
                for (auto const& [id, message] : state_->dead) compare_stored(message);
                for (auto const& [id, message] : state_->published) compare_stored(message);
                for (auto const& p : state_->all) {
                    for (auto const& [sequence, message] : p.ready) compare_stored(message);
                    for (auto const& [due, message] : p.scheduled) compare_stored(message);
                    for (auto const& [key, messages] : p.retrying) {
                        for (auto const& [sequence, message] : messages) compare_stored(message);
                    }
                }
            }
            if (stored_already) continue;
        }
        auto text = std::make_unique<std::string>();
        text->reserve(one.topic.size() + one.key.size() + one.headers.size() + one.payload.size());
        text->append(one.topic).append(one.key).append(one.headers).append(one.payload);
        std::string_view rest{*text};
        auto const take = [&rest](std::size_t size) {
            auto const part = rest.substr(0, size);
            rest.remove_prefix(size);
            return part;
        };
        draft copy = one;
        copy.topic = take(one.topic.size());
        copy.key = take(one.key.size());
        copy.headers = take(one.headers.size());
        copy.payload = take(one.payload.size());
        added.push_back({copy, std::move(text)});
    }
    target.staged_.insert(target.staged_.end(), std::make_move_iterator(added.begin()),
                          std::make_move_iterator(added.end()));
}

template <clock Clock>
void basic_memory_storage<Clock>::shared_state::commit(connection& on) {
    if (!on.open_) throw error{errc::no_transaction, "no transaction is open"};
    on.open_ = false;
    auto drafts = std::exchange(on.staged_, {});
    std::lock_guard const lock{mutex};
    for (auto const& staged : drafts) {
        if (staged.head.caller_chose_id && chosen_ids.contains(staged.head.id)) {
            throw error{errc::aborted_transaction,
                        "message id " + to_string(staged.head.id) +
                            " was stored by another transaction in the meantime"};
        }
    }
    auto const before = last_sequence;
    try {
        store(drafts);
    } catch (...) {
        take_back(before);
        throw;
    }
}

template <clock Clock>
void basic_memory_storage<Clock>::shared_state::store(
    std::span<typename connection::staged_message> drafts) {
    auto const now = clock.now();
    auto const wall = clock.wall();
    for (auto& staged : drafts) {
        auto const& head = staged.head;
        stored message;
        message.head = {.sequence = ++last_sequence,
                        .partition = partition_of(head.key),
                        .id = head.id,
                        .topic = head.topic,
                        .key = head.key,
                        .headers = head.headers,
                        .payload = head.payload};
        message.text = std::move(staged.text);
        message.caller_chose_id = head.caller_chose_id;
        message.created_at = wall;
        auto& p = all[static_cast<std::size_t>(message.head.partition)];
        if (head.not_before && *head.not_before > wall) {
            message.head.state = record_state::scheduled;
            p.scheduled.emplace(now + (*head.not_before - wall), std::move(message));
        } else {
            p.ready.emplace_hint(p.ready.end(), message.head.sequence, std::move(message));
        }
        if (head.caller_chose_id) chosen_ids.insert(head.id);
    }
}

/// Memory ran out in the middle of a commit: what was stored of it, after `before`, goes.
template <clock Clock>
void basic_memory_storage<Clock>::shared_state::take_back(sequence_number before) noexcept {
    auto const is_new = [&](auto const& entry) {
        auto const& head = entry.second.head;
        if (head.sequence <= before) return false;
        if (entry.second.caller_chose_id) chosen_ids.erase(head.id);
        return true;
    };
    for (auto& p : all) {
        std::erase_if(p.ready, is_new);
        std::erase_if(p.scheduled, is_new);
    }
}

template <clock Clock>
bool basic_memory_storage<Clock>::shared_state::holds_work(partition_number number,
                                                           bool dead_letters_block) const {
    auto const& p = all[static_cast<std::size_t>(number)];
    auto const now = clock.now();
    if (!p.ready.empty()) return true;
    if (!p.scheduled.empty() && p.scheduled.begin()->first <= now) return true;
    return std::ranges::any_of(p.retrying, [&](auto const& entry) {
        auto const& [sequence, head] = *entry.second.begin();
        bool const blocked = dead_letters_block && first_dead(number, entry.first) < sequence;
        return head.due <= now && !blocked;
    });
}

template <clock Clock>
sequence_number basic_memory_storage<Clock>::shared_state::first_dead(partition_number number,
                                                                      std::string_view key) const {
    auto first = std::numeric_limits<sequence_number>::max();
    for (auto const& [id, message] : dead) {
        if (message.head.partition == number && message.head.key == key) {
            first = std::min(first, message.head.sequence);
        }
    }
    return first;
}

template <clock Clock>
std::optional<parked_key> basic_memory_storage<Clock>::shared_state::parking(
    partition_number number, std::string const& key, bool dead_letters_block) const {
    auto const& retrying = all[static_cast<std::size_t>(number)].retrying;
    auto const found = retrying.find(key);
    auto const dead_from =
        dead_letters_block ? first_dead(number, key) : std::numeric_limits<sequence_number>::max();
    parked_key parked{.partition = number, .key = key};
    if (found == retrying.end()) {
        if (dead_from == std::numeric_limits<sequence_number>::max()) return std::nullopt;
        parked.blocked = true;
        return parked;
    }
    auto const& head = *found->second.begin();
    parked.blocked = dead_from < head.first;
    parked.due_in = std::max(head.second.due - clock.now(), duration::zero());
    return parked;
}

template <clock Clock>
acquired basic_memory_storage<Clock>::session::acquire(acquire_request const& request) {
    std::lock_guard const lock{state_->mutex};
    auto const now = state_->clock.now();
    std::map<message_id, int> owners{{worker_, 0}};
    for (auto const& p : state_->all) {
        if (p.owner && (p.lease_until > now || *p.owner == worker_)) ++owners[*p.owner];
    }
    auto const share =
        (partitions + static_cast<int>(owners.size()) - 1) / static_cast<int>(owners.size());
    int room = std::min<int>(request.most, share - static_cast<int>(held_.size()));

    std::vector<partition_number> candidates;
    bool work_elsewhere = false;
    for (partition_number number = 0; number < partitions; ++number) {
        auto const& p = state_->all[static_cast<std::size_t>(number)];
        if (held_.contains(number)) continue;
        bool const mine = p.owner == worker_;
        bool const taken = p.owner && !mine && p.lease_until > now;
        if (!state_->holds_work(number, request.dead_letters_block)) continue;
        if (taken) {
            work_elsewhere = true;
        } else {
            candidates.push_back(number);
        }
    }
    std::ranges::sort(candidates, {}, [&](partition_number number) {
        return state_->all[static_cast<std::size_t>(number)].served;
    });

    acquired result;
    for (auto const number : candidates) {
        if (room-- <= 0) break;
        auto& p = state_->all[static_cast<std::size_t>(number)];
        bool const died = p.owner && *p.owner != worker_;
        tenure got{.partition = number, .epoch = ++p.epoch};
        if (died) {
            accuse(p, got);
            ++p.care.strikes;
            p.care.left = p.care.reach;
        }
        p.suspect = 0;
        p.owner = worker_;
        p.lease_until = now + request.lease;
        p.wanted_until = {};
        p.served = ++state_->services;
        p.care.reach = died || p.care.left > 0 ? request.careful_reach : request.reach;
        got.care = p.care;
        std::set<std::string> keys;
        for (auto const& [key, messages] : p.retrying) keys.insert(key);
        if (request.dead_letters_block) {
            for (auto const& [id, message] : state_->dead) {
                if (message.head.partition == number) keys.insert(std::string{message.head.key});
            }
        }
        for (auto const& key : keys) {
            if (auto parked = state_->parking(number, key, request.dead_letters_block)) {
                got.parked.push_back(std::move(*parked));
            }
        }
        held_[number] = {.epoch = p.epoch, .cursor = 0, .version = p.version};
        result.tenures.push_back(std::move(got));
    }

    int const modest = std::max(1, partitions / static_cast<int>(owners.size()));
    int lacks = std::min<int>(request.most, modest) - static_cast<int>(held_.size());
    result.waiting = held_.empty() && work_elsewhere;
    if (lacks <= 0 || (held_.empty() && !work_elsewhere)) return result;
    std::map<message_id, int> rank;
    for (auto& p : state_->all) {
        if (!p.owner || p.owner == worker_ || p.lease_until <= now) continue;
        if (++rank[*p.owner] <= modest) continue;
        result.waiting = true;
        if (lacks-- > 0) p.wanted_until = now + request.lease / 2;
    }
    return result;
}

template <clock Clock>
std::int32_t basic_memory_storage<Clock>::shared_state::buried_lately() const {
    auto const since = clock.wall() - std::chrono::hours{1};
    return static_cast<std::int32_t>(std::ranges::count_if(dead, [&](auto const& one) {
        return one.second.head.deaths > 0 && one.second.ended_at > since;
    }));
}

/// The record that was in flight alone when its worker died.
template <clock Clock>
void basic_memory_storage<Clock>::session::accuse(partition& p, tenure& got) {
    if (auto const noted = p.ready.find(p.suspect); noted != p.ready.end()) {
        auto& line = p.retrying[std::string{noted->second.head.key}];
        noted->second.head.state = record_state::retrying;
        line.insert(p.ready.extract(noted));
    }
    for (auto& [key, messages] : p.retrying) {
        auto const found = messages.find(p.suspect);
        if (found == messages.end()) continue;
        auto& message = found->second;
        got.accused =
            accused_record{message.head.sequence, message.head.id,         key,
                           message.head.attempts, message.head.deaths + 1, state_->buried_lately()};
        ++message.head.deaths;
        message.due = state_->clock.now();
        message.in_hand = got.epoch;
        p.suspect = 0;
        return;
    }
}

template <clock Clock>
bool basic_memory_storage<Clock>::session::owns(partition_number number) const {
    auto const mine = held_.find(number);
    auto const& p = state_->all[static_cast<std::size_t>(number)];
    return mine != held_.end() && p.owner == worker_ && p.epoch == mine->second.epoch;
}

template <clock Clock>
round_reply basic_memory_storage<Clock>::session::exchange(round_request const& request) {
    std::lock_guard const lock{state_->mutex};
    auto const now = state_->clock.now();
    round_reply reply;
    bytes_ = 0;
    taken_ = 0;

    std::vector<partition_number> named(request.read.begin(), request.read.end());
    for (auto const& one : request.settlements) {
        if (named.empty() || named.back() != one.partition) named.push_back(one.partition);
    }
    for (auto const& one : request.renewals) named.push_back(one.partition);
    for (auto const& one : request.due_keys) named.push_back(one.partition);
    std::ranges::sort(named);
    named.erase(std::unique(named.begin(), named.end()), named.end());
    for (auto const number : named) {
        if (owns(number)) continue;
        held_.erase(number);
        reply.lost.push_back(number);
    }

    for (auto const& one : request.settlements) {
        if (auto const mine = held_.find(one.partition); mine != held_.end())
            settle(one, mine->second);
    }
    for (auto const& one : request.renewals) {
        if (!held_.contains(one.partition)) continue;
        auto& p = state_->all[static_cast<std::size_t>(one.partition)];
        p.lease_until = now + request.lease;
        p.care = one.care;
    }
    for (auto const number : named) {
        auto const mine = held_.find(number);
        if (mine == held_.end()) continue;
        auto& p = state_->all[static_cast<std::size_t>(number)];
        if (p.wanted_until > now) reply.wanted.push_back(number);
        if (request.promote) promote(p);
        if (mine->second.version == p.version) continue;
        mine->second.version = p.version;
        std::set<std::string> keys;
        for (auto const& [key, messages] : p.retrying) keys.insert(key);
        for (auto const& key : keys) {
            if (auto parked = state_->parking(number, key, request.dead_letters_block)) {
                reply.changed.push_back(std::move(*parked));
            }
        }
    }
    for (auto const& due : request.due_keys) {
        if (held_.contains(due.partition)) read_due(due, request, reply);
    }
    taken_ = 0;
    for (auto const number : request.read) {
        if (auto const mine = held_.find(number); mine != held_.end()) {
            read_ready(number, mine->second, request, reply);
        }
    }
    return reply;
}

template <clock Clock>
void basic_memory_storage<Clock>::session::settle(settlement const& one, holding& mine) {
    auto& p = state_->all[static_cast<std::size_t>(one.partition)];
    auto const is_mine = [&](auto const& found) { return found->second.in_hand == mine.epoch; };
    if (auto const found = p.ready.find(one.sequence); found != p.ready.end()) {
        if (!is_mine(found)) return;
        if (one.what == fate::hand_back) mine.cursor = std::min(mine.cursor, one.sequence - 1);
        return settle(one, p, p.ready, found);
    }
    for (auto line = p.retrying.begin(); line != p.retrying.end(); ++line) {
        auto const found = line->second.find(one.sequence);
        if (found == line->second.end()) continue;
        if (!is_mine(found)) return;
        settle(one, p, line->second, found);
        if (line->second.empty()) p.retrying.erase(line);
        return;
    }
}

/// Where memory runs out, nothing has happened: a place in the new state comes before anything is
/// taken from the old one.
template <clock Clock>
void basic_memory_storage<Clock>::session::settle(settlement const& one, partition& p,
                                                  by_sequence& from,
                                                  typename by_sequence::iterator found) {
    auto const now = state_->clock.now();
    auto& message = found->second;
    auto const move_to = [&](stored& place, record_state state) {
        message.head.state = state;
        message.ended_at = state_->clock.wall();
        place = std::move(message);
        from.erase(found);
    };
    auto const wait = [&](duration delay) {
        if (&from == &p.ready) {
            auto& line = p.retrying[std::string{message.head.key}];
            line.insert(from.extract(found));
        }
        message.head.state = record_state::retrying;
        message.due = now + delay;
    };
    auto error = one.error;
    bool const resolved = one.what != fate::hand_back;
    auto const sequence = one.sequence;
    switch (one.what) {
        case fate::hand_back: message.in_hand = 0; break;
        case fate::remove:
            if (message.caller_chose_id) state_->chosen_ids.erase(message.head.id);
            from.erase(found);
            break;
        case fate::stamp: {
            auto& place = state_->published[message.head.id];
            message.in_hand = 0;
            move_to(place, record_state::published);
            break;
        }
        case fate::bury: {
            auto& place = state_->dead[message.head.id];
            message.in_hand = 0;
            message.head.attempts = one.attempts;
            message.last_error = std::move(error);
            move_to(place, record_state::dead);
            break;
        }
        case fate::schedule: {
            auto const place = p.scheduled.emplace(now + one.delay, stored{});
            message.in_hand = 0;
            move_to(place->second, record_state::scheduled);
            break;
        }
        case fate::retry:
            wait(one.delay);
            message.in_hand = 0;
            message.head.attempts = one.attempts;
            message.last_error = std::move(error);
            break;
        case fate::follow:
            wait(duration::zero());
            message.in_hand = 0;
            break;
    }
    if (resolved && p.suspect == sequence) p.suspect = 0;
}

template <clock Clock>
void basic_memory_storage<Clock>::session::promote(partition& p) {
    if (p.scheduled.empty()) return;
    auto const now = state_->clock.now();
    while (!p.scheduled.empty() && p.scheduled.begin()->first <= now) {
        auto const sequence = ++state_->last_sequence;
        auto& message = p.ready[sequence];
        message = std::move(p.scheduled.begin()->second);
        p.scheduled.erase(p.scheduled.begin());
        message.head.state = record_state::ready;
        message.head.sequence = sequence;
    }
}

template <clock Clock>
bool basic_memory_storage<Clock>::session::full(round_request const& request,
                                                round_reply const& reply) const {
    bool const any = !reply.read.records.empty();
    if (request.alone) return any;
    return taken_ >= request.records || (any && bytes_ >= request.bytes);
}

template <clock Clock>
void basic_memory_storage<Clock>::session::hand_out(stored& message, epoch_number epoch,
                                                    round_reply& reply) {
    message.in_hand = epoch;
    bytes_ += static_cast<std::int64_t>(reply.read.add(message.head).size_bytes());
    ++taken_;
}

template <clock Clock>
void basic_memory_storage<Clock>::session::read_ready(partition_number number, holding& mine,
                                                      round_request const& request,
                                                      round_reply& reply) {
    auto& p = state_->all[static_cast<std::size_t>(number)];
    for (auto next = p.ready.upper_bound(mine.cursor); next != p.ready.end(); ++next) {
        auto& message = next->second;
        if (message.in_hand == mine.epoch) continue;
        if (full(request, reply)) {
            reply.more = true;
            return;
        }
        if (request.alone) p.suspect = next->first;
        hand_out(message, mine.epoch, reply);
        mine.cursor = next->first;
    }
}

template <clock Clock>
void basic_memory_storage<Clock>::session::read_due(due_key const& due,
                                                    round_request const& request,
                                                    round_reply& reply) {
    auto& p = state_->all[static_cast<std::size_t>(due.partition)];
    auto const epoch = held_.at(due.partition).epoch;
    auto const found = p.retrying.find(due.key);
    auto const dead_from = request.dead_letters_block ? state_->first_dead(due.partition, due.key)
                                                      : std::numeric_limits<sequence_number>::max();
    if (found == p.retrying.end()) {
        bool const blocked = dead_from != std::numeric_limits<sequence_number>::max();
        if (!blocked) reply.drained.emplace_back(due.key);
        return;
    }
    for (auto& [sequence, message] : found->second) {
        if (sequence >= dead_from) return;
        if (message.in_hand == epoch) continue;
        if (message.head.deaths > 0 && !request.alone) return;
        if (full(request, reply)) {
            reply.more = true;
            return;
        }
        if (request.alone) p.suspect = sequence;
        hand_out(message, epoch, reply);
    }
}

template <clock Clock>
void basic_memory_storage<Clock>::session::release(std::span<ending const> endings) {
    std::lock_guard const lock{state_->mutex};
    for (auto const& one : endings) {
        bool const ours = owns(one.partition);
        held_.erase(one.partition);
        if (!ours) continue;
        auto& p = state_->all[static_cast<std::size_t>(one.partition)];
        p.owner.reset();
        p.care = one.care;
        p.suspect = 0;
        p.wanted_until = {};
        p.served = ++state_->services;
    }
}

template <clock Clock>
std::vector<dead_letter> basic_memory_storage<Clock>::dead_letters(dead_letter_filter const& filter,
                                                                   std::optional<message_id> after,
                                                                   std::size_t count) const {
    std::lock_guard const lock{state_->mutex};
    std::vector<dead_letter> found;
    auto next = after ? state_->dead.upper_bound(*after) : state_->dead.begin();
    for (; next != state_->dead.end() && found.size() < count; ++next) {
        auto const& message = next->second;
        if (!matches(filter, message.head)) continue;
        found.push_back({.id = message.head.id,
                         .topic = std::string{message.head.topic},
                         .key = std::string{message.head.key},
                         .headers = std::string{message.head.headers},
                         .payload = std::string{message.head.payload},
                         .attempts = message.head.attempts,
                         .deaths = message.head.deaths,
                         .generation = message.head.generation,
                         .last_error = message.last_error,
                         .created_at = message.created_at,
                         .died_at = message.ended_at});
    }
    return found;
}

template <clock Clock>
std::size_t basic_memory_storage<Clock>::requeue(dead_letter_filter const& filter,
                                                 std::size_t count) {
    std::lock_guard const lock{state_->mutex};
    std::size_t done = 0;
    for (auto next = state_->dead.begin(); next != state_->dead.end() && done < count;) {
        if (!matches(filter, next->second.head)) {
            ++next;
            continue;
        }
        auto& message = state_->wait_again(next->second);
        ++message.head.generation;
        message.head.attempts = 0;
        message.head.deaths = 0;
        next = state_->dead.erase(next);
        ++done;
    }
    return done;
}

/// What an operator puts back: its owner is told. The message is moved from.
template <clock Clock>
auto basic_memory_storage<Clock>::shared_state::wait_again(stored& message) -> stored& {
    auto& p = all[static_cast<std::size_t>(message.head.partition)];
    auto line = p.retrying.find(message.head.key);
    if (line == p.retrying.end()) {
        line = p.retrying.emplace(message.head.key, by_sequence{}).first;
    }
    try {
        auto& place = line->second[message.head.sequence];
        place = std::move(message);
        place.head.state = record_state::retrying;
        place.due = clock.now();
        ++p.version;
        return place;
    } catch (...) {
        if (line->second.empty()) p.retrying.erase(line);
        throw;
    }
}

template <clock Clock>
std::size_t basic_memory_storage<Clock>::discard(dead_letter_filter const& filter,
                                                 std::size_t count) {
    std::lock_guard const lock{state_->mutex};
    std::size_t done = 0;
    for (auto next = state_->dead.begin(); next != state_->dead.end() && done < count;) {
        if (!matches(filter, next->second.head)) {
            ++next;
            continue;
        }
        ++state_->all[static_cast<std::size_t>(next->second.head.partition)].version;
        state_->chosen_ids.erase(next->first);
        next = state_->dead.erase(next);
        ++done;
    }
    return done;
}

template <clock Clock>
std::vector<message_id> basic_memory_storage<Clock>::replay(time_range range,
                                                            std::optional<message_id> after,
                                                            std::size_t count) {
    std::lock_guard const lock{state_->mutex};
    std::vector<message_id> done;
    auto next = after ? state_->published.upper_bound(*after) : state_->published.begin();
    while (next != state_->published.end() && done.size() < count) {
        if (next->second.ended_at < range.from || next->second.ended_at >= range.to) {
            ++next;
            continue;
        }
        done.push_back(next->first);
        state_->wait_again(next->second);
        next = state_->published.erase(next);
    }
    return done;
}

template <clock Clock>
std::size_t basic_memory_storage<Clock>::purge_published(duration older_than, std::size_t count) {
    std::lock_guard const lock{state_->mutex};
    auto const before = state_->clock.wall() - older_than;
    std::size_t done = 0;
    for (auto next = state_->published.begin(); next != state_->published.end() && done < count;) {
        if (next->second.ended_at >= before) {
            ++next;
            continue;
        }
        state_->chosen_ids.erase(next->first);
        next = state_->published.erase(next);
        ++done;
    }
    return done;
}

template <clock Clock>
std::size_t basic_memory_storage<Clock>::purge_dead(duration older_than, std::size_t count) {
    std::lock_guard const lock{state_->mutex};
    auto const before = state_->clock.wall() - older_than;
    std::size_t done = 0;
    for (auto next = state_->dead.begin(); next != state_->dead.end() && done < count;) {
        if (next->second.ended_at >= before) {
            ++next;
            continue;
        }
        ++state_->all[static_cast<std::size_t>(next->second.head.partition)].version;
        state_->chosen_ids.erase(next->first);
        next = state_->dead.erase(next);
        ++done;
    }
    return done;
}

template <clock Clock>
storage_statistics basic_memory_storage<Clock>::statistics() const {
    std::lock_guard const lock{state_->mutex};
    storage_statistics figures;
    auto const now = state_->clock.now();
    auto const wall = state_->clock.wall();
    for (auto const& p : state_->all) {
        figures.backlog += static_cast<std::int64_t>(p.ready.size() + p.scheduled.size());
        figures.scheduled += static_cast<std::int64_t>(p.scheduled.size());
        for (auto const& [key, messages] : p.retrying) {
            figures.retrying += static_cast<std::int64_t>(messages.size());
        }
        if (!p.ready.empty()) {
            figures.oldest_age =
                std::max(figures.oldest_age, duration{wall - p.ready.begin()->second.created_at});
        }
        if (p.owner && p.lease_until > now) ++figures.partitions_held;
    }
    figures.backlog += figures.retrying;
    figures.dead = static_cast<std::int64_t>(state_->dead.size());
    return figures;
}

}  // namespace outbox
