// SPDX-License-Identifier: MIT
//
// What a relay does with a broker's channel, by hand: send some messages, wait for their receipts.
#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "outbox/concepts.hpp"

namespace outbox::testing {

inline outbox::message_id numbered_id(std::uint32_t number) {
    outbox::message_id id{};
    for (std::size_t i = 0; i < 4; ++i) {
        id.bytes[15 - i] = static_cast<std::uint8_t>(number >> (8 * i));
    }
    id.bytes[6] = 0x70;
    id.bytes[8] = 0x80;
    return id;
}

template <class Broker>
class publishing {
public:
    explicit publishing(Broker broker, std::chrono::milliseconds lease = std::chrono::seconds{20})
        : broker_{std::move(broker)},
          setup_{.outbox_name = "public.outbox",
                 .signal = signal_,
                 .publish_timeout = lease / 4,
                 .lease = lease,
                 .window = 1'000},
          channel_{broker_.connect(setup_)} {}

    /// Records for `send`; the views stay valid as long as this object.
    outbox::record& add(std::string topic, std::string payload, std::string headers = {}) {
        auto& text = texts_.emplace_back();
        text = {std::move(topic), std::move(payload), std::move(headers)};
        auto& one = records_.emplace_back();
        one.id = numbered_id(next_number());
        one.topic = text[0];
        one.payload = text[1];
        one.headers = text[2];
        return one;
    }
    outbox::attempt_token send(outbox::record const& one, outbox::record const* behind = nullptr) {
        outbox::dispatch const message{++tokens_, &one, behind};
        channel_.send({&message, 1});
        return tokens_;
    }
    /// Sends all that was added, in one batch.
    void send_all() {
        std::vector<outbox::dispatch> batch;
        for (auto const& one : records_) batch.push_back({++tokens_, &one});
        channel_.send(batch);
    }
    /// Waits until there are so many receipts in all, or the channel broke, or nothing came for
    /// long.
    void wait_for(std::size_t count) {
        std::vector<outbox::receipt> arrived;
        for (int i = 0; i < 1'000 && receipts.size() < count; ++i) {
            bool const usable = channel_.usable();
            arrived.clear();
            channel_.collect(arrived);
            for (auto& one : arrived) receipts.emplace(one.token, std::move(one));
            if (receipts.size() >= count || !usable) return;
            signal_.wait(std::chrono::milliseconds{10});
        }
    }
    [[nodiscard]] outbox::receipt publish(outbox::record const& one) {
        auto const token = send(one);
        wait_for(receipts.size() + 1);
        auto const found = receipts.find(token);
        return found == receipts.end() ? outbox::receipt{token, outbox::outcome::unknown, "none"}
                                       : found->second;
    }
    [[nodiscard]] outbox::receipt publish(std::string topic, std::string payload,
                                          std::string headers = {}) {
        return publish(add(std::move(topic), std::move(payload), std::move(headers)));
    }
    [[nodiscard]] typename Broker::channel& channel() {
        return channel_;
    }

    std::multimap<outbox::attempt_token, outbox::receipt> receipts{};

private:
    /// Not twice in a process: a broker may remember ids longer than a channel lives.
    static std::uint32_t next_number() {
        static std::uint32_t last = 0;
        return ++last;
    }

    Broker broker_;
    outbox::wakeup signal_{};
    outbox::channel_setup setup_;
    typename Broker::channel channel_;
    std::deque<std::array<std::string, 3>> texts_{};
    std::deque<outbox::record> records_{};
    outbox::attempt_token tokens_{0};
};

template <class Broker>
publishing(Broker) -> publishing<Broker>;

}  // namespace outbox::testing
