// SPDX-License-Identifier: MIT
#include "outbox/broker/jetstream_streams.hpp"

#include <algorithm>
#include <chrono>

namespace outbox::nats_rules {

namespace {

using owned_context = owned<jsCtx, jsCtx_Destroy>;
using owned_stream = owned<jsStreamInfo, jsStreamInfo_Destroy>;
using owned_list = owned<jsStreamInfoList, jsStreamInfoList_Destroy>;

std::int64_t nanoseconds(duration time) {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(time).count();
}

std::string quoted(std::string_view stream) {
    return "stream \"" + detail::printable(stream) + "\"";
}

/// What stood in the way of a request to JetStream.
[[noreturn]] void fail(link const& server, std::string const& what, natsStatus status,
                       jsErrCode code) {
    auto why = text_of(status);
    if (status == NATS_NO_RESPONDERS || code == JSNotEnabledErr ||
        code == JSNotEnabledForAccountErr)
        why = "JetStream is not enabled for this account";
    if (code != 0) why += " (" + std::to_string(code) + ")";
    if (auto const denied = server.denied_text(); !denied.empty()) why += "; " + denied;
    throw error{errc::unavailable, what + ": " + why};
}

owned_stream find(link const& server, jsCtx* context, std::string const& name) {
    jsStreamInfo* found = nullptr;
    jsErrCode code{};
    auto const status = js_GetStreamInfo(&found, context, name.c_str(), nullptr, &code);
    if (status == NATS_OK) return owned_stream{found};
    if (status == NATS_NOT_FOUND || code == JSStreamNotFoundErr) return {};
    fail(server, quoted(name) + " cannot be looked up", status, code);
}

owned_stream create(link const& server, jsCtx* context, jetstream_stream const& wanted) {
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
    if (auto found = find(server, context, wanted.name)) return found;
    fail(server, quoted(wanted.name) + " cannot be created", status, code);
}

std::string flaw_of(jsStreamConfig const& config, channel_setup const& setup) {
    if (config.SubjectsLen == 0) return "takes no subjects of its own: name the one that does";
    if (config.NoAck) return "does not acknowledge: set no_ack to false";
    if (config.Retention == js_InterestPolicy) {
        return "drops messages that no consumer is interested in: use limits or work-queue "
               "retention";
    }
    // From the first sending: a lease may run out over it, its receipt may be lost, and so may that
    // of the next owner's.
    auto const needed = nanoseconds(setup.lease + 2 * setup.publish_timeout);
    if (config.Duplicates >= needed) return {};
    auto const milliseconds = [](std::int64_t time) { return std::to_string(time / 1'000'000); };
    return "forgets message ids after " + milliseconds(config.Duplicates) +
           " ms, and a message may be sent again for " + milliseconds(needed) +
           " ms: raise duplicate_window or lower lease_duration";
}

}  // namespace

known_streams::known_streams(link const& server, jetstream_options const& options,
                             channel_setup const& setup) {
    jsOptions settings;
    jsOptions_Init(&settings);
    settings.Wait = options.connection.connect_timeout.count();
    jsCtx* context = nullptr;
    auto const status = natsConnection_JetStream(&context, server.handle(), &settings);
    owned_context const held{context};
    if (status != NATS_OK) fail(server, "JetStream cannot be used", status, {});

    auto names = options.streams;
    auto const& wanted = options.create_stream;
    if (wanted && std::ranges::find(names, wanted->name) == names.end()) {
        names.push_back(wanted->name);
    }
    named_ = !names.empty();
    if (!named_) list(server, context, setup);
    for (auto const& name : names) {
        auto found = find(server, context, name);
        if (!found && wanted && wanted->name == name) found = create(server, context, *wanted);
        if (!found) throw error{errc::unavailable, quoted(name) + " does not exist"};
        add(*found, setup);
        if (auto const& flaw = streams_.at(name).flaw; !flaw.empty()) {
            throw error{errc::unsafe_setup, quoted(name) + " " + flaw};
        }
    }
}

/// A user may be denied the list: then any stream counts.
void known_streams::list(link const& server, jsCtx* context, channel_setup const& setup) {
    jsStreamInfoList* found = nullptr;
    jsErrCode code{};
    auto const status = js_Streams(&found, context, nullptr, &code);
    owned_list const held{found};
    listed_ = status == NATS_OK || status == NATS_NOT_FOUND;
    if (!listed_ && server.denied_text().empty()) {
        fail(server, "streams cannot be listed", status, code);
    }
    if (status != NATS_OK) return;
    for (int i = 0; i < found->Count; ++i) add(*found->List[i], setup);
}

void known_streams::add(jsStreamInfo const& found, channel_setup const& setup) {
    auto& known = streams_[found.Config->Name];
    for (int i = 0; i < found.Config->SubjectsLen; ++i) {
        known.subjects.emplace_back(found.Config->Subjects[i]);
    }
    // A replicated stream remembers the id of a message that it then refuses, and takes its
    // repetition for a duplicate.
    known.keeps_order = found.Config->Replicas <= 1;
    known.flaw = flaw_of(*found.Config, setup);
    flawed_ = flawed_ || !known.flaw.empty();
}

bool known_streams::can_chain(std::string_view topic, std::string_view next) const {
    auto const* const stream = taker(topic);
    return stream != nullptr && stream->second.keeps_order &&
           (next == topic || taker(next) == stream);
}

known_streams::entry const* known_streams::taker(std::string_view topic) const {
    for (auto const& one : streams_) {
        if (std::ranges::any_of(one.second.subjects,
                                [&](auto const& pattern) { return matches(pattern, topic); })) {
            return &one;
        }
    }
    return nullptr;
}

receipt known_streams::acknowledged(attempt_token token, std::string const& stream) const {
    if (streams_.contains(stream) || (!named_ && !listed_)) return {token, outcome::accepted, {}};
    return {token, outcome::unknown,
            "acknowledged by " + quoted(stream) +
                (named_ ? ", which is not among the configured ones"
                        : ", which the server did not list")};
}

receipt known_streams::unroutable(attempt_token token, std::string_view topic) const {
    // It was there when the channel was opened.
    if (auto const* const one = taker(topic)) {
        return {token, outcome::unavailable, quoted(one->first) + " is gone"};
    }
    if (named_) {
        return {token, outcome::rejected, "none of the configured streams takes this topic"};
    }
    return {token, outcome::unroutable, "no stream takes this topic"};
}

std::optional<std::string> known_streams::flaw(std::string_view topic) const {
    if (!flawed_) return std::nullopt;
    auto const* const one = taker(topic);
    if (one == nullptr || one->second.flaw.empty()) return std::nullopt;
    return quoted(one->first) + " " + one->second.flaw;
}

void check(jetstream_options const& options) {
    auto const refuse = [](std::string const& why) { throw error{errc::invalid_option, why}; };
    auto const is_name = [](std::string_view name) {
        return !name.empty() && name.find_first_of(".*>/\\") == std::string_view::npos &&
               !check_topic(name);
    };
    check(options.connection);
    for (std::size_t i = 0; i < options.streams.size(); ++i) {
        if (!is_name(options.streams[i])) {
            refuse("streams[" + std::to_string(i) + "] is not a stream's name");
        }
    }
    if (!options.create_stream) return;
    auto const& made = *options.create_stream;
    if (!is_name(made.name)) refuse("create_stream.name is not a stream's name");
    for (std::size_t i = 0; i < made.subjects.size(); ++i) {
        auto plain = made.subjects[i];
        std::ranges::replace_if(
            plain, [](char c) { return c == '*' || c == '>'; }, '_');
        if (auto const wrong = check_topic(plain)) {
            refuse("create_stream.subjects[" + std::to_string(i) + "]: " + wrong->text());
        }
    }
    auto const out_of_bounds = [&](std::string const& field, std::int64_t value,
                                   std::string const& bound) {
        refuse("create_stream." + field + " = " + std::to_string(value) + ", must be " + bound);
    };
    if (made.replicas < 1 || made.replicas > 5) {
        out_of_bounds("replicas", made.replicas, "between 1 and 5");
    }
    if (made.max_age.count() < 0) out_of_bounds("max_age", made.max_age.count(), "0 or above");
    auto const window = made.duplicate_window.count();
    if (window < 1) out_of_bounds("duplicate_window", window, "at least 1 s");
    if (made.max_age.count() > 0 && made.duplicate_window > made.max_age) {
        out_of_bounds("duplicate_window", window, "at most max_age");
    }
    if (made.max_bytes != -1 && made.max_bytes < 1) {
        out_of_bounds("max_bytes", made.max_bytes, "-1 (no limit) or above 0");
    }
}

}  // namespace outbox::nats_rules
