// SPDX-License-Identifier: MIT
#include "outbox/broker/jetstream.hpp"

#include <algorithm>
#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "outbox/broker/jetstream_reply.hpp"
#include "outbox/broker/nats_link.hpp"

namespace outbox {

namespace nats_rules {

acknowledgement read_acknowledgement(std::string_view text) {
    auto const parsed = nlohmann::json::parse(text, nullptr, false);
    if (!parsed.is_object()) return {outcome::unknown, {}, "the reply is no acknowledgement"};
    if (auto const failed = parsed.find("error"); failed != parsed.end() && failed->is_object()) {
        auto const code = failed->value("err_code", std::int64_t{0});
        return {
            outcome_of(code),
            {},
            failed->value("description", std::string{"error"}) + " (" + std::to_string(code) + ")"};
    }
    auto const stream = parsed.find("stream");
    auto const sequence = parsed.find("seq");
    if (stream == parsed.end() || !stream->is_string() || sequence == parsed.end() ||
        !sequence->is_number_unsigned() || sequence->get<std::uint64_t>() == 0) {
        return {outcome::unknown, {}, "the reply names no stream and sequence"};
    }
    return {outcome::accepted, stream->get<std::string>(), {}};
}

}  // namespace nats_rules

namespace {

using nats_rules::owned;

using owned_context = owned<jsCtx, jsCtx_Destroy>;
using owned_stream = owned<jsStreamInfo, jsStreamInfo_Destroy>;

/// A stream that messages may go to, as it was when the channel was opened.
struct known_stream {
    std::vector<std::string> subjects{};
};

std::int64_t nanoseconds(duration time) {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(time).count();
}

owned_stream find_stream(jsCtx* context, std::string const& name, jsErrCode& code) {
    jsStreamInfo* found = nullptr;
    auto const status = js_GetStreamInfo(&found, context, name.c_str(), nullptr, &code);
    if (status != NATS_OK && code != JSStreamNotFoundErr) {
        throw error{errc::unavailable,
                    "stream \"" + name + "\" cannot be looked up: " + nats_rules::text_of(status)};
    }
    return owned_stream{status == NATS_OK ? found : nullptr};
}

owned_stream create(jsCtx* context, jetstream_stream const& wanted) {
    std::vector<char const*> subjects;
    for (auto const& one : wanted.subjects) subjects.push_back(one.c_str());
    if (subjects.empty()) subjects.push_back(wanted.name.c_str());
    jsStreamConfig config;
    jsStreamConfig_Init(&config);
    config.Name = wanted.name.c_str();
    config.Subjects = subjects.data();
    config.SubjectsLen = static_cast<int>(subjects.size());
    config.Storage = wanted.in_memory ? js_MemoryStorage : js_FileStorage;
    config.Replicas = wanted.replicas;
    config.Duplicates = nanoseconds(wanted.duplicate_window);
    config.MaxAge = nanoseconds(wanted.max_age);
    config.MaxBytes = wanted.max_bytes;
    jsStreamInfo* made = nullptr;
    jsErrCode code{};
    auto const status = js_AddStream(&made, context, &config, nullptr, &code);
    if (status == NATS_OK) return owned_stream{made};
    // Another worker was quicker, perhaps.
    if (auto found = find_stream(context, wanted.name, code)) return found;
    throw error{errc::unavailable, "stream \"" + wanted.name +
                                       "\" cannot be created: " + nats_rules::text_of(status) +
                                       " (" + std::to_string(code) + ")"};
}

void require_safe(jsStreamInfo const& stream, channel_setup const& setup) {
    auto const& config = *stream.Config;
    auto const refuse = [&](std::string const& why) {
        throw error{errc::unsafe_setup, "stream \"" + std::string{config.Name} + "\" " + why};
    };
    if (config.NoAck) refuse("does not acknowledge: set no_ack to false");
    if (config.Retention == js_InterestPolicy) {
        refuse(
            "drops messages that no consumer is interested in: use limits or work-queue retention");
    }
    // From the first sending: a lease may run out over it, its receipt may be lost, and so may that
    // of the next owner's.
    auto const needed = setup.lease + 2 * setup.publish_timeout;
    if (config.Duplicates < nanoseconds(needed)) {
        auto const milliseconds = [](std::int64_t ns) { return std::to_string(ns / 1'000'000); };
        refuse("forgets message ids after " + milliseconds(config.Duplicates) +
               " ms, and a message may be sent again for " + milliseconds(nanoseconds(needed)) +
               " ms: raise duplicate_window or lower lease_duration");
    }
}

}  // namespace

struct jetstream_broker::channel::state {
    std::shared_ptr<nats_rules::link> link{};
    std::string inbox{};
    std::string outbox_name{};
    std::map<std::string, known_stream> streams{};  ///< empty: any
    std::map<attempt_token, std::string> topics{};  ///< of what is in flight
    std::vector<receipt> at_once{};                 ///< receipts that need no server
    std::vector<nats_rules::reply> replies{};
    std::vector<std::string> denied{};

