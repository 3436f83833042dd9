// SPDX-License-Identifier: MIT
//
// What can be watched. Events are types and an observer is a callable: it hears the events that it
// accepts, and an event that nobody accepts is never built, so `silent` costs no byte and no
// instruction.
//
//     outbox::observers{[&](outbox::event::dead_lettered const& e) { alert(e.topic, e.reason); },
//                       [&](outbox::event::broker_lost const& e) { gauge.set(0); }}
//
// Events are told on the worker's thread; their views live as long as the call. An exception that
// leaves an observer is swallowed; time spent in one is the worker's.
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <utility>

#include "outbox/error.hpp"
#include "outbox/record.hpp"
#include "outbox/settlement.hpp"

namespace outbox {

namespace event {

/// A worker began, or ended; `held` partitions could not be given back by its deadline.
struct worker_started {
    message_id worker{};
};
struct worker_stopped {
    message_id worker{};
    std::size_t held{0};
};
/// A partition was acquired; `strikes` owners in a row died over it.
struct partition_acquired {
    partition_number partition{0};
    std::int64_t epoch{0};
    std::int32_t strikes{0};
};
struct partition_released {
    partition_number partition{0};
};
/// Another worker has the partition now; what was in hand of it is dropped.
struct partition_lost {
    partition_number partition{0};
};
/// A round that did something.
struct round_finished {
    std::size_t read{0};
    std::size_t sent{0};
    std::size_t accepted{0};
    std::size_t settled{0};
    duration took{0};
};
/// One publish attempt begins. For debugging: one event a message.
struct publishing {
    message_id const& id;
    std::string_view topic{};
    std::int32_t attempts{0};
};
/// The broker has it beyond doubt.
struct published {
    message_id const& id;
    std::string_view topic{};
    duration took{0};
};
/// An attempt failed and the message will be tried again after `retry_in`.
struct attempt_failed {
    message_id const& id;
    std::string_view topic{};
    outcome what{outcome::unknown};
    std::string_view reason{};
    std::int32_t attempts{0};
    duration retry_in{0};
};
/// The message was given up and is kept as a dead letter.
struct dead_lettered {
    message_id const& id;
    std::string_view topic{};
    std::int32_t attempts{0};
    std::int32_t deaths{0};
    std::string_view reason{};
};
/// A worker died over this message; it is tried again, alone, after `retry_in`.
struct worker_killed {
    message_id const& id;
    std::int32_t deaths{0};
    duration retry_in{0};
};
/// The broker cannot be used: nothing is sent, no attempt is counted, the next probe is in
/// `probe_in`.
struct broker_lost {
    errc code{errc::unavailable};
    std::string_view reason{};
    duration probe_in{0};
};
struct broker_back {};
/// The same for the storage.
struct storage_lost {
    errc code{errc::unavailable};
    std::string_view reason{};
    duration retry_in{0};
};
struct storage_back {};
/// Retention removed old messages.
struct purged {
    std::size_t published{0};
    std::size_t dead{0};
};

}  // namespace event

template <class Event>
concept an_event = std::same_as<Event, event::worker_started> ||
    std::same_as<Event, event::worker_stopped> || std::same_as<Event, event::partition_acquired> ||
    std::same_as<Event, event::partition_released> || std::same_as<Event, event::partition_lost> ||
    std::same_as<Event, event::round_finished> || std::same_as<Event, event::publishing> ||
    std::same_as<Event, event::published> || std::same_as<Event, event::attempt_failed> ||
    std::same_as<Event, event::dead_lettered> || std::same_as<Event, event::worker_killed> ||
    std::same_as<Event, event::broker_lost> || std::same_as<Event, event::broker_back> ||
    std::same_as<Event, event::storage_lost> || std::same_as<Event, event::storage_back> ||
    std::same_as<Event, event::purged>;

/// Hears nothing.
struct silent {};

/// Hears what any of its parts hears.
template <class... Parts>
struct observers : Parts... {
    using Parts::operator()...;
};
template <class... Parts>
observers(Parts...) -> observers<Parts...>;

/// Tells `observer` of the event that `make` builds, if it listens to such events at all.
template <class Observer, class Make>
void notify(Observer& observer, Make&& make) noexcept {
    using event_type = std::invoke_result_t<Make>;
    static_assert(an_event<event_type>);
    if constexpr (std::invocable<Observer&, event_type const&>) {
        try {
            observer(std::forward<Make>(make)());
        } catch (...) {  // NOLINT: an observer must not end the worker, whatever it throws
        }
    }
}

}  // namespace outbox
