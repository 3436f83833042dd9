// SPDX-License-Identifier: MIT
//
// Storage and broker of the simulation: thin wraps that fail as servers and networks do, and tell
// the world what really happened.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "outbox/concepts.hpp"
#include "support/simulation/world.hpp"

namespace simulation {

/// The memory storage as one worker sees it over a bad connection.
class storage {
public:
    using transaction = outbox::memory_storage::transaction;

    class session {
        using in_storage = std::pair<partition_number, outbox::sequence_number>;

        template <class Effect>
        auto call(Effect&& effect) {
            maybe_stall();
            if (of_->random.in_thousand(of_->often.kills)) of_->kill(life_, "killed at some call");
            fail_if(of_->is_dead(life_), outbox::errc::unavailable, "");
            fail_if(of_->now_down == outage::storage, outbox::errc::unavailable, "storage down");
            fail_if(of_->random.in_thousand(of_->often.contention), outbox::errc::contention,
                    "contention");
            fail_if(of_->random.in_thousand(of_->often.fails_before), outbox::errc::unavailable,
                    "failed before the effect");
            auto result = effect();
            if (of_->random.in_thousand(of_->often.kills)) of_->kill(life_, "killed at some call");
            maybe_stall();
            fail_if(of_->is_dead(life_), outbox::errc::unavailable, "");
            fail_if(of_->random.in_thousand(of_->often.fails_after), outbox::errc::outcome_unknown,
                    "failed after the effect");
            return result;
        }

    public:
        session(world& of, int life, outbox::memory_storage::session&& inner)
            : of_{&of}, life_{life}, inner_{std::move(inner)} {}

        outbox::acquired acquire(outbox::acquire_request const& request) {
            return call([&] {
                auto got = inner_.acquire(request);
                for (auto const& one : got.tenures) begin(one, request.lease);
                return got;
            });
        }
        outbox::round_reply exchange(outbox::round_request const& request) {
            return call([&] {
                auto reply = inner_.exchange(request);
                apply(request, reply);
                return reply;
            });
        }
        void release(std::span<outbox::ending const> endings) {
            call([&] {
                inner_.release(endings);
                for (auto const& one : endings) {
                    auto& owned = of_->leases[one.partition];
                    if (owned.life == life_) owned.until = {};
                    forget(one.partition);
                }
                return 0;
            });
        }
        [[nodiscard]] int descriptor() const {
            return -1;
        }

    private:
        void fail_if(bool fails, outbox::errc code, char const* what) {
            if (!fails) return;
            if (*what != 0) ++of_->hits[what];
            if (code != outbox::errc::contention) of_->storage_failed(life_);
            throw outbox::error{code, what};
        }
        void maybe_stall() {
            of_->advance(of_->random.up_to(std::chrono::microseconds{300}));
            if (!of_->random.in_thousand(of_->often.stalls)) return;
            of_->stall(life_, of_->random.up_to(2 * duration{of_->settings.lease_duration}));
        }
        void begin(outbox::tenure const& got, duration lasts) {
            auto& owned = of_->leases[got.partition];
            if (owned.life != life_) {
                of_->require(owned.until <= of_->clock.now(), "G3: taken from a living owner");
                ++owned.takeovers;
                if (owned.until != monotonic_time{}) ++of_->hits["unclean take-over"];
            }
            of_->require(got.epoch > owned.epoch, "G3: an epoch did not rise");
            owned.life = life_;
            owned.epoch = got.epoch;
            owned.until = of_->clock.now() + lasts;
            if (!got.accused) return;
            ++of_->hits["accused"];
            in_hand_[{got.partition, got.accused->sequence}] = got.accused->id;
        }
        void apply(outbox::round_request const& request, outbox::round_reply const& reply) {
            auto const lost = [&](partition_number partition) {
                return std::ranges::find(reply.lost, partition) != reply.lost.end();
            };
            for (auto const partition : reply.lost) {
                ++of_->hits["fenced"];
                forget(partition);
            }
            for (auto const& one : request.settlements) {
                if (lost(one.partition)) continue;
                auto const found = in_hand_.find({one.partition, one.sequence});
                of_->require(found != in_hand_.end(), "settled what it had not read");
                if (found == in_hand_.end()) continue;
                of_->settled(one, found->second);
                in_hand_.erase(found);
            }
            for (auto const& one : request.renewals) {
                if (lost(one.partition)) continue;
                of_->leases[one.partition].until = of_->clock.now() + request.lease;
            }
            for (auto const& one : reply.read.records) {
                auto const& known = of_->messages.at(one.id);
                of_->require(known.topic == one.topic && known.key == one.key &&
                                 known.payload == one.payload,
                             "G13: a message was altered", known);
                of_->require(
                    in_hand_.emplace(in_storage{one.partition, one.sequence}, one.id).second,
                    "read what was in hand", known);
            }
        }
        void forget(partition_number partition) {
            std::erase_if(in_hand_,
                          [&](auto const& entry) { return entry.first.first == partition; });
        }