    [[nodiscard]] receipt understand(nats_rules::reply const& heard, std::string const& topic) {
        if (heard.no_responders) return unroutable(heard.token, topic);
        auto read = nats_rules::read_acknowledgement(heard.text);
        if (read.what == outcome::accepted && !streams.empty() && !streams.contains(read.stream)) {
            return {heard.token, outcome::unknown,
                    "acknowledged by stream \"" + detail::printable(read.stream) +
                        "\", which is not among the configured ones"};
        }
        return {heard.token, read.what, std::move(read.reason)};
    }
    /// Nothing took the topic. The streams were there when the channel was opened: if none of them
    /// takes it, that is its own fault; if one does, that one has gone.
    [[nodiscard]] receipt unroutable(attempt_token token, std::string const& topic) const {
        if (streams.empty()) return {token, outcome::unroutable, "no stream takes this topic"};
        for (auto const& [name, stream] : streams) {
            for (auto const& pattern : stream.subjects) {
                if (nats_rules::matches(pattern, topic)) {
                    return {token, outcome::unavailable, "stream \"" + name + "\" is gone"};
                }
            }
        }
        return {token, outcome::rejected, "none of the configured streams takes this topic"};
    }
};

jetstream_broker::jetstream_broker(jetstream_options options)
    : options_{std::make_shared<jetstream_options const>(std::move(options))} {
    nats_rules::check(options_->connection);
    if (auto const& made = options_->create_stream; made && made->name.empty()) {
        throw error{errc::invalid_option, "create_stream.name is empty"};
    }
}

jetstream_broker::channel jetstream_broker::connect(channel_setup const& setup) {
    auto made = std::make_unique<channel::state>();
    made->link = nats_rules::link::open(options_->connection, setup.signal, setup.publish_timeout);
    made->outbox_name = setup.outbox_name;

    jsOptions options;
    jsOptions_Init(&options);
    options.Wait = options_->connection.connect_timeout.count();
    jsCtx* raw = nullptr;
    if (natsConnection_JetStream(&raw, made->link->handle(), &options) != NATS_OK) {
        throw error{errc::unavailable, "JetStream is not to be had"};
    }
    owned_context const context{raw};
    auto names = options_->streams;
    if (options_->create_stream) names.push_back(options_->create_stream->name);
    for (auto const& name : names) {
        jsErrCode code{};
        auto stream = find_stream(raw, name, code);
        if (!stream && options_->create_stream && options_->create_stream->name == name) {
            stream = create(raw, *options_->create_stream);
        }
        if (!stream) throw error{errc::unavailable, "stream \"" + name + "\" does not exist"};
        require_safe(*stream, setup);
        auto& known = made->streams[name];
        for (int i = 0; i < stream->Config->SubjectsLen; ++i) {
            known.subjects.emplace_back(stream->Config->Subjects[i]);
        }
    }
    natsInbox* inbox = nullptr;
    if (natsInbox_Create(&inbox) != NATS_OK) throw error{errc::unavailable, "no inbox"};
    made->inbox = inbox;
    natsInbox_Destroy(inbox);
    made->link->listen(made->inbox);
    return channel{std::move(made)};
}

jetstream_broker::channel::channel(std::unique_ptr<state> made) : state_{std::move(made)} {}
jetstream_broker::channel::channel(channel&&) noexcept = default;
jetstream_broker::channel& jetstream_broker::channel::operator=(channel&&) noexcept = default;
jetstream_broker::channel::~channel() = default;

void jetstream_broker::channel::send(std::span<dispatch const> messages) {
    auto& mine = *state_;
    for (auto const& one : messages) {
        if (!mine.link->usable()) return;
        auto const& what = *one.message;
        auto const duplicate_id =
            mine.outbox_name + "." + to_string(what.id) + "." + std::to_string(what.generation);
        auto const message = nats_rules::make_message(
            what, mine.inbox + "." + std::to_string(one.token), duplicate_id);
        if (!message) {
            mine.at_once.push_back({one.token, outcome::unavailable, "out of memory"});
            continue;
        }
        auto const status = natsConnection_PublishMsg(mine.link->handle(), message.get());
        if (status == NATS_MAX_PAYLOAD) {
            mine.at_once.push_back({one.token, outcome::refused, "larger than the server takes"});
        } else if (status != NATS_OK) {
            // Part of it may be on its way; nothing more is sent after it.
            mine.link->break_off();
            return;
        } else {
            mine.topics.emplace_hint(mine.topics.end(), one.token, what.topic);
        }
    }
}

void jetstream_broker::channel::collect(std::vector<receipt>& arrived) {
    auto& mine = *state_;
    std::ranges::move(mine.at_once, std::back_inserter(arrived));
    mine.at_once.clear();
    mine.replies.clear();
    mine.denied.clear();
    mine.link->take(mine.replies, mine.denied);
    for (auto const& heard : mine.replies) {
        // At most one receipt a token, and none for what was never sent here.
        auto const sent = mine.topics.extract(heard.token);
        if (!sent.empty()) arrived.push_back(mine.understand(heard, sent.mapped()));
    }
    for (auto const& subject : mine.denied) {
        std::erase_if(mine.topics, [&](auto const& sent) {
            if (sent.second != subject) return false;
            arrived.push_back({sent.first, outcome::unroutable, "the server denies this topic"});
            return true;
        });
    }
}

bool jetstream_broker::channel::usable() const {
    return state_->link->usable();
}

}  // namespace outbox
