// SPDX-License-Identifier: MIT
#include "outbox/broker/jetstream.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "outbox/broker/jetstream_reply.hpp"
#include "outbox/broker/jetstream_sent.hpp"
#include "outbox/broker/jetstream_streams.hpp"
#include "outbox/broker/nats_link.hpp"

namespace outbox {

namespace {

/// With no more than so many on their way, none waits for another.
constexpr std::size_t worth_no_wait = 16;

}  // namespace

struct jetstream_broker::channel::state {
    nats_rules::link link;
    std::string inbox;
    nats_rules::known_streams streams;
    std::string outbox_name;
    std::size_t remembered;  ///< without a receipt, at the most
    nats_rules::sent_messages sent{};
    nats_rules::envelope envelope{};  ///< kept for its memory
    std::vector<receipt> at_once{};   ///< receipts that need no server
    std::vector<nats_rules::reply> replies{};
    std::vector<nats_rules::denial> denied{};

    state(jetstream_options const& options, channel_setup const& setup)
        : link{options.connection, setup},
          inbox{listen(options)},
          streams{link, options, setup},
          outbox_name{setup.outbox_name},
          remembered{8 * setup.window} {}

    std::string listen(jetstream_options const& options) {
        natsInbox* made = nullptr;
        if (natsInbox_Create(&made) != NATS_OK) throw error{errc::unavailable, "out of memory"};
        std::string name{made};
        natsInbox_Destroy(made);
        link.listen(name, options.connection.connect_timeout);
        return name;
    }
    /// False when nothing more may be written.
    [[nodiscard]] bool write(dispatch const& one);
    void take(nats_rules::reply const& heard, nats_rules::sent_messages::message const& answered,
              std::vector<receipt>& arrived);
};

jetstream_broker::jetstream_broker(jetstream_options options)
    : options_{std::make_shared<jetstream_options const>(std::move(options))} {
    nats_rules::check(*options_);
}

jetstream_broker::channel jetstream_broker::connect(channel_setup const& setup) {
    return channel{std::make_unique<channel::state>(*options_, setup)};
}

jetstream_broker::channel::channel(std::unique_ptr<state> made) : state_{std::move(made)} {}
jetstream_broker::channel::channel(channel&&) noexcept = default;
jetstream_broker::channel& jetstream_broker::channel::operator=(channel&&) noexcept = default;
jetstream_broker::channel::~channel() = default;

void jetstream_broker::channel::send(std::span<dispatch const> messages) {
    auto& mine = *state_;
    if (mine.link.write_failed()) mine.link.heard().break_off();
    mine.remembered = std::max(mine.remembered, 2 * messages.size());
    bool flawed = false;
    for (auto const& one : messages) {
        if (!mine.link.usable()) return;
        if (auto flaw = mine.streams.flaw(one.message->topic)) {
            mine.at_once.push_back({one.token, outcome::unavailable, *std::move(flaw)});
            flawed = true;
        } else if (!mine.write(one)) {
            mine.link.heard().break_off();
        }
    }
    mine.link.let_go();
    // The library would write them within a millisecond, which is to fill its buffer.
    bool const few = mine.sent.open() <= worth_no_wait;
    if (few && mine.link.flush(1) == nats_rules::link::flushed::failed)
        mine.link.heard().break_off();
    // The next channel sees whether it was mended.
    if (flawed) mine.link.heard().break_off();
}

bool jetstream_broker::channel::state::write(dispatch const& one) {
    auto const& what = *one.message;
    nats_rules::owned_message message;
    auto const number = sent.add(one.token, what, remembered);
    envelope.reply_to.assign(inbox).append(".").append(std::to_string(number));
    nats_rules::write_delivery_id(envelope.delivery_id, what, outbox_name);
    envelope.behind.clear();
    if (one.behind != nullptr)
        nats_rules::write_delivery_id(envelope.behind, *one.behind, outbox_name);
    auto status = nats_rules::make_message(message, what, envelope);
    if (status == NATS_OK) {
        status = link.publish(std::move(message));
        // Part of it may be on its way.
        if (status != NATS_OK && status != NATS_MAX_PAYLOAD) return false;
    }
    if (status != NATS_OK) {
        sent.retire(number);
        at_once.push_back(nats_rules::not_sent(one.token, status));
    }
    return true;
}

void jetstream_broker::channel::collect(std::vector<receipt>& arrived) {
    auto& mine = *state_;
    std::ranges::move(mine.at_once, std::back_inserter(arrived));
    mine.at_once.clear();
    mine.replies.clear();
    mine.denied.clear();
    mine.link.heard().take(mine.replies, mine.denied);
    for (auto const& heard : mine.replies) {
        // At most one receipt a token, and none for what was never sent here.
        if (auto const* const sent = mine.sent.find(heard.number)) mine.take(heard, *sent, arrived);
    }
    for (auto const& one : mine.denied) {
        mine.sent.retire_all(
            [&](std::string_view topic) { return one.means(topic); },
            [&](attempt_token token) {
                arrived.push_back({token, outcome::unroutable, "the server denies this topic"});
            });
    }
}

void jetstream_broker::channel::state::take(nats_rules::reply const& heard,
                                            nats_rules::sent_messages::message const& answered,
                                            std::vector<receipt>& arrived) {
    auto const token = answered.token;
    if (heard.no_responders()) {
        arrived.push_back(streams.unroutable(token, answered.topic));
        return sent.retire(heard.number);
    }
    auto said = nats_rules::read_acknowledgement(heard.text());
    if (said.what != outcome::accepted) {
        arrived.push_back({token, said.what, std::move(said.reason)});
        return sent.retire(heard.number);
    }
    auto meaning = streams.acknowledged(token, said.stream);
    if (!streams.knows(said.stream)) {
        // It was created later: the next channel knows it.
        if (streams.is_news(said.stream)) link.heard().break_off();
        sent.retire(heard.number);
    } else if (!sent.acknowledge(heard.number, said.stream, said.sequence)) {
        return;
    }
    arrived.push_back(std::move(meaning));
}

bool jetstream_broker::channel::can_chain(std::string_view topic, std::string_view next) const {
    return state_->streams.can_chain(topic, next);
}

void jetstream_broker::channel::wake_for(std::size_t receipts) {
    state_->link.heard().wake_for(receipts);
}

bool jetstream_broker::channel::usable() const {
    return state_->link.usable();
}

}  // namespace outbox