        world* of_;
        int life_;
        outbox::memory_storage::session inner_;
        std::map<in_storage, message_id> in_hand_{};
    };

    storage(world& of, int life) : of_{&of}, life_{life} {}

    void begin(transaction on) {
        of_->storage.begin(on);
    }
    void commit(transaction on) {
        of_->storage.commit(on);
    }
    void rollback(transaction on) noexcept {
        of_->storage.rollback(on);
    }
    void append(transaction on, std::span<outbox::draft const> drafts) {
        of_->storage.append(on, drafts);
    }
    session connect(message_id const& worker, duration limit) {
        if (of_->is_dead(life_) || of_->now_down == outage::storage) {
            throw outbox::error{outbox::errc::unavailable, "storage down"};
        }
        return {*of_, life_, of_->storage.connect(worker, limit)};
    }
    [[nodiscard]] std::string_view name() const {
        return "simulated";
    }
    [[nodiscard]] std::vector<outbox::dead_letter> dead_letters(
        outbox::dead_letter_filter const& filter, std::optional<message_id> after,
        std::size_t count) const {
        return of_->storage.dead_letters(filter, after, count);
    }
    std::size_t requeue(outbox::dead_letter_filter const& filter, std::size_t count) {
        return of_->storage.requeue(filter, count);
    }
    std::size_t discard(outbox::dead_letter_filter const& filter, std::size_t count) {
        return of_->storage.discard(filter, count);
    }
    std::vector<message_id> replay(outbox::time_range range, std::optional<message_id> after,
                                   std::size_t count) {
        return of_->storage.replay(range, after, count);
    }
    std::size_t purge_published(duration older_than, std::size_t count) {
        return of_->storage.purge_published(older_than, count);
    }
    std::size_t purge_dead(duration older_than, std::size_t count) {
        return of_->storage.purge_dead(older_than, count);
    }
    [[nodiscard]] outbox::storage_statistics statistics() const {
        return of_->storage.statistics();
    }

private:
    world* of_;
    int life_;
};

/// A broker behind a network: copies land later, receipts come later, or never, or twice.
class broker {
    /// One connection. Copies on their way may land after it broke.
    struct connection {
        world* of{nullptr};
        int life{0};
        std::uint64_t number{0};
        bool broken{false};
        monotonic_time last_landing{};
        std::vector<outbox::receipt> arrived{};
        std::map<outbox::attempt_token, message_id> flying{};
        outbox::wakeup* signal{nullptr};

        void close() {
            broken = true;
            for (auto const& [token, id] : flying) {
                bool const answered =
                    std::ranges::find(arrived, token, &outbox::receipt::token) != arrived.end();
                if (answered) continue;
                of->answered(id, token, life, end_of_sending::doubtful);
                of->doubted(id);
            }
        }
    };

public:
    class channel {
    public:
        explicit channel(std::shared_ptr<connection> on) : on_{std::move(on)} {}
        channel(channel&&) noexcept = default;
        channel& operator=(channel&&) noexcept = default;
        channel(channel const&) = delete;
        channel& operator=(channel const&) = delete;
        ~channel() {
            if (!on_) return;
            on_->arrived.clear();
            on_->close();
        }

        void send(std::span<outbox::dispatch const> messages) {
            for (auto const& one : messages) {
                if (!usable() || on_->of->is_dead(on_->life)) return;
                send_one(one);
            }
        }
        void collect(std::vector<outbox::receipt>& arrived) {
            for (auto& one : std::exchange(on_->arrived, {})) {
                if (auto const found = on_->flying.find(one.token); found != on_->flying.end()) {
                    note(one, found->second);
                    on_->flying.erase(found);
                }
                arrived.push_back(std::move(one));
            }
        }
        [[nodiscard]] bool usable() const {
            return !on_->broken && on_->of->now_down != outage::broker;
        }

