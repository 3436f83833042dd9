// SPDX-License-Identifier: MIT
//
// From what a producer says to what a storage appends: checked against everything that core and
// broker demand, named, headers encoded. Refused input changes nothing.
#pragma once

#include <cstddef>
#include <list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "outbox/headers.hpp"
#include "outbox/message.hpp"
#include "outbox/options.hpp"
#include "outbox/validation.hpp"

namespace outbox {

template <class Broker>
class drafting {
public:
    drafting(options const& limits, std::size_t count) : limits_{limits} {
        drafts_.reserve(count);
    }

    /// Throws the `invalid_…` that fits. `drawn` is its id when the caller brings none.
    void add(std::string_view topic, payload_view payload, message_options const& more,
             message_id const& drawn) {
        if (more.unordered && !more.key.empty()) {
            throw error{errc::invalid_key, "an unordered message has no key; say one or the other"};
        }
        if (more.id && more.id->is_nil()) {
            throw error{errc::invalid_id, "the nil UUID names no message"};
        }
        draft one{.id = more.id ? *more.id : drawn,
                  .caller_chose_id = more.id.has_value(),
                  .topic = topic,
                  .key = more.key,
                  .headers = encode(more),
                  .payload = payload.bytes(),
                  .not_before = more.not_before,
                  .serialize_key = more.serialize_key};
        // A key of its own: nothing else is ever behind it, or in front.
        if (more.unordered) one.key = texts_.emplace_back(to_string(one.id));
        if (auto const wrong =
                check_message<Broker>(one.topic, one.key, one.headers, one.payload, limits_)) {
            throw error{wrong->code, wrong->text()};
        }
        drafts_.push_back(one);
    }
    [[nodiscard]] std::span<draft const> all() const {
        return drafts_;
    }

private:
    std::string_view encode(message_options const& more) {
        if (more.headers.empty() && more.content_type.empty()) return {};
        auto& text = texts_.emplace_back();
        if (!more.content_type.empty()) {
            require<Broker>("Content-Type", more.content_type);
            append_header(text, "Content-Type", more.content_type);
        }
        for (auto const& [name, value] : more.headers) {
            require<Broker>(name, value);
            append_header(text, name, value);
        }
        return text;
    }
    /// Before they are encoded: a line feed in a value would become a header of its own.
    template <class To>
    static void require(std::string_view name, std::string_view value) {
        if (auto const wrong = check_header<To>(name, value)) {
            throw error{wrong->code, wrong->text()};
        }
    }

    options const& limits_;
    std::list<std::string> texts_{};
    std::vector<draft> drafts_{};
};

}  // namespace outbox
