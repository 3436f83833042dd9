// SPDX-License-Identifier: MIT
//
// The worker's engine: one thread, one round at a time, nothing waits inside. A round sends what
// may be sent, lets the storage settle the last batch and read the next one while the broker works,
// and collects receipts. What is decided about a message is decided by `hand`, `judge` and
// `evidence`.
#pragma once

#include <algorithm>
#include <cstdint>
#include <exception>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "outbox/breaker.hpp"
#include "outbox/evidence.hpp"
#include "outbox/hand.hpp"
#include "outbox/memory_of_sends.hpp"
#include "outbox/pace.hpp"
#include "outbox/parts.hpp"
#include "outbox/polling.hpp"
#include "outbox/retry.hpp"
#include "outbox/round_summary.hpp"
#include "outbox/validation.hpp"

namespace outbox {

template <class Parts>
class relay {
public:
    relay(Parts& of, worker_line& line, message_id const& worker, std::uint64_t seed)
        : parts_{of},
          line_{line},
          worker_{worker},
          random_{seed},
          polling_{of.settings.poll_interval},
          storage_breaker_{of.settings.backoff_min, of.settings.probe_max},
          contention_{contention_min, contention_max},
          broker_breaker_{of.settings.backoff_min, of.settings.probe_max},
          chain_breaker_{chain_rest_min, chain_rest_max} {}

    /// Never throws: what went wrong is an event, and a wait.
    round_summary round() noexcept {
        done_ = {};
        guard([&] {
            auto const began = now();
            listen(began);
            connect_channel(began);
            collect();
            give_up_overdue();
            if (connect_session(began)) {
                acquire();
                publish();
                exchange();
                publish();
            }
            collect();
            end_watch_when_of_no_use();
            give_back();
            purge();
            report(began);
        });
        return done_;
    }

    /// Stores what is decided, and reads nothing: what a test's `step` does after its round. False
    /// where there was nothing to store.
    bool settle() noexcept {
        bool const any = session_ && !hand_.settlements().empty();
        if (any) guard([&] { exchange(false); });
        return any;
    }
    /// Takes no more work; rounds from now on bring what is in hand to its end and release.
    void finish() {
        stopping_ = true;
    }
    [[nodiscard]] bool finished() const {
        return stopping_ && tenures_.empty();
    }
    /// Gives back whatever it holds, in flight or not.
    void release_all() noexcept {
        for (auto& [partition, mine] : tenures_) mine.ending = true;
        try {
            release(true);
            tell_held();
            end_watch();
        } catch (...) {  // NOLINT: what could not be released is still held, and listed
        }
    }
    /// Partitions whose lease is this worker's, also those that a lost session left behind.
    [[nodiscard]] std::vector<partition_number> held() const {
        std::vector<partition_number> numbers;
        for (auto const& [partition, mine] : tenures_) numbers.push_back(partition);
        for (auto const& [partition, until] : left_behind_) {
            if (until > now()) numbers.push_back(partition);
        }
        return numbers;
    }
    [[nodiscard]] bool has_empty_hands() const {
        return hand_.empty();
    }
    /// To be called before a wait, after a round that did nothing: asks the storage to tell of what
    /// is committed elsewhere. True: look once more first.
    [[nodiscard]] bool watch() noexcept {
        bool again = false;
        guard([&] { again = begin_watch(now()); });
        return again;
    }
    /// When the next round is due, should nothing notify the line's signal before. Only after a
    /// round without progress.
    [[nodiscard]] monotonic_time wake_at();
    [[nodiscard]] int descriptor() const {
        return session_ && (watching_ || !watchful) ? session_->descriptor() : -1;
    }

private:
    using session_type = typename Parts::storage_type::session;
    using channel_type = typename Parts::broker_type::channel;
    using slot = hand::slot;
    static constexpr bool watchful = watchful_session<session_type>;

