// SPDX-License-Identifier: MIT
//
// A storage with a script: hooks before and after each call of a worker, which may throw, block or
// move the clock; and a count of the calls. For tests that say when exactly something fails.
//
//     outbox::testing::scripted_storage storage{outbox::memory_storage{clock}};
//     storage.fail_next("exchange", outbox::errc::outcome_unknown, true);
//
// It may be told from any thread. Copies share the script.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "outbox/concepts.hpp"

namespace outbox::testing {

template <outbox::storage Inner>
class scripted_storage {
    struct shared_state {
        std::mutex mutex{};
        std::function<void(std::string_view)> before{};
        std::function<void(std::string_view)> after{};
        std::map<std::string, int, std::less<>> calls{};
        int in_vain{0};

        void call(std::string_view verb) {
            std::function<void(std::string_view)> hook;
            {
                std::lock_guard const lock{mutex};
                ++calls[std::string{verb}];
                hook = before;
            }
            if (hook) hook(verb);
        }
        bool looks_in_vain() {
            std::lock_guard const lock{mutex};
            return in_vain > 0 && in_vain-- > 0;
        }
        void answer(std::string_view verb) {
            std::function<void(std::string_view)> hook;
            {
                std::lock_guard const lock{mutex};
                hook = after;
            }
            if (hook) hook(verb);
        }
    };

public:
    using transaction = typename Inner::transaction;

    class session {
    public:
        session(std::shared_ptr<shared_state> script, typename Inner::session&& inner)
            : script_{std::move(script)}, inner_{std::move(inner)} {}

        outbox::acquired acquire(outbox::acquire_request const& request) {
            script_->call("acquire");
            auto got = inner_.acquire(request);
            script_->answer("acquire");
            return got;
        }
        outbox::round_reply exchange(outbox::round_request const& request) {
            script_->call("exchange");
            auto const looks = !request.read.empty() && request.records > 0;
            bool const in_vain = looks && script_->looks_in_vain();
            auto reply = inner_.exchange(in_vain ? without_reading(request) : request);
            if (in_vain) reply.more = true;
            script_->answer("exchange");
            return reply;
        }
        void release(std::span<outbox::ending const> endings) {
            script_->call("release");
            inner_.release(endings);
            script_->answer("release");
        }
        [[nodiscard]] int descriptor() const {
            return inner_.descriptor();
        }

    private:
        static outbox::round_request without_reading(outbox::round_request request) {
            request.records = 0;
            return request;
        }

        std::shared_ptr<shared_state> script_;
        typename Inner::session inner_;
    };

    explicit scripted_storage(Inner inner) : inner_{std::move(inner)} {}

    /// Called with `connect`, `acquire`, `exchange` or `release`; empty: nothing.
    void before(std::function<void(std::string_view)> const& hook) {
        std::lock_guard const lock{script_->mutex};
        script_->before = hook;
    }
    void after(std::function<void(std::string_view)> const& hook) {
        std::lock_guard const lock{script_->mutex};
        script_->after = hook;
    }
    /// The next call of this verb fails; once its effect took place, if `afterwards`.
    void fail_next(std::string_view verb, outbox::errc code, bool afterwards = false) {
        auto const once = [this, verb = std::string{verb}, code, afterwards](std::string_view now) {
            if (now != verb) return;
            afterwards ? after({}) : before({});
            throw outbox::error{code, "scripted"};
        };
        afterwards ? after(once) : before(once);
    }
    /// So many reads bring nothing, though there is more: a storage that searches for long.
    void look_in_vain(int reads) {
        std::lock_guard const lock{script_->mutex};
        script_->in_vain = reads;
    }
    [[nodiscard]] int calls(std::string_view verb) const {
        std::lock_guard const lock{script_->mutex};
        auto const found = script_->calls.find(verb);
        return found == script_->calls.end() ? 0 : found->second;
    }
    /// No copy of it is left, so nobody calls it any more.
    [[nodiscard]] bool is_last_copy() const {
        return script_.use_count() == 1;
    }
    [[nodiscard]] int calls() const {
        std::lock_guard const lock{script_->mutex};
        int all = 0;
        for (auto const& [verb, count] : script_->calls) all += count;
        return all;
    }

    [[nodiscard]] session connect(outbox::message_id const& worker, outbox::duration limit) {
        script_->call("connect");
        return {script_, inner_.connect(worker, limit)};
    }
    void begin(transaction on) {
        inner_.begin(on);
    }
    void commit(transaction on) {
        inner_.commit(on);
    }
    void rollback(transaction on) noexcept {
        inner_.rollback(on);
    }
    void append(transaction on, std::span<outbox::draft const> drafts) {
        inner_.append(on, drafts);
    }
    [[nodiscard]] std::string_view name() const {
        return inner_.name();
    }
    [[nodiscard]] std::vector<outbox::dead_letter> dead_letters(
        outbox::dead_letter_filter const& filter, std::optional<outbox::message_id> after,
        std::size_t count) const {
        return inner_.dead_letters(filter, after, count);
    }
    std::size_t requeue(outbox::dead_letter_filter const& filter, std::size_t count) {
        return inner_.requeue(filter, count);
    }
    std::size_t discard(outbox::dead_letter_filter const& filter, std::size_t count) {
        return inner_.discard(filter, count);
    }
    std::vector<outbox::message_id> replay(outbox::time_range range,
                                           std::optional<outbox::message_id> after,
                                           std::size_t count) {
        return inner_.replay(range, after, count);
    }
    std::size_t purge_published(outbox::duration older_than, std::size_t count) {
        script_->call("purge");
        return inner_.purge_published(older_than, count);
    }
    std::size_t purge_dead(outbox::duration older_than, std::size_t count) {
        return inner_.purge_dead(older_than, count);
    }
    [[nodiscard]] outbox::storage_statistics statistics() const {
        return inner_.statistics();
    }

private:
    std::shared_ptr<shared_state> script_{std::make_shared<shared_state>()};
    Inner inner_;
};

}  // namespace outbox::testing
