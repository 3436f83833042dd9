// SPDX-License-Identifier: MIT
//
// One incarnation of a connection to NATS, and what its callbacks heard. There is no silent
// reconnect: a link that broke stays broken, and whoever needs a new one makes a new one. Callbacks
// run on the client library's threads and may come late; they find the link by number, so none of
// them ever touches one that is gone.
#pragma once

#include <nats/nats.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "outbox/broker/nats_connection.hpp"
#include "outbox/clock.hpp"
#include "outbox/settlement.hpp"
#include "outbox/wakeup.hpp"

namespace outbox::nats_rules {

template <auto Destroy>
struct destroyer {
    template <class Handle>
    void operator()(Handle* handle) const {
        Destroy(handle);
    }
};
template <class Handle, auto Destroy>
using owned = std::unique_ptr<Handle, destroyer<Destroy>>;

using owned_message = owned<natsMsg, natsMsg_Destroy>;

/// What came back for one publish attempt, not yet understood.
struct reply {
    attempt_token token{0};
    bool no_responders{false};
    std::string text{};
};

class link {
public:
    /// Throws `unavailable`: no server, wrong credentials, certificate not trusted.
    static std::shared_ptr<link> open(nats_connection_options const& options, wakeup& signal,
                                      duration write_limit);
    ~link();
    link(link const&) = delete;
    link& operator=(link const&) = delete;

    [[nodiscard]] natsConnection* handle() const {
        return connection_;
    }
    [[nodiscard]] bool usable() const {
        return !broken_;
    }
    void break_off();

    /// From now on hears what arrives on `inbox.<token>`. Throws `unavailable`.
    void listen(std::string const& inbox);

    /// Moves what was heard so far: replies, and subjects that may not be published to.
    void take(std::vector<reply>& replies, std::vector<std::string>& denied);

private:
    explicit link(wakeup& signal);
    static void on_end(natsConnection* connection, void* number);
    static void on_error(natsConnection* connection, natsSubscription* subscription,
                         natsStatus status, void* number);
    static void on_reply(natsConnection* connection, natsSubscription* subscription,
                         natsMsg* message, void* number);
    static std::shared_ptr<link> find(void* number);
    [[nodiscard]] void* number() const {
        return reinterpret_cast<void*>(number_);  // NOLINT: an id that travels as a pointer
    }

    std::uintptr_t number_;
    wakeup& signal_;
    natsConnection* connection_{nullptr};
    natsSubscription* replies_{nullptr};
    std::atomic<bool> broken_{false};
    std::mutex mutex_{};
    std::vector<reply> heard_{};
    std::vector<std::string> denied_{};
};

/// `text` of the library for a status, never an address.
[[nodiscard]] std::string text_of(natsStatus status);

/// The subject in quotes of "Permissions Violation for Publish to …"; empty when it is none.
[[nodiscard]] std::string denied_subject(std::string_view error_text);

/// A message with the record's headers, the stable id for consumers and, if given, the id for
/// duplicate detection. Empty when the library has no memory.
[[nodiscard]] owned_message make_message(record const& of, std::string const& reply_to,
                                         std::string const& duplicate_id);

}  // namespace outbox::nats_rules
