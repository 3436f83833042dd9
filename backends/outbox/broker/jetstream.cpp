// SPDX-License-Identifier: MIT
#include "outbox/broker/jetstream.hpp"

#include <algorithm>
#include <deque>
#include <iterator>
#include <utility>

#include "outbox/broker/jetstream_reply.hpp"
#include "outbox/broker/jetstream_streams.hpp"
#include "outbox/broker/nats_link.hpp"

namespace outbox {

struct jetstream_broker::channel::state {
    struct sent_message {
        attempt_token token{0};
        std::string topic{};
        bool open{true};
    };

    nats_rules::link link;
    std::string inbox;
    nats_rules::known_streams streams;
    std::string outbox_name;
    std::size_t remembered;  ///< without a receipt, at the most
    /// What has no receipt yet, and some that has one, in the order of sending.
    std::deque<sent_message> sent{};
    nats_rules::envelope envelope{};  ///< kept for its memory
    std::vector<receipt> at_once{};   ///< receipts that need no server
    std::vector<nats_rules::reply> replies{};
    std::vector<nats_rules::denial> denied{};

    state(jetstream_options const& options, channel_setup const& setup)
        : link{options.connection, setup},
          inbox{listen(options)},
          streams{link, options, setup},
          outbox_name{setup.outbox_name},
          remembered{4 * setup.window} {}

    std::string listen(jetstream_options const& options) {
        natsInbox* made = nullptr;
        if (natsInbox_Create(&made) != NATS_OK) throw error{errc::unavailable, "out of memory"};
        std::string name{made};
        natsInbox_Destroy(made);
        link.listen(name, options.connection.connect_timeout);
        return name;
    }
    void write_duplicate_id(std::string& to, record const& of) const {
        to.assign(outbox_name).append(".");
        append_text(to, of.id);
        to.append(".").append(std::to_string(of.generation));
    }
    /// What was sent with this token, if it has no receipt yet.
    [[nodiscard]] sent_message* find(attempt_token token) {
        auto const found = std::ranges::lower_bound(sent, token, {}, &sent_message::token);
        return found == sent.end() || found->token != token || !found->open ? nullptr : &*found;
    }
    void forget_answered() {
        while (!sent.empty() && !sent.front().open) sent.pop_front();
    }
    /// Behind one that waits for long, as of a slow stream, many are answered: it stays. Where so
    /// many have no receipt, the relay gave the oldest ones up long ago.
    void forget_old() {
        if (sent.size() <= 2 * remembered) return;
        std::erase_if(sent, [](sent_message const& one) { return !one.open; });
        while (sent.size() > remembered) sent.pop_front();
    }
    /// False when nothing more may be written.
    [[nodiscard]] bool write(dispatch const& one);
    [[nodiscard]] receipt understand(nats_rules::reply const& heard, std::string const& topic);
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
    // The next channel sees whether it was mended.
    if (flawed) mine.link.heard().break_off();
    mine.remembered = std::max(mine.remembered, messages.size());
    mine.forget_old();
}

bool jetstream_broker::channel::state::write(dispatch const& one) {
    auto const& what = *one.message;
    nats_rules::owned_message message;
    envelope.reply_to.assign(inbox).append(".").append(std::to_string(one.token));
    write_duplicate_id(envelope.duplicate_id, what);
    envelope.behind.clear();
    if (one.behind != nullptr) write_duplicate_id(envelope.behind, *one.behind);
    auto status = nats_rules::make_message(message, what, envelope);
    if (status == NATS_OK) {
        status = natsConnection_PublishMsg(link.handle(), message.get());
        // Part of it may be on its way.
        if (status != NATS_OK && status != NATS_MAX_PAYLOAD) return false;
    }
    if (status == NATS_OK) {
        sent.push_back({one.token, std::string{what.topic}});
    } else {
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
        auto* const sent = mine.find(heard.token);
        if (sent == nullptr) continue;
        sent->open = false;
        arrived.push_back(mine.understand(heard, sent->topic));
    }
    for (auto const& one : mine.denied) {
        for (auto& sent : mine.sent) {
            if (!sent.open || !one.means(sent.topic)) continue;
            sent.open = false;
            arrived.push_back({sent.token, outcome::unroutable, "the server denies this topic"});
        }
    }
    mine.forget_answered();
}

receipt jetstream_broker::channel::state::understand(nats_rules::reply const& heard,
                                                     std::string const& topic) {
    if (heard.no_responders()) return streams.unroutable(heard.token, topic);
    auto read = nats_rules::read_acknowledgement(heard.text());
    if (read.what != outcome::accepted) return {heard.token, read.what, std::move(read.reason)};
    // A stream that was created later: the next channel knows it.
    if (streams.is_news(read.stream)) link.heard().break_off();
    return streams.acknowledged(heard.token, read.stream);
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
