// SPDX-License-Identifier: MIT
#include "outbox/broker/jetstream_reply.hpp"

#include <nlohmann/json.hpp>

#include "outbox/validation.hpp"

namespace outbox::nats_rules {

namespace {

/// An error of JetStream's has a number; what has none is somebody else's answer.
acknowledgement read_error(nlohmann::json const& failed) {
    auto const code = failed.find("err_code");
    if (code == failed.end() || !code->is_number_integer()) {
        return {outcome::unknown, {}, "the reply is no acknowledgement"};
    }
    auto const number = code->get<std::int64_t>();
    auto const text = failed.find("description");
    auto const why = text != failed.end() && text->is_string()
                         ? detail::printable(text->get<std::string>())
                         : std::string{"error"};
    return {outcome_of(number), {}, why + " (" + std::to_string(number) + ")"};
}

}  // namespace

acknowledgement read_acknowledgement(std::string_view text) {
    auto const parsed = nlohmann::json::parse(text, nullptr, false);
    if (!parsed.is_object()) return {outcome::unknown, {}, "the reply is no acknowledgement"};
    if (auto const failed = parsed.find("error"); failed != parsed.end() && failed->is_object()) {
        return read_error(*failed);
    }
    auto const stream = parsed.find("stream");
    auto const sequence = parsed.find("seq");
    if (stream == parsed.end() || !stream->is_string() || sequence == parsed.end() ||
        !sequence->is_number_unsigned() || sequence->get<std::uint64_t>() == 0) {
        return {outcome::unknown, {}, "the reply names no stream and sequence"};
    }
    return {outcome::accepted, stream->get<std::string>(), {}};
}

}  // namespace outbox::nats_rules
