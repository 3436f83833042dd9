// SPDX-License-Identifier: MIT
//
// The broker without a server: it remembers what it was given, and fails on request. The double for
// unit tests, and the model to copy for a new broker.
//
//     outbox::memory_broker broker;
//     broker.fail_next(2, outbox::outcome::unavailable, "down for maintenance");
//     …
//     CHECK(broker.delivered().at(0).payload == "{}");
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "outbox/concepts.hpp"
#include "outbox/headers.hpp"

namespace outbox {

/// A copy that the memory broker took.
struct delivered_message {
    std::string topic{};
    std::string payload{};
    std::string headers{};  ///< as stored, see headers.hpp
    message_id id{};
    std::int32_t generation{0};
    std::string key{};  ///< for the test's eyes: a real broker does not see it
};

/// Copies share one set of messages, so a test may keep one and give another to the outbox.
/// Thread-safe.
class memory_broker {
    struct state;

public:
    /// What a script says of one message: nothing lets it pass.
    struct failure {
        outcome what{outcome::unavailable};
        std::string reason{"scripted"};
        bool delivered{false};  ///< it arrived all the same; only the receipt tells otherwise
    };
    using script = std::function<std::optional<failure>(record const&)>;

    class channel {
    public:
        void send(std::span<dispatch const> messages) {
            std::lock_guard const lock{state_->mutex};
            for (auto const& one : messages) {
                if (!usable_now()) return;
                receipts_.push_back(state_->take(one));
                if (state_->silent) receipts_.pop_back();
            }
        }
        void collect(std::vector<receipt>& arrived) {
            std::lock_guard const lock{state_->mutex};
            std::move(receipts_.begin(), receipts_.end(), std::back_inserter(arrived));
            receipts_.clear();
        }
        [[nodiscard]] bool usable() const {
            std::lock_guard const lock{state_->mutex};
            return usable_now();
        }

    private:
        friend class memory_broker;
        explicit channel(std::shared_ptr<state> shared)
            : state_{std::move(shared)}, incarnation_{state_->incarnation} {}
        [[nodiscard]] bool usable_now() const {
            return state_->up && incarnation_ == state_->incarnation;
        }

        std::shared_ptr<state> state_;
        std::vector<receipt> receipts_{};
        std::uint64_t incarnation_;
    };

    [[nodiscard]] static std::optional<problem> check_topic(std::string_view /*topic*/) {
        return std::nullopt;
    }
    [[nodiscard]] static std::optional<problem> check_header(std::string_view /*name*/,
                                                             std::string_view /*value*/) {
        return std::nullopt;
    }
    [[nodiscard]] channel connect(channel_setup const& /*setup*/) {
        std::lock_guard const lock{state_->mutex};
        if (!state_->up) throw error{errc::unavailable, "the memory broker was told to be down"};
        return channel{state_};
    }

    /// All copies taken so far, in order.
    [[nodiscard]] std::vector<delivered_message> delivered() const {
        std::lock_guard const lock{state_->mutex};
        return state_->delivered;
    }
    void clear() {
        std::lock_guard const lock{state_->mutex};
        state_->delivered.clear();
    }
    /// Counts instead of keeping copies: for measuring, and for tests of a million messages.
    void keep_copies(bool keep) {
        std::lock_guard const lock{state_->mutex};
        state_->keep = keep;
    }
    [[nodiscard]] std::uint64_t count() const {
        std::lock_guard const lock{state_->mutex};
        return state_->count;
    }
    /// The next `count` messages meet this failure.
    void fail_next(std::size_t count, outcome what, std::string const& reason = "scripted",
                   bool delivered = false) {
        std::lock_guard const lock{state_->mutex};
        for (; count > 0; --count) state_->failures.push_back({what, reason, delivered});
    }
    /// Asked for each message before `fail_next`; an empty one lets everything pass.
    void answer_with(script decide) {
        std::lock_guard const lock{state_->mutex};
        state_->decide = std::move(decide);
    }
    /// Takes messages and never answers.
    void be_silent(bool silent) {
        std::lock_guard const lock{state_->mutex};
        state_->silent = silent;
    }
    /// Breaks every channel and refuses new ones.
    void go_down() {
        std::lock_guard const lock{state_->mutex};
        state_->up = false;
        ++state_->incarnation;
    }
    void come_up() {
        std::lock_guard const lock{state_->mutex};
        state_->up = true;
    }

private:
    struct state {
        mutable std::mutex mutex{};
        std::vector<delivered_message> delivered{};
        std::deque<failure> failures{};
        script decide{};
        std::uint64_t incarnation{0};
        std::uint64_t count{0};
        bool keep{true};
        bool silent{false};
        bool up{true};

        receipt take(dispatch const& one) {
            auto const& message = *one.message;
            std::optional<failure> failed;
            if (decide) failed = decide(message);
            if (!failed && !failures.empty()) {
                failed = std::move(failures.front());
                failures.pop_front();
            }
            if (!failed || failed->delivered) {
                ++count;
                if (keep) {
                    delivered.push_back({.topic = std::string{message.topic},
                                         .payload = std::string{message.payload},
                                         .headers = std::string{message.headers},
                                         .id = message.id,
                                         .generation = message.generation,
                                         .key = std::string{message.key}});
                }
            }
            if (failed) return {one.token, failed->what, std::move(failed->reason)};
            return {one.token, outcome::accepted, {}};
        }
    };

    std::shared_ptr<state> state_{std::make_shared<state>()};
};

static_assert(broker<memory_broker>);

}  // namespace outbox
