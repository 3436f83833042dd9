// SPDX-License-Identifier: MIT
//
// What nats.c can do at its best: messages with ids for duplicate detection, published to JetStream
// through the client's own connection, acknowledgements counted at an inbox of one's own, and at
// most a window of them outstanding. No outbox; for comparison only.
#pragma once

#include <nats/nats.h>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>

namespace bench::floor {

inline void require(natsStatus status, char const* what) {
    if (status != NATS_OK) {
        throw std::runtime_error{std::string{what} + ": " + natsStatus_GetText(status)};
    }
}

class jetstream {
public:
    explicit jetstream(std::string const& url) {
        require(natsConnection_ConnectTo(&connection_, url.c_str()), "connect");
        require(natsInbox_Create(&inbox_), "inbox");
        require(natsConnection_Subscribe(&subscription_, connection_, inbox_, acknowledged, this),
                "subscribe");
        natsSubscription_SetPendingLimits(subscription_, -1, -1);
        require(natsConnection_Flush(connection_), "flush");
    }
    jetstream(jetstream const&) = delete;
    jetstream& operator=(jetstream const&) = delete;
    ~jetstream() {
        natsSubscription_Destroy(subscription_);
        natsInbox_Destroy(inbox_);
        natsConnection_Destroy(connection_);
    }

    void publish(char const* topic, std::string_view payload, char const* id) {
        natsMsg* message = nullptr;
        require(natsMsg_Create(&message, topic, inbox_, payload.data(),
                               static_cast<int>(payload.size())),
                "message");
        natsMsgHeader_Set(message, "Nats-Msg-Id", id);
        auto const status = natsConnection_PublishMsg(connection_, message);
        natsMsg_Destroy(message);
        require(status, "publish");
        ++sent_;
    }
    /// Until no more than `open` have no acknowledgement yet.
    void wait_for_all_but(std::size_t open) {
        std::unique_lock lock{mutex_};
        while (sent_ - heard_ > open && refused_ == 0) {
            wanted_ = sent_ - open;
            // A bound, lest a lost answer hangs the benchmark; it is never reached.
            if (arrived_.wait_for(lock, std::chrono::seconds{30}) == std::cv_status::timeout) {
                throw std::runtime_error{"an acknowledgement did not come"};
            }
        }
        if (refused_ > 0) throw std::runtime_error{"JetStream refused a message"};
    }

private:
    static void acknowledged(natsConnection* /*from*/, natsSubscription* /*of*/, natsMsg* message,
                             void* self) {
        auto& mine = *static_cast<jetstream*>(self);
        std::string_view const text{natsMsg_GetData(message),
                                    static_cast<std::size_t>(natsMsg_GetDataLength(message))};
        bool const good = text.find("\"seq\"") != std::string_view::npos &&
                          text.find("\"error\"") == std::string_view::npos;
        natsMsg_Destroy(message);
        std::lock_guard const lock{mine.mutex_};
        good ? ++mine.heard_ : ++mine.refused_;
        if (!good || mine.heard_ >= mine.wanted_) mine.arrived_.notify_one();
    }

    natsConnection* connection_{nullptr};
    natsInbox* inbox_{nullptr};
    natsSubscription* subscription_{nullptr};
    std::size_t sent_{0};
    std::mutex mutex_{};
    std::condition_variable arrived_{};
    std::size_t heard_{0};
    std::size_t refused_{0};
    std::size_t wanted_{0};
};

}  // namespace bench::floor
