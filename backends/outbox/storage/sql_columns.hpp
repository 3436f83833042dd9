// SPDX-License-Identifier: MIT
//
// What the SQL storages read, column by column: a struct's members are its columns, by name and in
// their order, so that a statement and its reader cannot drift apart.
#pragma once

#include <boost/hana/accessors.hpp>
#include <boost/hana/adapt_struct.hpp>
#include <boost/hana/for_each.hpp>
#include <boost/hana/pair.hpp>
#include <boost/hana/string.hpp>
#include <string>
#include <string_view>

#include "outbox/operations.hpp"
#include "outbox/record.hpp"

BOOST_HANA_ADAPT_STRUCT(outbox::dead_letter, id, topic, key, headers, payload, attempts, deaths,
                        generation, last_error, created_at, died_at);
BOOST_HANA_ADAPT_STRUCT(outbox::record, sequence, partition, state, id, generation, attempts,
                        deaths, remaining, topic, key, headers, payload);

namespace outbox {

/// "m.id, m.topic, …", for a `prefix` of "m.".
template <class Row>
[[nodiscard]] std::string columns_of(std::string_view prefix = {}) {
    std::string list;
    boost::hana::for_each(boost::hana::accessors<Row>(), [&](auto const& column) {
        if (!list.empty()) list += ", ";
        list.append(prefix).append(boost::hana::first(column).c_str());
    });
    return list;
}

/// The row that `from` stands at; `from.read(member)` takes the next column. Views point into the
/// answer.
template <class Row, class Reader>
[[nodiscard]] Row read_row(Reader& from) {
    Row row{};
    boost::hana::for_each(boost::hana::accessors<Row>(),
                          [&](auto const& column) { from.read(boost::hana::second(column)(row)); });
    return row;
}

}  // namespace outbox
