// SPDX-License-Identifier: MIT
//
// The outbox: a service writes its rows and its messages in one transaction, a worker publishes the
// messages afterwards. Its four policies are chosen at compile time, and a wrong one is refused
// with a sentence.
//
//     outbox::basic_outbox box{outbox::postgres_storage{"dbname=shop"},
//                              outbox::jetstream_broker{{.connection = {.url = "nats://…"}}}};
//     auto work = box.begin(sql);
//     sql << "insert into orders …";
//     box.create_message(work, "order.created", payload, {.key = order_id});
//     work.commit();
//     auto worker = box.start_worker();
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "outbox/concepts.hpp"
#include "outbox/delete_policy.hpp"
#include "outbox/drafting.hpp"
#include "outbox/observer.hpp"
#include "outbox/options.hpp"
#include "outbox/parts.hpp"
#include "outbox/unit_of_work.hpp"
#include "outbox/worker.hpp"

namespace outbox {

/// What `stats` tells: the storage's figures, and how the workers of this process are.
struct outbox_statistics {
    storage_statistics storage{};
    std::int32_t partitions_held_here{0};
    bool broker_down{false};
    bool storage_down{false};
    std::string last_error{};
};

/// Thread-safe: one object serves all request threads at once, each with its own transaction.
/// Everything that stores or asks throws `outbox::error`.
template <storage Storage, broker Broker, clock Clock = system_clock,
          delete_policy DeletePolicy = soft_delete, class Observer = silent>
class basic_outbox {
    using parts_type = parts<Storage, Broker, Clock, DeletePolicy, Observer>;

public:
    using transaction = typename Storage::transaction;
    using unit_of_work = outbox::unit_of_work<parts_type>;
    using worker = outbox::worker<parts_type>;

    /// Connects to nothing yet. Throws `invalid_option`. `seed` makes ids and waits repeatable; by
    /// default it is drawn from the system.
    explicit basic_outbox(Storage storage, Broker broker, options const& settings = {},
                          Clock clock = {}, DeletePolicy policy = {}, Observer observer = {},
                          std::optional<std::uint64_t> seed = {})
        : parts_{std::make_shared<parts_type>(std::move(storage), std::move(broker), settings,
                                              std::move(clock), std::move(policy),
                                              std::move(observer), seed ? *seed : drawn_seed())} {}

    /// Begins a transaction on the caller's session whose commit cannot lie and wakes the workers.
    [[nodiscard]] unit_of_work begin(transaction on) {
        return unit_of_work{parts_, on};
    }

    /// Stores a message with the transaction that is open on the caller's session: it exists if and
    /// only if that commits. Returns its id. Refuses what could not be delivered, naming field,
    /// reason and position; the transaction is then as it was.
    message_id create_message(transaction on, std::string_view topic, payload_view payload,
                              message_options const& more = {}) {
        auto const id = append_one(on, topic, payload, more);
        parts_->hint();
        return id;
    }
    message_id create_message(unit_of_work const& work, std::string_view topic,
                              payload_view payload, message_options const& more = {}) {
        return append_one(work.on(), topic, payload, more);
    }
    /// The same for many, in one statement where the storage can. Either all are stored or none.
    std::vector<message_id> create_messages(transaction on, std::span<message const> messages) {
        auto ids = append_all(on, messages);
        parts_->hint();
        return ids;
    }
    std::vector<message_id> create_messages(unit_of_work const& work,
                                            std::span<message const> messages) {
        return append_all(work.on(), messages);
    }

    /// A worker on a thread of its own, at work until it is stopped or dropped.
    [[nodiscard]] worker start_worker() {
        auto started = make_worker();
        started.start();
        return started;
    }
    /// A worker that does nothing by itself: `step` or `drain` it.
    [[nodiscard]] worker make_worker() {
        return worker{parts_, parts_->next_id()};
    }
    /// Tells the workers of this process that something was committed: for callers who commit by
    /// other means than a unit of work. Without it they find out within milliseconds.
    void notify_workers() {
        parts_->ring();
    }

    [[nodiscard]] outbox_statistics stats() {
        outbox_statistics all{.storage = parts_->storage.statistics()};
        parts_->for_each_line([&](worker_line& line) {
            auto const status = line.status();
            all.partitions_held_here += static_cast<std::int32_t>(status.partitions.size());
            all.broker_down = all.broker_down || status.broker_down;
            all.storage_down = all.storage_down || status.storage_down;
            if (!status.last_error.empty()) all.last_error = status.last_error;
        });
        return all;
    }

    /// Dead letters by id, at most `count`, those above `after`.
    [[nodiscard]] std::vector<dead_letter> dead_letters(dead_letter_filter const& filter = {},
                                                        std::optional<message_id> after = {},
                                                        std::size_t count = 100) {
        return parts_->storage.dead_letters(filter, after, count);
    }
    /// Sends at most `count` dead letters again, as new deliveries of the same message: same id,
    /// with attempts back at zero. Returns how many; as long as that is `count`, there may be more.
    std::size_t requeue(dead_letter_filter const& filter = {}, std::size_t count = 1'000) {
        auto const done = parts_->storage.requeue(filter, count);
        if (done > 0) parts_->ring();
        return done;
    }
    /// Deletes at most `count` dead letters, with their payloads. Returns how many.
    std::size_t discard(dead_letter_filter const& filter = {}, std::size_t count = 1'000) {
        auto const done = parts_->storage.discard(filter, count);
        if (done > 0) parts_->ring();
        return done;
    }
    /// Sends again, with the same ids, what was published in that time and is still kept: for a
    /// broker that lost what it had acknowledged. Returns how many.
    std::size_t replay(wall_time from, wall_time to, std::size_t batch = 1'000) {
        std::size_t done = 0;
        std::optional<message_id> after;
        while (true) {
            auto const ids = parts_->storage.replay({from, to}, after, batch);
            done += ids.size();
            if (!ids.empty()) parts_->ring();
            if (ids.size() < batch) return done;
            after = ids.back();
        }
    }
    /// Deletes at most `count` published messages older than that; workers do so by themselves, by
    /// the delete policy. Returns how many.
    std::size_t purge_published(duration older_than, std::size_t count = 1'000) {
        return parts_->storage.purge_published(older_than, count);
    }
    std::size_t purge_dead(duration older_than, std::size_t count = 1'000) {
        return parts_->storage.purge_dead(older_than, count);
    }

    [[nodiscard]] Storage& storage() {
        return parts_->storage;
    }
    [[nodiscard]] Broker& broker() {
        return parts_->broker;
    }

private:
    message_id append_one(transaction on, std::string_view topic, payload_view payload,
                          message_options const& more) {
        drafting<Broker> drafts{parts_->settings, 1};
        drafts.add(topic, payload, more, more.id ? *more.id : parts_->next_id());
        parts_->storage.append(on, drafts.all());
        return drafts.all().front().id;
    }
    std::vector<message_id> append_all(transaction on, std::span<message const> messages) {
        std::vector<message_id> ids(messages.size());
        parts_->next_ids(ids);
        drafting<Broker> drafts{parts_->settings, messages.size()};
        for (std::size_t i = 0; i < messages.size(); ++i) {
            auto const& one = messages[i];
            drafts.add(one.topic, one.payload, one.options, ids[i]);
            ids[i] = drafts.all().back().id;
        }
        parts_->storage.append(on, drafts.all());
        return ids;
    }
    static std::uint64_t drawn_seed() {
        std::random_device device;
        return (std::uint64_t{device()} << 32U) | device();
    }

    std::shared_ptr<parts_type> parts_;
};

}  // namespace outbox
