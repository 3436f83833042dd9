// SPDX-License-Identifier: MIT
#include "outbox/broker/nats_link.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <map>
#include <utility>

#include "outbox/headers.hpp"

namespace outbox::nats_rules {

namespace {

/// Mailboxes by number, for callbacks that may come late. Never destroyed, since the library's
/// threads may outlive every static object of ours.
struct registry {
    std::mutex mutex{};
    std::map<std::uintptr_t, std::weak_ptr<mailbox>> open{};
    std::uintptr_t last{0};

    static registry& all() {
        static auto* const one = new registry;  // NOLINT: see above
        return *one;
    }
    std::uintptr_t add(std::shared_ptr<mailbox> const& made) {
        std::lock_guard const lock{mutex};
        open[++last] = made;
        return last;
    }
    void remove(std::uintptr_t number) {
        std::lock_guard const lock{mutex};
        open.erase(number);
    }
    std::shared_ptr<mailbox> find(void* closure) {
        std::lock_guard const lock{mutex};
        auto const found = open.find(reinterpret_cast<std::uintptr_t>(closure));
        return found == open.end() ? nullptr : found->second.lock();
    }
};

void on_end(natsConnection* /*connection*/, void* closure) {
    if (auto const mine = registry::all().find(closure)) mine->break_off();
}

void on_error(natsConnection* /*connection*/, natsSubscription* /*subscription*/, natsStatus status,
              void* closure) {
    auto const mine = registry::all().find(closure);
    if (!mine) return;
    // Receipts were lost: what is still open has to be sent again.
    if (status == NATS_SLOW_CONSUMER) return mine->break_off();
    if (status != NATS_NOT_PERMITTED) return;
    // Set for this call by the library, while the connection's own last error may be a later one.
    natsStatus same = status;
    if (auto heard = read_denial(nats_GetLastError(&same))) mine->put(std::move(heard));
}

void on_reply(natsConnection* /*connection*/, natsSubscription* subscription, natsMsg* message,
              void* closure) {
    reply heard{.message = owned_message{message}};
    auto const mine = registry::all().find(closure);
    if (!mine) return;
    std::string_view const subject{natsMsg_GetSubject(message)};
    auto const digits = subject.substr(subject.rfind('.') + 1);
    auto const* const end = digits.data() + digits.size();
    auto const parsed = std::from_chars(digits.data(), end, heard.number);
    if (parsed.ec != std::errc{} || parsed.ptr != end) return;
    if (!mine->put(std::move(heard))) return;
    // The library wakes this thread for each reply that finds its queue empty. While many are
    // awaited, some gather first.
    std::uint64_t queued = 0;
    if (natsSubscription_QueuedMsgs(subscription, &queued) == NATS_OK && queued == 0)
        mine->gather();
}

/// A connection that is idle is looked after no more often.
constexpr std::chrono::seconds min_ping{1};

/// Of payload that was published and is not let go of yet.
constexpr std::size_t most_kept_bytes = std::size_t{1} << 20U;

std::int64_t milliseconds(duration time) {
    auto const whole = std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
    return std::max<std::int64_t>(whole, 1);
}

void require(natsStatus status, std::string const& what) {
    if (status != NATS_OK) throw error{errc::unavailable, what + ": " + text_of(status)};
}

void set_credentials(natsOptions* made, nats_connection_options const& options) {
    if (!options.user.empty()) {
        require(natsOptions_SetUserInfo(made, options.user.c_str(), options.password.c_str()),
                "user and password");
    }
    if (!options.token.empty()) {
        require(natsOptions_SetToken(made, options.token.c_str()), "token");
    }
    if (!options.credentials_file.empty()) {
        require(natsOptions_SetUserCredentialsFromFiles(made, options.credentials_file.c_str(),
                                                        nullptr),
                "credentials file");
    }
    if (!options.nkey.empty()) {
        require(
            natsOptions_SetNKeyFromSeed(made, options.nkey.c_str(), options.nkey_seed_file.c_str()),
            "nkey");
    }
}

void set_encryption(natsOptions* made, nats_tls_options const& tls, std::string const& server) {
    if (!tls.wanted() && !server.starts_with("tls://")) return;
    require(natsOptions_SetSecure(made, true), "TLS");
    if (!tls.ca_file.empty()) {
        require(natsOptions_LoadCATrustedCertificates(made, tls.ca_file.c_str()), "tls.ca_file");
    }
    if (!tls.certificate_file.empty()) {
        require(natsOptions_LoadCertificatesChain(made, tls.certificate_file.c_str(),
                                                  tls.key_file.c_str()),
                "tls.certificate_file");
    }
    // Some builds of the library check no name unless they are told one.
    auto const name = tls.server_name.empty() ? host_of(server) : tls.server_name;
    require(natsOptions_SetExpectedHostname(made, name.c_str()), "tls.server_name");
}

}  // namespace

bool mailbox::put(reply heard) {
    std::lock_guard const lock{mutex_};
    replies_.push_back(std::move(heard));
    bool const enough = replies_.size() >= enough_;
    if (signal_ != nullptr && enough) signal_->notify();
    return signal_ != nullptr && !enough;
}

void mailbox::wake_for(std::size_t replies) {
    std::lock_guard const lock{mutex_};
    enough_ = replies;
    if (signal_ != nullptr && replies_.size() >= enough_) signal_->notify();
}

void mailbox::put(denial heard) {
    std::lock_guard const lock{mutex_};
    denied_.push_back(std::move(heard));
    if (signal_ != nullptr) signal_->notify();
}

void mailbox::break_off() {
    std::lock_guard const lock{mutex_};
    broken_ = true;
    if (signal_ != nullptr) signal_->notify();
}

void mailbox::close() {
    std::lock_guard const lock{mutex_};
    signal_ = nullptr;
    end_.notify();
}

void mailbox::gather() {
    end_.wait(std::chrono::microseconds{300});
}

void mailbox::take(std::vector<reply>& replies, std::vector<denial>& denied) {
    std::lock_guard const lock{mutex_};
    std::swap(replies, replies_);
    std::swap(denied, denied_);
}

std::string text_of(natsStatus status) {
    return natsStatus_GetText(status);
}

void write_delivery_id(std::string& to, record const& of, std::string_view outbox_name) {
    to.clear();
    append_text(to, of.id);
    to.append(".").append(outbox_name).append(".").append(std::to_string(of.generation));
}

natsStatus make_message(owned_message& made, record const& of, envelope const& around) {
    natsMsg* raw = nullptr;
    auto status = natsMsg_Create(&raw, std::string{of.topic}.c_str(),
                                 around.reply_to.empty() ? nullptr : around.reply_to.c_str(),
                                 of.payload.data(), static_cast<int>(of.payload.size()));
    made.reset(raw);
    auto const add = [&](char const* name, std::string const& value) {
        if (status == NATS_OK) status = natsMsgHeader_Add(raw, name, value.c_str());
    };
    add("Nats-Msg-Id", around.delivery_id);
    if (!around.behind.empty()) add("Nats-Expected-Last-Msg-Id", around.behind);
    auto const malformed =
        for_each_header(of.headers, [&](std::string_view name, std::string_view value) {
            add(std::string{name}.c_str(), std::string{value});
        });
    return status == NATS_OK && malformed ? NATS_INVALID_ARG : status;
}

receipt not_sent(attempt_token token, natsStatus why) {
    switch (why) {
        case NATS_MAX_PAYLOAD: return {token, outcome::refused, "larger than the server takes"};
        case NATS_NO_MEMORY: return {token, outcome::unavailable, "out of memory"};
        default: return {token, outcome::rejected, "the NATS library takes no such message"};
    }
}

link::link(nats_connection_options const& options, channel_setup const& setup)
    : heard_{std::make_shared<mailbox>(setup.signal)}, number_{registry::all().add(heard_)} {
    natsStatus status = NATS_NO_SERVER;
    try {
        for (auto const& server : servers_of(options.url)) {
            status = connect(options, server, setup.publish_timeout);
            if (status == NATS_OK) break;
        }
        require(status, "cannot connect to NATS (" + without_secrets(options.url) + ")");
        if (natsConnection_HasHeaderSupport(connection_) != NATS_OK) {
            throw error{errc::unsafe_setup, "the NATS server takes no headers: use 2.2 or later"};
        }
    } catch (...) {
        registry::all().remove(number_);
        natsConnection_Destroy(connection_);
        throw;
    }
}

natsStatus link::connect(nats_connection_options const& options, std::string const& server,
                         duration write_limit) {
    natsOptions* raw = nullptr;
    require(natsOptions_Create(&raw), "options");
    owned<natsOptions, natsOptions_Destroy> const set{raw};
    require(natsOptions_SetURL(raw, server.c_str()), "connection.url");
    natsOptions_SetName(raw, options.name.c_str());
    natsOptions_SetTimeout(raw, options.connect_timeout.count());
    natsOptions_SetAllowReconnect(raw, false);
    // A socket that takes nothing for half the time that a receipt may take is as good as broken.
    natsOptions_SetWriteDeadline(raw, milliseconds(write_limit / 2));
    natsOptions_SetPingInterval(raw, milliseconds(std::max<duration>(write_limit, min_ping)));
    natsOptions_SetDisconnectedCB(raw, on_end, closure());
    natsOptions_SetClosedCB(raw, on_end, closure());
    natsOptions_SetErrorHandler(raw, on_error, closure());
    set_credentials(raw, options);
    set_encryption(raw, options.tls, server);
    return natsConnection_Connect(&connection_, raw);
}

link::~link() {
    heard_->close();
    registry::all().remove(number_);
    // The connection first: an unsubscription would wait for a server that hangs.
    natsConnection_Destroy(connection_);
    natsSubscription_Destroy(replies_);
}

link::flushed link::flush(std::int64_t milliseconds) {
    // A ping that cannot be written counts as answered in the library (3.4.1, conn.c, `_sendPing`
    // drops the status); all that tells is this thread's last error. That is made a known one
    // first, lest an older one be taken for it.
    constexpr auto known = NATS_INVALID_ARG;
    natsConnection_FlushTimeout(nullptr, 1);
    auto const status = natsConnection_FlushTimeout(connection_, milliseconds);
    if (status == NATS_TIMEOUT) return flushed::unanswered;
    if (status != NATS_OK) return flushed::failed;
    natsStatus last = NATS_OK;
    nats_GetLastError(&last);
    return last == NATS_OK || last == known ? flushed::answered : flushed::failed;
}

bool link::write_failed() const {
    char const* text = nullptr;
    auto const status = natsConnection_GetLastError(connection_, &text);
    return status != NATS_OK && status != NATS_NOT_PERMITTED;
}

natsStatus link::publish(owned_message message) {
    auto const status = natsConnection_PublishMsg(connection_, message.get());
    published_bytes_ += static_cast<std::size_t>(natsMsg_GetDataLength(message.get()));
    published_.push_back(std::move(message));
    if (published_bytes_ >= most_kept_bytes) let_go();
    return status;
}

void link::let_go() {
    published_.clear();
    published_bytes_ = 0;
}

void link::listen(std::string const& inbox, std::chrono::milliseconds limit) {
    require(natsConnection_Subscribe(&replies_, connection_, (inbox + ".*").c_str(), on_reply,
                                     closure()),
            "cannot subscribe to the reply inbox");
    natsSubscription_SetPendingLimits(replies_, -1, -1);
    if (!await_answer(limit.count())) throw error{errc::unavailable, "NATS does not answer"};
    if (!denied_text().empty()) {
        throw error{errc::unsafe_setup,
                    "the user may not subscribe to _INBOX.>, where receipts arrive: allow it"};
    }
}

std::string link::denied_text() const {
    char const* text = nullptr;
    auto const status = natsConnection_GetLastError(connection_, &text);
    return status == NATS_NOT_PERMITTED && text != nullptr ? text : "";
}

}  // namespace outbox::nats_rules
