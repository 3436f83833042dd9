// SPDX-License-Identifier: MIT
//
// The rules that decide about messages, without any message: verdicts, back-off, breaker,
// validation, names.
#include <unistd.h>

#include <array>
#include <cctype>
#include <cstdint>
#include <string>

#include "outbox/breaker.hpp"
#include "outbox/broker/memory.hpp"
#include "outbox/retry.hpp"
#include "outbox/table_name.hpp"
#include "outbox/testing/catch.hpp"
#include "outbox/validation.hpp"
#include "support/process.hpp"

using outbox::judge;
using outbox::outcome;
using outbox::verdict;

TEST_CASE("an outage costs no attempt, a message's own failure does") {
    CHECK(judge(outcome::unavailable, 9, true, 10) == verdict::pause);
    CHECK(judge(outcome::unknown, 9, false, 10) == verdict::again);
    CHECK(judge(outcome::unroutable, 9, false, 10) == verdict::pause);
    CHECK(judge(outcome::unroutable, 0, true, 10) == verdict::retry);
    CHECK(judge(outcome::rejected, 8, false, 10) == verdict::retry);
    CHECK(judge(outcome::rejected, 9, false, 10) == verdict::bury);
    CHECK(judge(outcome::refused, 0, false, 10) == verdict::bury);
}

TEST_CASE("back-off doubles up to its cap and is spread over the upper half") {
    using std::chrono::milliseconds;
    CHECK(outbox::backoff(1, milliseconds{100}, milliseconds{1'000}, 0) == milliseconds{50});
    CHECK(outbox::backoff(3, milliseconds{100}, milliseconds{1'000}, 0) == milliseconds{200});
    CHECK(outbox::backoff(60, milliseconds{100}, milliseconds{1'000}, 0) == milliseconds{500});
}

TEST_CASE("a breaker lets a probe through when its wait is over") {
    outbox::breaker guard{std::chrono::milliseconds{100}, std::chrono::seconds{1}};
    outbox::monotonic_time const now{};
    auto const wait = guard.fail(now, 0);
    CHECK_FALSE(guard.may_try(now));
    CHECK(guard.may_try(now + wait));
    CHECK(guard.succeed());
    CHECK(guard.may_try(now));
}

TEST_CASE("a message that cannot be carried is refused with its field and position") {
    outbox::options const limits;
    auto const check = [&](auto... parts) {
        return outbox::check_message<outbox::memory_broker>(parts..., limits);
    };
    CHECK_FALSE(check("t", "k", "a: b\n", "p"));
    CHECK(check("", "", "", "p")->code == outbox::errc::invalid_topic);
    CHECK(check("a\nb", "", "", "p")->position == 1);
    CHECK(check("t", std::string(256, 'k'), "", "p")->code == outbox::errc::invalid_key);
    CHECK(check("t", "", "no colon", "p")->code == outbox::errc::invalid_header);
    CHECK(check("t", "", "Outbox-Id: x\n", "p")->code == outbox::errc::invalid_header);
    CHECK(check("t", "", "", "")->code == outbox::errc::invalid_payload);
}

TEST_CASE("an id is read from its 36 characters in either case, and from nothing else") {
    std::string const text = "01234567-89ab-4cde-9f01-23456789abcd";
    auto const id = outbox::parse_message_id(text);
    REQUIRE(id);
    CHECK(id->bytes == std::array<std::uint8_t, 16>{0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0x4c, 0xde,
                                                    0x9f, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab,
                                                    0xcd});
    CHECK(outbox::parse_message_id("01234567-89AB-4CDE-9F01-23456789ABCD") == id);
    CHECK_FALSE(outbox::parse_message_id(text.substr(1)));
    CHECK_FALSE(outbox::parse_message_id(text + "0"));
    int wrong = 0;
    for (std::size_t at = 0; at < text.size(); ++at) {
        for (int byte = 0; byte < 256; ++byte) {
            auto changed = text;
            changed[at] = static_cast<char>(byte);
            bool const digit = text[at] != '-' && std::isxdigit(byte) != 0;
            bool const fits = digit || changed == text;
            auto const read = outbox::parse_message_id(changed);
            bool const same = read && to_string(*read)[at] == std::tolower(byte);
            if (read.has_value() != fits || (fits && !same)) ++wrong;
        }
    }
    CHECK(wrong == 0);
}

TEST_CASE("a table name that is not plain is refused") {
    CHECK(outbox::table_name{"app.outbox"}.qualified("_x") == "app.outbox_x");
    CHECK_THROWS_AS(outbox::table_name{"outbox; drop table users"}, outbox::error);
    CHECK_THROWS_AS(outbox::table_name{""}, outbox::error);
}

TEST_CASE("a child process ends with the one who dropped it") {
    support::temporary_folder const folder;
    pid_t id = 0;
    {
        support::child_process child{{"sleep", "1000"}, folder.path() / "log"};
        id = child.id();
        CHECK(child.running());
    }
    CHECK(::kill(id, 0) != 0);
}
