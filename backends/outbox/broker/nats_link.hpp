// SPDX-License-Identifier: MIT
//
// One incarnation of a connection to NATS. There is no silent reconnect: a link that broke stays
// broken, and whoever needs a new one makes a new one. What its callbacks hear lies in a mailbox
// that they find by number, so that a late one never touches what is gone.
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
#include "outbox/broker/nats_denial.hpp"
#include "outbox/clock.hpp"
#include "outbox/concepts.hpp"
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
    std::uint64_t number{0};  ///< which ends the reply subject
    owned_message message{};

    [[nodiscard]] bool no_responders() const {
        return natsMsg_IsNoResponders(message.get());
    }
    [[nodiscard]] std::string_view text() const {
        return {natsMsg_GetData(message.get()),
                static_cast<std::size_t>(natsMsg_GetDataLength(message.get()))};
    }
};

/// What the callbacks of one connection heard and its channel has not taken yet. Callbacks run on
/// the client library's threads, also while the link is being destroyed and after that.
class mailbox {
public:
    explicit mailbox(wakeup& signal) : signal_{&signal} {}

    /// True: more of them are awaited before anybody acts on them.
    bool put(reply heard);
    /// Waits for a moment, or until nobody is interested any more.
    void gather();
    void put(denial heard);
    /// Nobody is woken for fewer replies than this; at once for everything else.
    void wake_for(std::size_t replies);
    void break_off();
    /// From now on nobody is woken: the signal may be gone.
    void close();

    [[nodiscard]] bool broken() const {
        return broken_;
    }
    /// Moves what was heard so far into the two, which are empty.
    void take(std::vector<reply>& replies, std::vector<denial>& denied);

private:
    std::mutex mutex_{};
    wakeup* signal_;  ///< null once closed
    wakeup end_{};
    std::atomic<bool> broken_{false};
    std::vector<reply> replies_{};
    std::vector<denial> denied_{};
    std::size_t enough_{1};
};

class link {
public:
    /// Throws `unavailable`: no server, wrong credentials, certificate not trusted.
    link(nats_connection_options const& options, channel_setup const& setup);
    ~link();
    link(link const&) = delete;
    link& operator=(link const&) = delete;

    [[nodiscard]] natsConnection* handle() const {
        return connection_;
    }
    [[nodiscard]] bool usable() const {
        return !heard_->broken();
    }
    [[nodiscard]] mailbox& heard() const {
        return *heard_;
    }
    /// Writes what is buffered, and waits until the server has answered, and so has read all that
    /// was written before. `failed`: it is unknown what of it went out.
    enum class flushed : std::uint8_t { answered, unanswered, failed };
    [[nodiscard]] flushed flush(std::int64_t milliseconds);
    [[nodiscard]] bool await_answer(std::int64_t milliseconds) {
        return flush(milliseconds) == flushed::answered;
    }
    /// Why nothing more may be written, if so: an earlier write that failed half-way on a thread of
    /// the library would garble what follows.
    [[nodiscard]] bool write_failed() const;

    /// Writes the message, or buffers it for a thread of the library to write. It is kept until
    /// `let_go`.
    [[nodiscard]] natsStatus publish(owned_message message);
    /// Destroys what was published, all at once: the library hands each message over to a thread of
    /// its own, and to wake that for each one costs as much as to publish it.
    void let_go();

    /// From now on hears what arrives on the inbox's subjects. Throws `unsafe_setup` when the user
    /// may not subscribe to it.
    void listen(std::string const& inbox, std::chrono::milliseconds limit);

    /// What the server complained of last, if it was a lack of permission: never a secret.
    [[nodiscard]] std::string denied_text() const;

private:
    [[nodiscard]] void* closure() const {
        return reinterpret_cast<void*>(number_);  // NOLINT: a number that travels as a pointer
    }
    natsStatus connect(nats_connection_options const& options, std::string const& server,
                       duration write_limit);

    std::shared_ptr<mailbox> heard_;
    std::uintptr_t number_;
    natsConnection* connection_{nullptr};
    natsSubscription* replies_{nullptr};
    std::vector<owned_message> published_{};
    std::size_t published_bytes_{0};
};

/// `text` of the library for a status, never an address.
[[nodiscard]] std::string text_of(natsStatus status);

/// What goes with a message as `Nats-Msg-Id`: its id, which is the same in all copies and what
/// consumers know it by, then the outbox and the generation, which make it another one for the
/// server where ids repeat. One header for both: a second one has its price, see
/// docs/decisions/0015-what-a-profile-showed.md.
void write_delivery_id(std::string& to, record const& of, std::string_view outbox_name);

/// What the server is told beside the message itself; empty: nothing.
struct envelope {
    std::string delivery_id{};
    std::string reply_to{};
    std::string behind{};  ///< the delivery id of the message which it must land right behind
};

/// Makes a message with the record's headers.
natsStatus make_message(owned_message& made, record const& of, envelope const& around);

/// The receipt of a message that never left: the library would not make or take it.
[[nodiscard]] receipt not_sent(attempt_token token, natsStatus why);

}  // namespace outbox::nats_rules
