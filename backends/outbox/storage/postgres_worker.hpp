// SPDX-License-Identifier: MIT
//
// A relay's session on PostgreSQL: what it holds, how far it has read, and the three verbs. The
// state here changes only after the server has said yes.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "outbox/lease.hpp"
#include "outbox/storage/postgres_connection.hpp"
#include "outbox/storage/postgres_progress.hpp"
#include "outbox/storage/postgres_statements.hpp"
#include "outbox/storage/postgres_stretch.hpp"

namespace outbox::postgres {

/// A partition that this session holds.
struct holding {
    epoch_number epoch{0};
    std::int64_t version{0};
    std::optional<sequence_number> noted{};  ///< the record that is noted as alone in flight
    bool cut{false};                         ///< the last look left some of it unread
    progress read;
};

using holdings = std::map<partition_number, holding>;

class worker {
public:
    worker(std::string const& connection_string, duration limit, message_id const& id,
           std::shared_ptr<worker_statements const> statements, bool announced)
        : link_{connection_string, limit},
          id_{id},
          sql_{std::move(statements)},
          announced_{announced} {}

    [[nodiscard]] acquired acquire(acquire_request const& request);
    [[nodiscard]] round_reply exchange(round_request const& request);
    void release(std::span<ending const> endings);
    [[nodiscard]] outlook watch();
    void unwatch();
    [[nodiscard]] std::size_t heard();

    /// For the check of the schema, when the session is opened.
    [[nodiscard]] connection& link() {
        return link_;
    }

private:
    friend class round;

    /// Runs a verb. What it throws is an `outbox::error`; unless that is contention, the session is
    /// of no use any more.
    template <class Verb>
    auto guarded(std::string_view doing, Verb&& verb);

    void mend_low();
    void take(acquire_request const& request, std::vector<partition_number> const& candidates,
              std::int32_t room, acquired& taken);
    void ask_for_share(std::int32_t modest, std::int32_t lacks, duration time);
    void accuse(tenure& of, sequence_number suspect);
    void read_parked(std::vector<partition_number> const& partitions, bool dead_letters_block,
                     std::vector<std::pair<parked_key, bool>>& found);

    connection link_;
    message_id id_;
    std::shared_ptr<worker_statements const> sql_;
    holdings held_{};
    std::uint32_t looks_for_work_{0};
    std::int64_t heaviest_{0};  ///< payload that the last read brought
    lasting_transactions lasting_{};
    stretch stretch_{};
    bool announced_;         ///< producers announce what they commit
    bool committed_{false};  ///< something of this verb took effect: contention is no word for it
    bool broken_{false};
};

template <class Verb>
auto worker::guarded(std::string_view doing, Verb&& verb) {
    if (broken_) {
        throw error{errc::unavailable,
                    std::string{doing} + ": an earlier call failed; connect again"};
    }
    committed_ = false;
    broken_ = true;
    link_.start_limit();
    try {
        auto answer = verb();
        broken_ = false;
        return answer;
    } catch (failure const& why) {
        if (classify(why.sqlstate) != errc::contention) throw why.error(doing);
        if (committed_) throw why.error(doing, errc::outcome_unknown);
        try {
            link_.roll_back();
            broken_ = false;
        } catch (failure const& later) {
            throw later.error(doing);
        }
        throw why.error(doing);
    }
}

}  // namespace outbox::postgres
