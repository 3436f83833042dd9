// SPDX-License-Identifier: MIT
//
// A table's name that is taken is plain, so that it may stand in SQL; an id that is read is written
// as it was.
#include <algorithm>

#include "fuzz/fuzz.hpp"
#include "outbox/message_id.hpp"
#include "outbox/table_name.hpp"

void fuzz::try_one(input from) {
    auto const text = from.rest();
    try {
        auto const qualified = outbox::table_name{text}.qualified();
        auto const is_plain = [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
        };
        require(std::ranges::all_of(qualified, is_plain), "a name that is not plain");
    } catch (outbox::error const& refused) {
        require(refused.code() == outbox::errc::invalid_identifier, "another refusal");
    }
    if (auto const id = outbox::parse_message_id(text)) {
        auto const again = outbox::parse_message_id(to_string(*id));
        require(again == id, "an id that changes when it is written");
    }
}