    /// In hand at the most, so that the broker has some while the database works.
    static constexpr std::int32_t batches_in_hand = 3;
    /// In hand at the most after the first death over a partition.
    static constexpr std::int32_t careful_window = 8;
    static constexpr std::size_t due_keys_a_round = 256;
    /// Of so many records that go alone, one has killed a worker before.
    static constexpr std::uint64_t neighbours_for_suspect = 8;
    static constexpr std::size_t error_bytes = 1'024;
    /// Between two looks for further partitions while there is work in hand.
    static constexpr duration seek_gap = std::chrono::milliseconds{100};
    /// A partition is held for so long at the least, or a tenth of a lease, whoever waits for it.
    static constexpr duration turn_max = std::chrono::milliseconds{100};
    /// Between two looks for partitions that others hold.
    static constexpr duration patience_min = std::chrono::milliseconds{2};
    /// With so many in flight, their receipts are awaited together, for no longer than this.
    static constexpr std::size_t patient_from = 32;
    static constexpr duration patience_for_receipts = std::chrono::milliseconds{2};
    static constexpr duration contention_min = std::chrono::milliseconds{2};
    static constexpr duration contention_max = std::chrono::milliseconds{100};
    /// Of one key in a row, while others wait.
    static constexpr std::size_t chain_turn = 64;
    /// Where others write to the same stream, chains break; for so long each key goes one by one.
    static constexpr duration chain_rest_min = std::chrono::milliseconds{10};
    static constexpr duration chain_rest_max = std::chrono::seconds{10};
    /// So many in a row were taken: whoever wrote in between is done.
    static constexpr std::size_t links_to_trust = 1'000;
    static constexpr std::size_t purge_batch = 5'000;
    static constexpr duration purge_interval = std::chrono::minutes{1};
    static constexpr duration purge_gap = std::chrono::milliseconds{50};

    struct holding {
        caution care{};         ///< as it shall be
        caution stored_care{};  ///< as it stands in the storage
        monotonic_time deadline{};
        monotonic_time renew_at{};
        monotonic_time acquired_at{};
        monotonic_time last_work{};
        bool wanted{false};
        bool ending{false};
    };
    /// What one exchange asks for; owns what the request only views.
    struct round_plan {
        std::vector<partition_number> read{};
        std::vector<std::pair<partition_number, std::string>> due_names{};
        std::vector<renewal> renewals{};
        std::int32_t room{0};
        bool alone{false};
        bool settle{false};

        [[nodiscard]] bool empty() const {
            return !settle && read.empty() && due_names.empty() && renewals.empty();
        }
    };
    /// What all tenures together allow.
    struct allowance {
        monotonic_time until{monotonic_time::max()};  ///< the first lease ends, for sending
        bool chains{true};
        bool careful{false};  ///< few in hand, since a worker died
        /// A worker died twice over what some partition holds ready.
        bool sought{false};
        /// One message at a time in the whole process, while what killed workers is sought.
        bool alone{false};
    };
    /// Thrown instead of a call by a worker that was given up on.
    struct given_up {};
    struct undecided {
        slot at{nullptr};
        attempt_token token{0};
        std::string reason{};
    };

    template <class Act>
    void guard(Act&& act) noexcept {
        try {
            act();
        } catch (given_up const&) {  // NOLINT: nobody waits for this worker any more
        } catch (std::exception const& unforeseen) {
            start_over(unforeseen.what());
        } catch (...) {
            start_over("something that is no std::exception was thrown");
        }
    }
    void start_over(char const* reason) noexcept;

    void listen(monotonic_time at);
    [[nodiscard]] bool begin_watch(monotonic_time at);
    bool hear(monotonic_time at);
    void end_watch();
    void end_watch_when_of_no_use();
    void look() {
        read_due_ = true;
        seek_due_ = true;
    }
    void connect_channel(monotonic_time at);
    [[nodiscard]] bool connect_session(monotonic_time at);
    void acquire();
    void begin(tenure& got, monotonic_time asked_at);
    void accuse(accused_record const& accused, partition_number partition);
    [[nodiscard]] allowance allowed() const;
    void publish();
    [[nodiscard]] std::size_t window(allowance const& by_tenures) const;
    void send(allowance const& by_tenures);
    [[nodiscard]] bool may_chain(allowance const& by_tenures, monotonic_time at) const;
    void chain(slot last, std::size_t window, monotonic_time at);
    void exchange(bool may_read = true);
    [[nodiscard]] round_plan plan(monotonic_time at, bool may_read);
    void plan_due_keys(round_plan& next, monotonic_time at);
    void plan_reading(round_plan& next);
    void apply(round_plan const& asked, round_reply& reply);
    void count_down(partition_number partition, holding& mine) const;
    void note_due_keys(round_plan const& asked, round_reply const& reply, monotonic_time at);
    void relax(holding& mine) const {
        mine.care = {.reach = most_in_hand()};
    }
    void collect();
    void broker_accepted(attempt_token token);
    void answer(receipt& from, std::optional<slot> at);
    void conclude(slot at, outcome what, std::string const& reason, bool others_pass);
    void break_chain(slot head);
    void accept(slot at);
    void decide(slot at, outcome what, std::string const& reason, bool others_pass);
    void decide_unroutable();
    void give_up_overdue();
    void send_again(slot at, std::string const& reason);
    void doubt(std::string const& reason);
    void break_channel(std::string const& reason);
    void broker_failed(errc code, std::string const& reason);
    void storage_answered();
    void storage_failed(errc code, std::string const& reason);
    void forfeit();
    void drop(partition_number partition);
    void lose(partition_number partition);
    void give_back();
    void release(bool all);
    void purge();
    void report(monotonic_time began);
    void tell_status(std::string const& error);
    void tell_held();
    template <class Make>
    void tell(Make&& make) {
        using event_type = std::invoke_result_t<Make>;
        if constexpr (std::invocable<decltype(parts_.observer)&, event_type const&>) {
            if (!line_.is_cut()) notify(parts_.observer, std::forward<Make>(make));
        }
    }

