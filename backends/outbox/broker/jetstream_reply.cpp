// SPDX-License-Identifier: MIT
#include "outbox/broker/jetstream_reply.hpp"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>

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

bool take(std::string_view& from, std::string_view text) {
    if (!from.starts_with(text)) return false;
    from.remove_prefix(text.size());
    return true;
}

/// An acknowledgement in the form in which nats-server writes it; nothing for all that takes a
/// parser. There is one a message.
std::optional<acknowledgement> plainly_acknowledged(std::string_view text) {
    if (!take(text, R"({"stream":")")) return std::nullopt;
    auto const stream = text.substr(0, text.find('"'));
    auto const is_plain = [](char c) { return c >= 0x20 && c < 0x7f && c != '\\'; };
    if (!std::ranges::all_of(stream, is_plain)) return std::nullopt;
    text.remove_prefix(stream.size());
    if (!take(text, R"(", "seq":)") && !take(text, R"(","seq":)")) return std::nullopt;
    std::uint64_t sequence = 0;
    auto const parsed = std::from_chars(text.data(), text.data() + text.size(), sequence);
    if (parsed.ec != std::errc{} || sequence == 0 || text.front() == '0') return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(parsed.ptr - text.data()));
    if (text != "}" && text != R"(,"duplicate": true})" && text != R"(,"duplicate":true})")
        return std::nullopt;
    return acknowledgement{outcome::accepted, std::string{stream}, {}, sequence};
}

}  // namespace

acknowledgement read_acknowledgement(std::string_view text) {
    if (auto said = plainly_acknowledged(text)) return *std::move(said);
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
    return {outcome::accepted, stream->get<std::string>(), {}, sequence->get<std::uint64_t>()};
}

}  // namespace outbox::nats_rules
