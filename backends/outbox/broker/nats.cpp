// SPDX-License-Identifier: MIT
#include "outbox/broker/nats.hpp"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <mutex>
#include <set>
#include <string>
#include <utility>

#include "outbox/broker/nats_link.hpp"

namespace outbox {

/// What the channels of one broker share.
struct nats_broker::shared {
    nats_connection_options options{};
    std::mutex mutex{};
    std::set<std::string, std::less<>> denied{};  ///< topics that the server once denied

    static constexpr std::size_t most_denied = 1'000;

    bool was_denied(std::string_view topic) {
        std::lock_guard const lock{mutex};
        return denied.contains(topic);
    }
    void note_denied(std::string_view topic) {
        std::lock_guard const lock{mutex};
        if (denied.size() >= most_denied) denied.clear();
        denied.emplace(topic);
    }
};

struct nats_broker::channel::state {
    nats_rules::link link;
    std::shared_ptr<shared> broker;
    std::string outbox_name;
    std::int64_t flush_milliseconds;
    nats_rules::envelope envelope{};  ///< kept for its memory
    std::vector<receipt> receipts{};

    state(std::shared_ptr<shared> of, channel_setup const& setup)
        : link{of->options, setup},
          broker{std::move(of)},
          outbox_name{setup.outbox_name},
          flush_milliseconds{[&] {
              using std::chrono::milliseconds;
              auto const whole = std::chrono::duration_cast<milliseconds>(setup.publish_timeout);
              return std::max<std::int64_t>(whole.count() / 4, 1);
          }()} {}

    /// Publishes the messages and waits until the server has read them.
    void hand_over(std::vector<dispatch> const& messages);
    /// Those that were written; false when it is unknown what of them went out.
    [[nodiscard]] bool write(std::vector<dispatch> const& messages, std::vector<dispatch>& written);
    [[nodiscard]] std::vector<nats_rules::denial> denied();
};

nats_broker::nats_broker(nats_connection_options options) : shared_{std::make_shared<shared>()} {
    nats_rules::check(options);
    shared_->options = std::move(options);
}

nats_broker::channel nats_broker::connect(channel_setup const& setup) {
    return channel{std::make_unique<channel::state>(shared_, setup)};
}

nats_broker::channel::channel(std::unique_ptr<state> made) : state_{std::move(made)} {}
nats_broker::channel::channel(channel&&) noexcept = default;
nats_broker::channel& nats_broker::channel::operator=(channel&&) noexcept = default;
nats_broker::channel::~channel() = default;

void nats_broker::channel::send(std::span<dispatch const> messages) {
    std::vector<dispatch> trusted;
    std::vector<dispatch> doubtful;
    for (auto const& one : messages) {
        bool const denied = state_->broker->was_denied(one.message->topic);
        (denied ? doubtful : trusted).push_back(one);
    }
    state_->hand_over(trusted);
    state_->hand_over(doubtful);
}

void nats_broker::channel::state::hand_over(std::vector<dispatch> const& messages) {
    std::vector<dispatch> written;
    if (!link.usable() || messages.empty()) return;
    if (!write(messages, written)) return link.heard().break_off();
    if (written.empty()) return;
    // On the same connection: a link never reconnects, so an answer can only come from the server
    // that read these bytes, and what it denied of them it said before it answered.
    bool const answered =
        link.await_answer(flush_milliseconds) && link.usable() && !link.write_failed();
    if (!answered) return link.heard().break_off();
    link.let_go();
    bool const complained = !link.denied_text().empty();
    auto const refusals = denied();
    for (auto const& one : written) {
        auto const& topic = one.message->topic;
        if (std::ranges::any_of(refusals, [&](auto const& known) { return known.means(topic); })) {
            broker->note_denied(topic);
            receipts.push_back({one.token, outcome::unroutable, "the server denies this topic"});
        } else if (!complained) {
            receipts.push_back({one.token, outcome::accepted, {}});
        }
    }
    // The library keeps its last error, and may have forgotten an earlier one of this batch: only a
    // new connection tells about the others.
    if (complained) link.heard().break_off();
}

bool nats_broker::channel::state::write(std::vector<dispatch> const& messages,
                                        std::vector<dispatch>& written) {
    for (auto const& one : messages) {
        nats_rules::owned_message message;
        nats_rules::write_delivery_id(envelope.delivery_id, *one.message, outbox_name);
        auto status = nats_rules::make_message(message, *one.message, envelope);
        if (status == NATS_OK) {
            status = link.publish(std::move(message));
            if (status != NATS_OK && status != NATS_MAX_PAYLOAD) return false;
        }
        if (status == NATS_OK) {
            written.push_back(one);
        } else {
            receipts.push_back(nats_rules::not_sent(one.token, status));
        }
    }
    return true;
}

/// What the server denied on this connection: the last topic for certain, earlier ones if their
/// callback has run by now.
std::vector<nats_rules::denial> nats_broker::channel::state::denied() {
    std::vector<nats_rules::reply> none;
    std::vector<nats_rules::denial> heard;
    link.heard().take(none, heard);
    if (auto last = nats_rules::read_denial(link.denied_text())) heard.push_back(std::move(last));
    return heard;
}

void nats_broker::channel::collect(std::vector<receipt>& arrived) {
    std::ranges::move(state_->receipts, std::back_inserter(arrived));
    state_->receipts.clear();
}

bool nats_broker::channel::usable() const {
    return state_->link.usable();
}

}  // namespace outbox
