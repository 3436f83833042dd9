// SPDX-License-Identifier: MIT
//
// The contract, on one screen: what a storage, a broker, a clock, a delete policy must be able to
// do for `basic_outbox<Storage, Broker, Clock, DeletePolicy>`. The meaning of each verb stands
// below its concept and as executable laws in tests/laws; a compiler that misses one prints the
// line with its comment.
#pragma once

#include <concepts>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "outbox/clock.hpp"
#include "outbox/error.hpp"
#include "outbox/lease.hpp"
#include "outbox/message.hpp"
#include "outbox/operations.hpp"
#include "outbox/settlement.hpp"

namespace outbox {

// clang-format off

/// Tells time and waits. `now` never goes back. Thread-safe.
template <class C>
concept clock = requires(C const& c, wakeup& signal, monotonic_time until, int also) {
    { c.now() } -> std::same_as<monotonic_time>;   // a clock needs `monotonic_time now() const`
    { c.wall() } -> std::same_as<wall_time>;       // a clock needs `wall_time wall() const`: civil time, UTC
    c.wait(signal, until, also);                   // a clock needs `wait(wakeup&, monotonic_time until, int also)`: back at `until`, on a notification, or when `also` is readable
};

/// What becomes of a published message, decided at compile time.
template <class P>
concept delete_policy = requires(P const& p) {
    { P::on_published } -> std::convertible_to<fate>;                        // a delete policy needs `static constexpr fate on_published`: remove or stamp
    { p.published_retention() } -> std::same_as<std::optional<duration>>;    // a delete policy needs `published_retention()`: purge stamped messages older than this; nothing: keep for ever
    { p.dead_retention() } -> std::same_as<std::optional<duration>>;         // a delete policy needs `dead_retention()`: the same for dead letters
};

/// What a worker does with a storage, over connections of the worker's own. One thread at a time.
///
/// Every verb throws `outbox::error`. `contention`: certain that nothing changed, try again soon.
/// Any other code: the outcome may be unknown; all tenures and records in hand are forfeit, and the
/// session must be thrown away. Every verb ends within the time limit that it was connected with.
template <class S>
concept storage_session = requires(S& s, acquire_request const& acquire, round_request const& round,
                                   std::span<ending const> endings) {
    { s.acquire(acquire) } -> std::same_as<acquired>;       // a storage session needs `acquired acquire(acquire_request const&)`
    { s.exchange(round) } -> std::same_as<round_reply>;     // a storage session needs `round_reply exchange(round_request const&)`
    s.release(endings);                                     // a storage session needs `release(std::span<ending const>)`
    { s.descriptor() } -> std::same_as<int>;                // a storage session needs `int descriptor()`: readable when new messages were announced; -1 for none
};
// acquire   takes free partitions that have work (ready beyond the low-water mark, due scheduled, a
//           key whose first retrying record is due and not behind a dead letter that blocks it),
//           longest unserved first, raising the epoch of each; also those that this worker (by its
//           id) held before. Never waits for another worker's lock. Free: without an
//           owner, or with a lease that ran out by the storage's clock. Takes at most `most`, and so
//           many that the worker holds no more than its fair share, ceil(partitions / live owners,
//           itself included). A take-over from *another* owner is unclean: strikes + 1, care.left =
//           the old owner's reach, and a record that was noted as alone in flight gets deaths + 1,
//           becomes retrying, due now, and is reported. Where others hold more than a fair share,
//           here rounded down but at least one, and this worker then holds less, it marks as wanted
//           what they hold beyond, so much of it as it lacks to that share, or to `most`, and says
//           `waiting`; not when it holds nothing and finds no work. It also says so when it holds
//           nothing and all work is in partitions of others. Durable before it returns.
// exchange  1. settles: all of it, in one transaction, fenced by (owner, epoch) of every partition
//           that is named anywhere in the request; for a partition that was overtaken nothing is
//           done, and it is reported as lost. Durable before it returns, unless it contains nothing
//           but removals and stamps. A settlement names a record that this session has read and not
//           yet settled. 2. renews. 3. reads, seeing what it settled: ready records of `read` with
//           a sequence above what is already in hand or settled, in order; and every committed record
//           that turned up late below that, first. Retrying records of `due_keys` from their earliest
//           on, stopping before one with deaths (unless `alone`) and, if dead letters block, before
//           the first dead letter of the key; a key that nothing parks any more is reported as `drained`.
//           Never a record that is in hand: read and not settled.
//           Settling a record that was noted as alone in flight clears the note.
// release   gives up the lease of each partition that is still ours, at once and durably, stores the
//           caution and clears the note of a record alone in flight.

/// A session whose worker can be told what was committed in other processes while it waits.
template <class S>
concept watchful_session = storage_session<S> && requires(S& s) {
    { s.watch() } -> std::same_as<outlook>;      // a watchful session needs `outlook watch()`
    s.unwatch();                                 // a watchful session needs `unwatch()`
    { s.heard() } -> std::same_as<std::size_t>;  // a watchful session needs `std::size_t heard()`
};
// watch     asks to be told. After `announced` a look finds what was committed before, and makes
//           `descriptor` readable what is committed later. Writes nothing.
// unwatch   nobody tells any more. While a worker works, telling it would cost producers for nothing.
// heard     how many announcements came since the last call; never waits. `descriptor` is not
//           readable then until there is another one.

/// Where messages wait. Shared by all threads of a process; all verbs thread-safe.
template <class S>
concept storage =
    requires(S& s, typename S::transaction transaction, std::span<draft const> drafts,
             message_id const& worker, duration limit, dead_letter_filter const& filter,
             std::optional<message_id> after, time_range range, std::size_t count) {
        requires storage_session<typename S::session>;                              // Storage::session must model storage_session
        s.begin(transaction);                                                       // a storage needs `begin(transaction)`
        s.commit(transaction);                                                      // a storage needs `commit(transaction)`
        s.rollback(transaction);                                                    // a storage needs `rollback(transaction)`
        s.append(transaction, drafts);                                              // a storage needs `append(transaction, std::span<draft const>)`
        { s.connect(worker, limit) } -> std::same_as<typename S::session>;          // a storage needs `session connect(message_id worker, duration time_limit)`
        { s.name() } -> std::convertible_to<std::string_view>;                      // a storage needs `name()`: schema and table, unique within the database
        { s.dead_letters(filter, after, count) } -> std::same_as<std::vector<dead_letter>>;  // a storage needs `dead_letters(filter, after, count)`: by id, those above `after`
        { s.requeue(filter, count) } -> std::same_as<std::size_t>;                  // a storage needs `requeue(filter, count)`: dead letters become retrying, due now, generation + 1, attempts and deaths 0
        { s.discard(filter, count) } -> std::same_as<std::size_t>;                  // a storage needs `discard(filter, count)`: deletes dead letters
        { s.replay(range, after, count) } -> std::same_as<std::vector<message_id>>; // a storage needs `replay(range, after, count)`: stamped messages become retrying, due now, in order of sequence; the ids of those
        { s.purge_published(limit, count) } -> std::same_as<std::size_t>;           // a storage needs `purge_published(older_than, count)`
        { s.purge_dead(limit, count) } -> std::same_as<std::size_t>;                // a storage needs `purge_dead(older_than, count)`
        { s.statistics() } -> std::same_as<storage_statistics>;                     // a storage needs `statistics()`
    };
// transaction  a view of the caller's own handle (session, connection), cheap to copy.
// begin        opens a transaction on the caller's handle, for the guard of `basic_outbox::begin`.
// commit       commits it and cannot lie: throws `aborted_transaction` when the server rolled back,
//              `commit_unknown` when the answer was lost. rollback never throws.
// append       joins that transaction; never begins, commits or rolls back. Draws sequences in the
//              order of the drafts. Throws no_transaction, duplicate_id, contention, …
// connect      opens a session whose every call ends within `time_limit`; throws `unavailable` when
//              there is no server, `schema_mismatch` when the tables are not those of this version.
// counts       at most `count` records a call, in a transaction of its own. Operators that give a key
//              retrying records, or unblock those it has, are reported to its owner as `changed`.

/// How a worker's channel is made.
struct channel_setup {
    std::string_view outbox_name{};  ///< the storage's name: part of what duplicates are told by
    wakeup& signal;                  ///< notified when receipts arrive or the channel breaks
    duration publish_timeout{0};     ///< after this a receipt is of no use any more
    duration lease{0};               ///< for the check that the duplicate window is long enough
    std::size_t window{0};           ///< messages in flight at the most
};

/// One message to publish. `token` rises from one to the next. `behind`: only right behind this one,
/// which was sent just before on the same channel; set for a `chaining_channel` alone.
struct dispatch {
    attempt_token token{0};
    record const* message{nullptr};
    record const* behind{nullptr};
};

/// What a worker does with a broker, over a connection of the worker's own. One thread at a time.
template <class C>
concept broker_channel = requires(C& c, std::span<dispatch const> messages, std::vector<receipt>& arrived) {
    c.send(messages);                                   // a broker channel needs `send(std::span<dispatch const>)`
    c.collect(arrived);                                 // a broker channel needs `collect(std::vector<receipt>&)`
    { c.usable() } -> std::same_as<bool>;               // a broker channel needs `bool usable()`
};
// send      starts publishing and returns without waiting for receipts. Views are not kept. Never
//           throws: what cannot be sent gets a receipt. Keeps the order of sending.
// collect   appends the receipts that have arrived; never waits. At most one receipt a token.
//           `accepted` only for an acknowledgement beyond doubt.
// usable    false once the connection broke: every token without receipt is then unknown, and nothing
//           more is sent on this channel. There is no silent reconnect.

/// A channel that can leave the worker asleep until a batch of receipts is there.
template <class C>
concept patient_channel = broker_channel<C> && requires(C& c, std::size_t receipts) {
    c.wake_for(receipts);  // a patient channel needs `wake_for(std::size_t receipts)`
};
// wake_for  from now on the signal is notified when so many receipts wait to be collected, instead of
//           at the first one; at once if there are, and for all that is no receipt.

/// A channel to a broker that can take a message on the condition that the one before it is the last
/// that it stored, so that many messages of one order may be in flight.
template <class C>
concept chaining_channel = broker_channel<C> && requires(C const& c, std::string_view topic) {
    { c.can_chain(topic, topic) } -> std::same_as<bool>;  // a chaining channel needs `bool can_chain(std::string_view topic, std::string_view next) const`
};
// can_chain whether a message of topic `next` may be sent `behind` one of `topic`. Where the condition
//           does not hold when the message arrives, it is not stored, now or later, and its receipt
//           is `out_of_order`.

/// Where messages go.
template <class B>
concept broker = requires(B& b, channel_setup const& setup, std::string_view topic, std::string_view name,
                          std::string_view value, std::size_t size) {
    requires broker_channel<typename B::channel>;                              // Broker::channel must model broker_channel
    { B::check_topic(topic) } -> std::same_as<std::optional<problem>>;         // a broker needs `static std::optional<problem> check_topic(std::string_view)`: what it cannot carry
    { B::check_header(name, value) } -> std::same_as<std::optional<problem>>;  // a broker needs `static std::optional<problem> check_header(name, value)`
    { b.connect(setup) } -> std::same_as<typename B::channel>;                 // a broker needs `channel connect(channel_setup const&)`
};
// connect   throws `unavailable` when there is no server, `unsafe_setup` with one sentence when what
//           stands behind it would break the guarantees (no acknowledgements, window too short).

// clang-format on

}  // namespace outbox
