// SPDX-License-Identifier: MIT
//
// `POST /create-message`, as the origin has it: a business row and a message in one transaction.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "outbox/broker/nats_validation.hpp"
#include "outbox/outbox.hpp"
#include "service_options.hpp"
#include "sessions.hpp"

namespace example {

struct answer {
    int status{500};
    std::string text{};
};

/// What a request asks for, or why it is none.
struct request {
    std::string type{};
    std::string data{};
    std::string key{};
    std::string refusal{};

    static request parse(std::string_view body, service_options const& options) {
        auto const refuse = [](std::string why) { return request{{}, {}, {}, std::move(why)}; };
        // Ordered: the names in `data` go out in the order in which they came in.
        auto const read = nlohmann::ordered_json::parse(body, nullptr, false);
        if (!read.is_object()) return refuse("the body is no JSON object");
        auto const type = read.find("type");
        if (type == read.end() || !type->is_string()) return refuse("\"type\" must be a string");
        auto const data = read.find("data");
        if (data == read.end()) return refuse("\"data\" is missing");
        request good{type->get<std::string>(), data->dump()};
        if (auto const key = read.find("key"); key != read.end()) {
            if (!key->is_string()) return refuse("\"key\" must be a string");
            good.key = key->get<std::string>();
        }
        for (auto const& subject : options.subjects) {
            if (outbox::nats_rules::matches(subject, good.type)) return good;
        }
        return refuse("no subject of the stream takes the type");
    }
};

template <class Outbox>
answer create_message(Outbox& box, sessions& pool, service_options const& options,
                      std::string_view body) {
    auto const asked = request::parse(body, options);
    if (!asked.refusal.empty()) return {400, asked.refusal};
    try {
        auto const id = pool.with([&](soci::session& sql) {
            auto work = box.begin(sql);
            sql << "insert into orders (type, status) values (:type, 'pending')",
                soci::use(asked.type);
            auto const made =
                box.create_message(work, asked.type, asked.data,
                                   {.key = asked.key, .content_type = "application/json"});
            work.commit();
            return made;
        });
        return {201, "Message created with ID: " + to_string(id)};
    } catch (outbox::error const& failed) {
        switch (failed.code()) {
            case outbox::errc::invalid_topic:
            case outbox::errc::invalid_payload:
            case outbox::errc::invalid_key: return {400, failed.what()};
            default: pool.forget(); return {503, failed.what()};
        }
    } catch (soci::soci_error const&) {
        // Its text may hold the values of the statement.
        pool.forget();
        return {503, "the database cannot be used"};
    }
}

}  // namespace example
