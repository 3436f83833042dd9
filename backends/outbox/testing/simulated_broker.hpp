// SPDX-License-Identifier: MIT
//
// A broker behind a network: copies land later, receipts come later, or never, or twice; what was
// on its way when a connection broke may still land.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "outbox/concepts.hpp"
#include "outbox/testing/world.hpp"

namespace outbox::testing {

class simulated_broker {
    struct connection {
        world& of;
        int life{0};
        wakeup* signal{nullptr};
        bool broken{false};
        monotonic_time last_landing{};
        std::vector<receipt> arrived{};
        std::map<attempt_token, message_id> flying{};

        void close() {
            if (std::exchange(broken, true)) return;
            for (auto const& [token, id] : flying) {
                bool const answered =
                    std::ranges::find(arrived, token, &receipt::token) != arrived.end();
                if (answered) continue;
                of.book.answered(id, token, life, end_of_sending::doubtful);
                of.book.doubted(id);
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

        void send(std::span<dispatch const> messages) {
            for (auto const& one : messages) {
                on_->of.take_time(std::chrono::microseconds{20});
                if (!usable() || on_->of.book.is_dead(on_->life)) return;
                send_one(one);
            }
        }
        void collect(std::vector<receipt>& arrived) {
            ++on_->of.calls;
            for (auto& one : std::exchange(on_->arrived, {})) {
                if (auto const found = on_->flying.find(one.token); found != on_->flying.end()) {
                    note(one, found->second);
                    on_->flying.erase(found);
                }
                arrived.push_back(std::move(one));
            }
        }
        [[nodiscard]] static bool can_chain(std::string_view /*topic*/, std::string_view /*next*/) {
            return true;
        }
        [[nodiscard]] bool usable() const {
            return !on_->broken && on_->of.now_down() != outage::broker;
        }

    private:
        void note(receipt const& one, message_id const& id);
        void send_one(dispatch const& one);
        void answer(attempt_token token, monotonic_time at, outcome what,
                    std::string const& reason) {
            answer(on_, token, at, what, reason);
        }
        static void answer(std::shared_ptr<connection> const& to, attempt_token token,
                           monotonic_time at, outcome what, std::string const& reason);

        std::shared_ptr<connection> on_;
    };

    simulated_broker(world& of, int life) : of_{&of}, life_{life} {}

    [[nodiscard]] static std::optional<problem> check_topic(std::string_view topic) {
        if (topic.find(' ') == std::string_view::npos) return std::nullopt;
        return problem{errc::invalid_topic, "topic has a blank", {}};
    }
    [[nodiscard]] static std::optional<problem> check_header(std::string_view /*name*/,
                                                             std::string_view /*value*/) {
        return std::nullopt;
    }
    [[nodiscard]] channel connect(channel_setup const& setup) {
        of_->take_time(std::chrono::microseconds{500});
        if (of_->book.is_dead(life_) || of_->now_down() == outage::broker) {
            throw error{errc::unavailable, "broker down"};
        }
        return channel{std::make_shared<connection>(connection{*of_, life_, &setup.signal})};
    }

private:
    world* of_;
    int life_;
};

static_assert(outbox::broker<simulated_broker>);

inline void simulated_broker::channel::note(receipt const& one, message_id const& id) {
    auto& of = on_->of;
    auto end = end_of_sending::failed;
    if (one.what == outcome::accepted) end = end_of_sending::accepted;
    if (one.what == outcome::unknown) end = end_of_sending::doubtful;
    of.book.answered(id, one.token, on_->life, end);
    if (one.what == outcome::accepted) {
        ++of.book.acceptances;
    } else if (one.what == outcome::rejected || one.what == outcome::refused) {
        ++of.book.messages.at(id).failures;
    } else if (one.what != outcome::unavailable) {
        of.book.doubted(id);
    }
}

inline void simulated_broker::channel::answer(std::shared_ptr<connection> const& to,
                                              attempt_token token, monotonic_time at, outcome what,
                                              std::string const& reason) {
    std::weak_ptr<connection> const weak = to;
    to->of.time.at(at, [weak, token, what, reason] {
        auto const on = weak.lock();
        if (!on || on->broken) return;
        on->arrived.push_back({token, what, reason});
        if (!on->of.book.is_dead(on->life)) on->of.notify(*on->signal);
    });
}

inline void simulated_broker::channel::send_one(dispatch const& one) {
    auto& of = on_->of;
    auto const id = one.message->id;
    auto const strikes = of.strike(occasion::sending, on_->life);
    auto sizes = of.fates.sizes();
    of.book.sent(id, one.message->partition,
                 {.life = on_->life, .token = one.token, .at = of.time.now()});
    auto const known = of.book.messages.find(id);
    if (known == of.book.messages.end()) return;
    auto& message = known->second;
    on_->flying[one.token] = id;
    if (message.wrong == poison::kills) return of.book.kill(on_->life);
    if (message.wrong == poison::breaks_channel) {
        of.log.mark("a message broke its channel");
        on_->close();
        return of.book.is_at_fault(message);
    }

    auto const far = duration{of.book.settings.effective_publish_timeout()};
    auto landing = of.time.now() + of.pace.up_to(std::chrono::milliseconds{3});
    if (strikes == fault::lands_late) landing += sizes.up_to(3 * far);
    landing = on_->last_landing = std::max(landing, on_->last_landing);
    auto const answered = landing + of.pace.up_to(std::chrono::milliseconds{3});
    // Its worker measures from a moment before this one.
    constexpr auto slack = std::chrono::milliseconds{1};
    if (answered - of.time.now() + slack >= far) of.book.doubted(id);
    std::optional<message_id> behind;
    if (one.behind != nullptr) behind = one.behind->id;
    if (behind) of.log.mark("a message was sent right behind another one");
    auto const generation = one.message->generation;
    auto const lands = [&] {
        of.time.at(landing, [&of, id, generation, behind] {
            if (of.store(id, generation, behind)) of.book.landed(id);
        });
    };
    auto const fails = [&](outcome what, char const* reason) {
        of.log.mark(reason);
        answer(one.token, answered, what, reason);
    };

    switch (of.now_down()) {
        case outage::swallowing: return of.book.doubted(id);
        case outage::unready: return fails(outcome::unavailable, "not ready");
        case outage::routeless: return fails(outcome::unroutable, "no route");
        default: break;
    }
    switch (message.wrong) {
        case poison::flaky:
            if (sizes.in_thousand(500)) return fails(outcome::rejected, "a flaky message failed");
            break;
        case poison::rejected: return fails(outcome::rejected, "a message was rejected");
        case poison::refused: return fails(outcome::refused, "a message was refused");
        case poison::unroutable: return fails(outcome::unroutable, "a message had no route");
        default: break;
    }
    switch (strikes) {
        case fault::rejected: return fails(outcome::rejected, "rejected for once");
        case fault::killed_sending:
            if (sizes.in_thousand(500)) lands();
            return of.book.kill(on_->life);
        case fault::channel_broke: {
            bool const on_its_way = sizes.in_thousand(500);
            on_->close();
            if (on_its_way) lands();
            return;
        }
        case fault::doubtful_landed: lands(); return fails(outcome::unknown, "in doubt");
        case fault::doubtful_gone: return fails(outcome::unknown, "in doubt");
        default: break;
    }
    bool const is_lost = strikes == fault::receipt_lost;
    of.time.at(landing, [&of, id, generation, behind, on = on_, dies = sizes.in_thousand(500),
                         is_lost, token = one.token, answered] {
        bool const arrives = !on->broken || !dies;
        bool const fits = arrives && of.store(id, generation, behind);
        if (fits) of.book.landed(id);
        if (!arrives || !behind || is_lost) return;
        if (!fits) of.log.mark("a message was refused, since another one was missing");
        answer(on, token, answered, fits ? outcome::accepted : outcome::out_of_order,
               "another one was expected before");
    });
    if (is_lost) return of.book.doubted(id);
    if (!behind) answer(one.token, answered, outcome::accepted, {});
    if (strikes == fault::receipt_twice) {
        answer(one.token, answered + far, outcome::unknown, "a late second receipt");
    }
}

}  // namespace outbox::testing
