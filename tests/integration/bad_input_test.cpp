// SPDX-License-Identifier: MIT
//
// Every kind of message that cannot be carried, through both doors: the producer's call refuses it
// and leaves the transaction as it was; a row of plain SQL is refused, or dies of the same reason.
// Nothing of it reaches the stream, and the next good message of its key does.
#include <array>
#include <map>
#include <memory>
#include <set>

#include "integration/bad_messages.hpp"
#include "outbox/headers.hpp"
#include "outbox/testing/catch.hpp"
#include "support/postgres_to_jetstream.hpp"

namespace {

using support::postgres_to_jetstream;

/// A key of its own, where the row is not about keys.
std::string key_of(bad_input::row const& one, std::size_t number) {
    bool const fine = one.given.key && one.given.key->empty();
    return fine ? "key-" + std::to_string(number) : one.given.key.value_or("");
}
std::string good_key_of(bad_input::row const& one, std::size_t number) {
    return one.given.key && one.given.key->empty() ? key_of(one, number) : "other";
}

/// Binary, since a text ends at its first NUL. Returns the SQLSTATE; empty: it is stored.
std::string insert(postgres_to_jetstream& at, bad_input::message const& one) {
    std::array<bad_input::text, 4> const values{one.topic, one.key, one.headers, one.payload};
    std::array<char const*, 4> bytes{};
    std::array<int, 4> lengths{};
    std::array<int, 4> const formats{1, 1, 1, 1};
    for (std::size_t i = 0; i < values.size(); ++i) {
        if (!values[i]) continue;
        bytes[i] = values[i]->data();
        lengths[i] = static_cast<int>(values[i]->size());
    }
    auto const sql = "insert into " + at.shop.schema +
                     ".outbox (topic, key, headers, payload) values ($1, $2, $3, $4)";
    std::unique_ptr<PGresult, void (*)(PGresult*)> const answer{
        PQexecParams(at.shop.sql.handle(), sql.c_str(), 4, nullptr, bytes.data(), lengths.data(),
                     formats.data(), 0),
        PQclear};
    if (PQresultStatus(answer.get()) == PGRES_COMMAND_OK) return {};
    return PQresultErrorField(answer.get(), PG_DIAG_SQLSTATE);
}

/// What the call says; empty: it is stored.
template <class Work>
std::string say(postgres_to_jetstream& at, Work const& work, bad_input::row const& one,
                std::string const& key) {
    std::vector<outbox::header> headers;
    outbox::for_each_header(*one.given.headers, [&](std::string_view name, std::string_view value) {
        headers.push_back({name, value});
    });
    try {
        at.box.create_message(work, *one.given.topic, *one.given.payload,
                              {.key = key, .headers = headers});
    } catch (outbox::error const& refused) {
        CHECK(refused.code() == one.code);
        return refused.what();
    }
    return {};
}

}  // namespace

TEST_CASE("what cannot be carried is refused or dies, and the next message of its key arrives") {
    postgres_to_jetstream at;
    auto const rows = bad_input::rows();
    CHECK(rows.size() >= 60);
    std::map<std::string, int> reasons;
    std::set<std::string> expected;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        auto const& one = rows[i];
        INFO(one.what);
        auto const key = key_of(one, i);
        if (one.code) {
            auto work = at.box.begin(at.shop.sql.handle());
            CHECK(say(at, work, one, key) ==
                  std::string{outbox::to_string(*one.code)} + ": " + one.said);
            at.box.create_message(work, "all.good", one.what + ", by call",
                                  {.key = good_key_of(one, i)});
            work.commit();
            expected.insert(one.what + ", by call");
        }
        auto row = one.given;
        row.key = key;
        CHECK(insert(at, row) == one.sqlstate);
        if (!one.dies_of.empty()) ++reasons[one.dies_of];
        CHECK(insert(at, {"all.good", good_key_of(one, i), "", one.what + ", by SQL"}).empty());
        expected.insert(one.what + ", by SQL");
    }
    auto worker = at.box.start_worker();
    at.wait_until_delivered();

    std::set<std::string> arrived;
    for (auto const& one : at.arrived()) arrived.insert(one.payload);
    CHECK(at.arrived().size() == expected.size());
    CHECK(arrived == expected);
    for (auto const& dead : at.box.dead_letters()) --reasons[dead.last_error];
    for (auto const& [reason, missing] : reasons) {
        INFO(reason);
        CHECK(missing == 0);
    }
}
