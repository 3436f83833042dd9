// SPDX-License-Identifier: MIT
#include "outbox/storage/postgres_kept.hpp"

#include <libpq-events.h>

#include <cstdint>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace outbox::postgres {

namespace {

constexpr std::string_view no_such_statement = "26000";

struct kept_statement {
    bool has_run{false};
    std::string name{};  ///< empty: not prepared
};

/// What libpq remembers for us with a connection.
class kept_statements {
public:
    /// Null where libpq takes no event procedure.
    static kept_statements* of(PGconn* on) {
        if (auto* const known = static_cast<kept_statements*>(PQinstanceData(on, heard)))
            return known;
        if (PQregisterEventProc(on, heard, "outbox", nullptr) == 0) return nullptr;
        auto made = std::make_unique<kept_statements>();
        return PQsetInstanceData(on, heard, made.get()) == 0 ? nullptr : made.release();
    }

    result execute(PGconn* on, std::string const& sql, parameters const& values) {
        auto& one = all_[sql];
        if (one.name.empty()) {
            if (!std::exchange(one.has_run, true) || !is_direct(on))
                return postgres::execute(on, sql, values);
            prepare(on, sql, values, one);
        }
        try {
            return good(on, PQexecPrepared(on, one.name.c_str(), values.count(), values.values(),
                                           values.lengths(), values.formats(), 1));
        } catch (failure const& why) {
            // Somebody took it away unseen, and may do so again.
            if (why.sqlstate == no_such_statement) {
                forget();
                direct_ = answered::no;
            }
            throw;
        }
    }

private:
    enum class answered : std::uint8_t { not_yet, no, yes };

    static int heard(PGEventId what, void* about, void* /*pass*/) {
        if (what == PGEVT_CONNRESET) {
            if (auto* const mine = of_event(static_cast<PGEventConnReset*>(about)->conn))
                mine->forget();
        } else if (what == PGEVT_CONNDESTROY) {
            std::unique_ptr<kept_statements> const ends{
                of_event(static_cast<PGEventConnDestroy*>(about)->conn)};
        } else if (what == PGEVT_RESULTCREATE) {
            auto const* const came = static_cast<PGEventResultCreate*>(about);
            std::string_view const tag{PQcmdStatus(came->result)};
            auto* const mine = of_event(came->conn);
            bool const all_gone = tag == "DISCARD ALL" || tag == "DEALLOCATE ALL";
            if (mine != nullptr && all_gone) mine->forget();
        }
        return 1;
    }
    static kept_statements* of_event(PGconn* on) {
        return static_cast<kept_statements*>(PQinstanceData(on, heard));
    }

    void forget() {
        all_.clear();
        direct_ = answered::not_yet;
    }
    /// A pooler tells its clients of a server process that there is not; it may give each
    /// transaction another one, which does not know what was prepared.
    bool is_direct(PGconn* on) {
        if (direct_ == answered::not_yet) {
            auto const answer = postgres::execute(on, "select pg_backend_pid()");
            auto const process = row_reader{answer, 0}.number<std::int32_t>();
            direct_ = process == PQbackendPID(on) ? answered::yes : answered::no;
        }
        return direct_ == answered::yes;
    }
    void prepare(PGconn* on, std::string const& sql, parameters const& values,
                 kept_statement& one) {
        // Of several copies of this library in a process, each has names of its own.
        auto name = "outbox_" + std::to_string(reinterpret_cast<std::uintptr_t>(&heard)) + '_' +
                    std::to_string(++prepared_);
        static_cast<void>(
            good(on, PQprepare(on, name.c_str(), sql.c_str(), values.count(), values.types())));
        one.name = std::move(name);
    }

    std::unordered_map<std::string, kept_statement> all_{};
    answered direct_{answered::not_yet};
    std::uint64_t prepared_{0};
};

}  // namespace

result execute_kept(PGconn* on, std::string const& sql, parameters const& values) {
    auto* const kept = kept_statements::of(on);
    return kept == nullptr ? execute(on, sql, values) : kept->execute(on, sql, values);
}

}  // namespace outbox::postgres
