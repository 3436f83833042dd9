// SPDX-License-Identifier: MIT
//
// What passes the check of a message can be sent; what does not is refused in a printable sentence.
#include "fuzz/fuzz.hpp"
#include "outbox/broker/nats.hpp"
#include "outbox/broker/nats_link.hpp"
#include "outbox/broker/nats_validation.hpp"
#include "outbox/validation.hpp"

void fuzz::try_one(input from) {
    static bool const open = nats_Open(-1) == NATS_OK;
    require(open, "the NATS library does not open");
    outbox::record one;
    one.topic = from.part();
    one.key = from.part();
    one.headers = from.part();
    one.payload = from.rest();
    auto const wrong = outbox::check_message<outbox::nats_broker>(one.topic, one.key, one.headers,
                                                                  one.payload, {});
    if (wrong) {
        require(is_printable(wrong->text()), "a refusal that disturbs a log");
        return;
    }
    require(one.topic.find_first_of(" \t\r\n*>") == one.topic.npos, "a topic of no subject");
    std::string again;
    outbox::for_each_header(one.headers, [&](std::string_view name, std::string_view value) {
        outbox::append_header(again, name, value);
    });
    std::string twice;
    outbox::for_each_header(again, [&](std::string_view name, std::string_view value) {
        outbox::append_header(twice, name, value);
    });
    require(again == twice, "headers that change when they are written again");
    outbox::nats_rules::owned_message made;
    require(outbox::nats_rules::make_message(made, one, {"reply", "id", {}}) == NATS_OK,
            "a good message that cannot be made");
}
