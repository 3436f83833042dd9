// SPDX-License-Identifier: MIT
//
// An observer that writes lines: give it a sink for whatever logs in your service.
//
//     outbox::logging_observer log{outbox::log_level::info,
//                                  [](outbox::log_level, std::string const& line) {
//                                      std::clog << line << '\n';
//                                  }};
//
// `debug` shows every step of every message, `info` what changes, `warning` what went wrong and is
// tried again, `error` what needs a person. Never a payload, a header or a secret.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "outbox/observer.hpp"
#include "outbox/validation.hpp"

namespace outbox {

enum class log_level : std::uint8_t { debug, info, warning, error, off };

[[nodiscard]] constexpr std::string_view to_string(log_level level) {
    switch (level) {
        case log_level::debug: return "debug";
        case log_level::info: return "info";
        case log_level::warning: return "warning";
        case log_level::error: return "error";
        case log_level::off: return "off";
    }
    return "unknown";
}

/// `Sink` is called as sink(level, line) on the worker's thread; with several workers in a process,
/// from several threads at once.
template <class Sink>
class logging_observer {
public:
    logging_observer(log_level least, Sink sink) : least_{least}, sink_{std::move(sink)} {}

    void operator()(event::worker_started const& e) {
        say(log_level::info, [&] { return "worker " + to_string(e.worker) + " started"; });
    }
    void operator()(event::worker_stopped const& e) {
        say(e.held == 0 ? log_level::info : log_level::warning, [&] {
            return "worker " + to_string(e.worker) + " stopped, " + std::to_string(e.held) +
                   " partitions could not be given back";
        });
    }
    void operator()(event::partition_acquired const& e) {
        say(e.strikes == 0 ? log_level::debug : log_level::warning, [&] {
            return "partition " + std::to_string(e.partition) + " acquired, epoch " +
                   std::to_string(e.epoch) + ", " + std::to_string(e.strikes) +
                   " owners in a row died over it";
        });
    }
    void operator()(event::partition_released const& e) {
        say(log_level::debug,
            [&] { return "partition " + std::to_string(e.partition) + " released"; });
    }
    void operator()(event::partition_lost const& e) {
        say(log_level::warning, [&] {
            return "partition " + std::to_string(e.partition) + " was taken over by another worker";
        });
    }
    void operator()(event::round_finished const& e) {
        say(log_level::debug, [&] {
            return "round: read " + std::to_string(e.read) + ", sent " + std::to_string(e.sent) +
                   ", accepted " + std::to_string(e.accepted) + ", settled " +
                   std::to_string(e.settled) + ", took " + milliseconds(e.took);
        });
    }
    void operator()(event::publishing const& e) {
        say(log_level::debug, [&] { return name(e.id, e.topic) + " is sent"; });
    }
    void operator()(event::published const& e) {
        say(log_level::debug,
            [&] { return name(e.id, e.topic) + " accepted after " + milliseconds(e.took); });
    }
    void operator()(event::attempt_failed const& e) {
        say(log_level::warning, [&] {
            return name(e.id, e.topic) + " failed (" + std::string{to_string(e.what)} + ", " +
                   std::to_string(e.attempts) + " attempts counted), again in " +
                   milliseconds(e.retry_in) + ": " + std::string{e.reason};
        });
    }
    void operator()(event::dead_lettered const& e) {
        say(log_level::error, [&] {
            return name(e.id, e.topic) + " is a dead letter after " + std::to_string(e.attempts) +
                   " attempts and " + std::to_string(e.deaths) +
                   " deaths: " + std::string{e.reason};
        });
    }
    void operator()(event::worker_killed const& e) {
        say(log_level::error, [&] {
            return "message " + to_string(e.id) + " was in flight alone when its worker died, " +
                   std::to_string(e.deaths) + " times now; again in " + milliseconds(e.retry_in);
        });
    }
    void operator()(event::broker_lost const& e) {
        say(log_level::warning, [&] {
            return "broker cannot be used, next probe in " + milliseconds(e.probe_in) + ": " +
                   std::string{e.reason};
        });
    }
    void operator()(event::broker_back const& /*e*/) {
        say(log_level::info, [] { return std::string{"broker is back"}; });
    }
    void operator()(event::storage_lost const& e) {
        say(log_level::warning, [&] {
            return "storage cannot be used, next try in " + milliseconds(e.retry_in) + ": " +
                   std::string{e.reason};
        });
    }
    void operator()(event::storage_back const& /*e*/) {
        say(log_level::info, [] { return std::string{"storage is back"}; });
    }
    void operator()(event::purged const& e) {
        say(log_level::info, [&] {
            return "purged " + std::to_string(e.published) + " published messages and " +
                   std::to_string(e.dead) + " dead letters";
        });
    }

private:
    template <class Text>
    void say(log_level level, Text&& text) {
        if (level >= least_) sink_(level, text());
    }
    static std::string milliseconds(duration time) {
        return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(time).count()) +
               " ms";
    }
    static std::string name(message_id const& id, std::string_view topic) {
        return "message " + to_string(id) + " to \"" + detail::printable(topic) + "\"";
    }

    log_level least_;
    Sink sink_;
};

}  // namespace outbox