    // All calls to servers go through these.
    void require_not_given_up() const {
        if (line_.is_cut()) throw given_up{};
    }
    [[nodiscard]] session_type& session() {
        require_not_given_up();
        return *session_;
    }
    [[nodiscard]] channel_type& channel() {
        require_not_given_up();
        return *channel_;
    }
    [[nodiscard]] typename Parts::storage_type& storage() {
        require_not_given_up();
        return parts_.storage;
    }
    [[nodiscard]] typename Parts::broker_type& broker() {
        require_not_given_up();
        return parts_.broker;
    }

    [[nodiscard]] monotonic_time now() const {
        return parts_.clock.now();
    }
    [[nodiscard]] options const& settings() const {
        return parts_.settings;
    }
    [[nodiscard]] duration lease() const {
        return settings().lease_duration;
    }
    [[nodiscard]] duration least_turn() const {
        return std::min<duration>(lease() / 10, turn_max);
    }
    [[nodiscard]] duration publish_timeout() const {
        return settings().effective_publish_timeout();
    }
    [[nodiscard]] bool dead_letters_block() const {
        return settings().on_dead_letter == after_dead_letter::block;
    }
    [[nodiscard]] bool probing() const {
        return broker_breaker_.open();
    }
    [[nodiscard]] bool may_send(monotonic_time at) const {
        return channel_ && !stopping_ && broker_breaker_.may_try(at);
    }
    /// A probe takes one partition, and no further one while it holds that.
    [[nodiscard]] bool may_seek() const {
        return channel_ && !stopping_ && (!probing() || tenures_.empty());
    }
    [[nodiscard]] monotonic_time seek_at() const {
        return hand_.empty() ? courtesy_until_ : std::max(next_seek_, courtesy_until_);
    }
    [[nodiscard]] static bool is_suspect(holding const& mine) {
        return mine.stored_care.left > 0 && mine.stored_care.strikes > 1;
    }
    [[nodiscard]] std::int32_t capacity(allowance const& by_tenures) const {
        if (probing() || by_tenures.alone) return 1;
        return by_tenures.careful ? careful_window : most_in_hand();
    }
    [[nodiscard]] std::int32_t most_in_hand() const {
        return batches_in_hand * settings().batch_size;
    }

    Parts& parts_;
    worker_line& line_;
    message_id worker_;
    message_id_generator random_;
    polling polling_;
    announcements announcements_{};
    pace pace_{};
    breaker storage_breaker_;
    breaker contention_;
    breaker broker_breaker_;
    breaker chain_breaker_;
    std::optional<session_type> session_{};
    std::optional<channel_type> channel_{};
    hand hand_{};
    memory_of_sends earlier_{};
    evidence evidence_{};
    std::map<partition_number, holding> tenures_{};
    std::map<partition_number, monotonic_time> left_behind_{};
    std::vector<receipt> arrived_{};
    std::vector<undecided> undecided_{};
    std::vector<dispatch> batch_{};
    attempt_token latest_accepted_{0};
    attempt_token accepted_at_last_doubt_{0};
    attempt_token sent_alone_{0};  ///< it may be what breaks the connection
    attempt_token probe_{0};
    std::size_t links_in_a_row_{0};
    attempt_token last_sent_{0};    ///< on this channel
    std::int64_t highest_sent_{0};  ///< of all sequences
    std::int64_t sent_before_{0};   ///< up to here, what is read may have been sent already
    partition_number last_read_{-1};
    monotonic_time next_seek_{};
    monotonic_time courtesy_until_{};
    monotonic_time next_purge_{};
    bool read_due_{true};
    bool seek_due_{true};
    bool watching_{false};
    bool worked_{true};  ///< since it last asked to be told
    bool stopping_{false};
    bool suspects_due_{false};
    bool prompt_{false};  ///< the last receipts came soon
    round_summary done_{};
};

}  // namespace outbox

#include "outbox/relay.ipp"
#include "outbox/relay_chain.ipp"
#include "outbox/relay_storage.ipp"
#include "outbox/relay_watch.ipp"
