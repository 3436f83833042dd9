// SPDX-License-Identifier: MIT
#include "outbox/broker/nats.hpp"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <map>
#include <string>
#include <utility>

#include "outbox/broker/nats_link.hpp"

namespace outbox {

struct nats_broker::channel::state {
    std::shared_ptr<nats_rules::link> link{};
    std::int64_t flush_milliseconds{1};
    std::vector<receipt> receipts{};

    /// Publishes messages of one topic and waits until the server has read them.
    void hand_over(std::string const& topic, std::vector<dispatch> const& messages);
};

nats_broker::nats_broker(nats_connection_options options)
    : options_{std::make_shared<nats_connection_options const>(std::move(options))} {
    nats_rules::check(*options_);
}

nats_broker::channel nats_broker::connect(channel_setup const& setup) {
    auto made = std::make_unique<channel::state>();
    made->link = nats_rules::link::open(*options_, setup.signal, setup.publish_timeout);
    made->flush_milliseconds = std::max<std::int64_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(setup.publish_timeout).count() / 2,
        1);
    return channel{std::move(made)};
}

nats_broker::channel::channel(std::unique_ptr<state> made) : state_{std::move(made)} {}
nats_broker::channel::channel(channel&&) noexcept = default;
nats_broker::channel& nats_broker::channel::operator=(channel&&) noexcept = default;
nats_broker::channel::~channel() = default;

void nats_broker::channel::send(std::span<dispatch const> messages) {
    // By topic, since the server tells of a denied one only by an error that names it. No two
    // messages of a batch have an order between them.
    std::map<std::string, std::vector<dispatch>> by_topic;
    for (auto const& one : messages) by_topic[std::string{one.message->topic}].push_back(one);
    for (auto const& [topic, of_topic] : by_topic) {
        if (!state_->link->usable()) return;
        state_->hand_over(topic, of_topic);
    }
}

void nats_broker::channel::state::hand_over(std::string const& topic,
                                            std::vector<dispatch> const& messages) {
    std::vector<attempt_token> written;
    for (auto const& one : messages) {
        auto const message = nats_rules::make_message(*one.message, {}, {});
        auto const status =
            message ? natsConnection_PublishMsg(link->handle(), message.get()) : NATS_NO_MEMORY;
        if (status == NATS_MAX_PAYLOAD) {
            receipts.push_back({one.token, outcome::refused, "larger than the server takes"});
        } else if (status == NATS_NO_MEMORY) {
            receipts.push_back({one.token, outcome::unavailable, "out of memory"});
        } else if (status != NATS_OK) {
            return link->break_off();
        } else {
            written.push_back(one.token);
        }
    }
    if (written.empty()) return;
    // On the same connection: a link never reconnects, so an answer can only come from the server
    // that read these bytes.
    if (natsConnection_FlushTimeout(link->handle(), flush_milliseconds) != NATS_OK ||
        !link->usable()) {
        return link->break_off();
    }
    char const* text = nullptr;
    natsConnection_GetLastError(link->handle(), &text);
    bool const denied = nats_rules::denied_subject(text == nullptr ? "" : text) == topic;
    for (auto const token : written) {
        receipts.push_back(denied
                               ? receipt{token, outcome::unroutable, "the server denies this topic"}
                               : receipt{token, outcome::accepted, {}});
    }
    // The library keeps its last error: only a new connection tells whether the topic is still
    // denied.
    if (denied) link->break_off();
}

void nats_broker::channel::collect(std::vector<receipt>& arrived) {
    std::ranges::move(state_->receipts, std::back_inserter(arrived));
    state_->receipts.clear();
}

bool nats_broker::channel::usable() const {
    return state_->link->usable();
}

}  // namespace outbox
