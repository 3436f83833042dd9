// SPDX-License-Identifier: MIT
//
// Whatever a database answers is read as a row, or refused: each column may be of any length, type
// and content, since somebody may have changed the table under our feet.
#include <array>

#include "fuzz/fuzz.hpp"
#include "outbox/storage/postgres_binary.hpp"
#include "outbox/storage/sql_columns.hpp"
#include "outbox/storage/sqlite_connection.hpp"

namespace {

constexpr int columns = 13;

/// A column's first byte says how it is stored; the rest is its content.
struct column {
    explicit column(std::string_view part)
        : kind{part.empty() ? '\0' : part.front()}, bytes{part.substr(part.empty() ? 0 : 1)} {}

    char kind;
    std::string_view bytes;
};
using row = std::array<std::string_view, columns>;

bool lies_within(std::string_view part, std::size_t longest) {
    return part.size() <= longest;
}

template <class Row>
void read_postgres(row const& from) {
    using namespace outbox::postgres;
    result const made{PQmakeEmptyPGresult(nullptr, PGRES_TUPLES_OK)};
    std::array<PGresAttDesc, columns> names{};
    std::array<char, 2> name{"c"};
    for (auto& one : names) one.name = name.data();
    PQsetResultAttrs(made.get(), columns, names.data());
    std::size_t longest = 0;
    for (int i = 0; i < columns; ++i) {
        column const one{from[static_cast<std::size_t>(i)]};
        std::string bytes{one.bytes};
        longest = std::max(longest, bytes.size());
        bool const null = one.kind == 'n';
        PQsetvalue(made.get(), 0, i, null ? nullptr : bytes.data(),
                   null ? -1 : static_cast<int>(bytes.size()));
    }
    try {
        row_reader reader{made, 0};
        auto const read = outbox::read_row<Row>(reader);
        fuzz::require(lies_within(read.topic, longest) && lies_within(read.payload, longest),
                      "a view beyond its answer");
    } catch (outbox::error const& refused) {
        fuzz::require(refused.code() == outbox::errc::schema_mismatch, "another kind of refusal");
    }
}

template <class Row>
void read_sqlite(row const& from) {
    sqlite3* opened = nullptr;
    sqlite3_open(":memory:", &opened);
    std::unique_ptr<sqlite3, decltype(&sqlite3_close)> const link{opened, sqlite3_close};
    std::string sql{"select "};
    for (int i = 0; i < columns; ++i) sql += i == 0 ? "?" : ", ?";
    sqlite3_stmt* prepared = nullptr;
    sqlite3_prepare_v2(opened, sql.c_str(), -1, &prepared, nullptr);
    for (int i = 0; i < columns; ++i) {
        column const one{from[static_cast<std::size_t>(i)]};
        auto const size = static_cast<int>(one.bytes.size());
        std::uint64_t bits = 0;
        for (char const c : one.bytes) bits = bits << 8U | static_cast<unsigned char>(c);
        auto const number = static_cast<std::int64_t>(bits);
        switch (one.kind) {
            case 'n': sqlite3_bind_null(prepared, i + 1); break;
            case 'i': sqlite3_bind_int64(prepared, i + 1, number); break;
            case 'r': sqlite3_bind_double(prepared, i + 1, static_cast<double>(number)); break;
            case 'b': sqlite3_bind_blob(prepared, i + 1, one.bytes.data(), size, nullptr); break;
            default: sqlite3_bind_text(prepared, i + 1, one.bytes.data(), size, nullptr); break;
        }
    }
    {
        outbox::sqlite::rows rows{prepared};
        fuzz::require(rows.next(), "a row that does not come");
        outbox::sqlite::row_reader reader{rows};
        auto const read = outbox::read_row<Row>(reader);
        fuzz::require(lies_within(read.topic, 512) && lies_within(read.payload, 512),
                      "a view beyond its answer");
    }
    sqlite3_finalize(prepared);
}

}  // namespace

void fuzz::try_one(input from) {
    row all;
    for (auto& one : all) one = from.part();
    read_postgres<outbox::record>(all);
    read_postgres<outbox::dead_letter>(all);
    read_sqlite<outbox::record>(all);
    read_sqlite<outbox::dead_letter>(all);
}