    private:
        void note(outbox::receipt const& one, message_id const& id) {
            using outbox::outcome;
            auto& of = *on_->of;
            auto end = end_of_sending::failed;
            if (one.what == outcome::accepted) end = end_of_sending::accepted;
            if (one.what == outcome::unknown) end = end_of_sending::doubtful;
            of.answered(id, one.token, on_->life, end);
            if (one.what == outcome::accepted) {
                ++of.acceptances;
            } else if (one.what == outcome::rejected || one.what == outcome::refused) {
                ++of.messages.at(id).failures;
            } else if (one.what != outcome::unavailable) {
                of.doubted(id);
            }
        }
        void send_one(outbox::dispatch const& one);
        void answer(outbox::attempt_token token, monotonic_time at, outbox::outcome what,
                    std::string const& reason);

        std::shared_ptr<connection> on_;
    };

    broker(world& of, int life) : of_{&of}, life_{life} {}

    [[nodiscard]] static std::optional<outbox::problem> check_topic(std::string_view /*topic*/) {
        return std::nullopt;
    }
    [[nodiscard]] static std::optional<outbox::problem> check_header(std::string_view /*name*/,
                                                                     std::string_view /*value*/) {
        return std::nullopt;
    }
    [[nodiscard]] channel connect(outbox::channel_setup const& setup) {
        if (of_->is_dead(life_) || of_->now_down == outage::broker) {
            throw outbox::error{outbox::errc::unavailable, "broker down"};
        }
        static_cast<void>(setup);
        auto made = std::make_shared<connection>();
        made->of = of_;
        made->life = life_;
        made->signal = &setup.signal;
        return channel{std::move(made)};
    }

private:
    world* of_;
    int life_;
};

inline void broker::channel::answer(outbox::attempt_token token, monotonic_time at,
                                    outbox::outcome what, std::string const& reason) {
    std::weak_ptr<connection> const weak = on_;
    on_->of->at(at, [weak, token, what, reason] {
        auto const on = weak.lock();
        if (!on || on->broken) return;
        on->arrived.push_back({token, what, reason});
        if (!on->of->is_dead(on->life)) on->of->notify(*on->signal);
    });
}

inline void broker::channel::send_one(outbox::dispatch const& one) {
    using outbox::outcome;
    auto& of = *on_->of;
    auto& random = of.random;
    auto const id = one.message->id;
    auto& message = of.messages.at(id);
    of.sent(id, one.message->partition,
            {.life = on_->life, .token = one.token, .at = of.clock.now()});
    on_->flying[one.token] = id;
    if (message.wrong == poison::kills) return of.kill(on_->life, "killed by a message");
    if (message.wrong == poison::breaks_channel) {
        ++of.hits["a message broke its channel"];
        return on_->close();
    }
    auto const far = duration{of.settings.effective_publish_timeout()};
    auto landing = of.clock.now() + random.up_to(std::chrono::milliseconds{3});
    if (random.in_thousand(of.often.slow)) landing += random.up_to(2 * far);
    landing = on_->last_landing = std::max(landing, on_->last_landing);
    auto const answered = landing + random.up_to(std::chrono::milliseconds{3});

    if (answered - of.clock.now() >= far) of.doubted(id);

    auto const fails = [&](outcome what, char const* reason) {
        ++of.hits[reason];
        answer(one.token, answered, what, reason);
    };
    if (of.now_down == outage::swallowing) return of.doubted(id);
    if (of.now_down == outage::unavailable) return fails(outcome::unavailable, "outage");
    if (of.now_down == outage::unroutable) return fails(outcome::unroutable, "outage");
    switch (message.wrong) {
        case poison::flaky:
            if (random.in_thousand(500)) return fails(outcome::rejected, "flaky");
            break;
        case poison::rejected: return fails(outcome::rejected, "rejected");
        case poison::refused: return fails(outcome::refused, "refused");
        case poison::unroutable: return fails(outcome::unroutable, "unroutable");
        default: break;
    }
    if (random.in_thousand(of.often.breaks)) {
        ++of.hits["a channel broke"];
        on_->close();
        if (random.in_thousand(500)) return;
    }
    if (on_->broken || random.in_thousand(of.often.doubtful)) {
        if (!on_->broken) fails(outcome::unknown, "in doubt");
        if (random.in_thousand(500)) return;
        return of.at(landing, [&of, id] { of.landed(id); });
    }
    of.at(landing, [&of, id, on = on_] {
        if (!on->broken || of.random.in_thousand(500)) of.landed(id);
    });
    if (random.in_thousand(of.often.lost)) {
        ++of.hits["a receipt was lost"];
        return of.doubted(id);
    }
    answer(one.token, answered, outcome::accepted, {});
    if (random.in_thousand(of.often.twice)) answer(one.token, answered + far, outcome::unknown, "");
}

}  // namespace simulation
