// SPDX-License-Identifier: MIT
//
// One exchange: settle behind the fence, renew, promote, commit, then read, all in one trip to the
// server. Again without the partitions that turn out to be lost.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "outbox/storage/postgres_worker.hpp"

namespace outbox::postgres {

class round {
public:
    round(worker& of, round_request const& request);

    [[nodiscard]] round_reply run();

private:
    /// Commands, and where among them the answers are that somebody reads.
    struct trip {
        std::vector<command> commands{};
        std::vector<result> answers{};
        bool writes{false};
        std::size_t standing{0};
        std::size_t own_id{0};
        std::size_t commit{0};
        std::optional<std::size_t> due{};
        std::optional<std::size_t> drained{};
        std::optional<std::size_t> sight{};
        std::optional<std::size_t> ready{};
        std::vector<std::size_t> by_place{};  ///< what settles rows where they were read
        std::vector<std::int64_t> shares{};   ///< of each partition in `read_`, at the most
        /// At each partition in `read_`.
        struct look {
            std::optional<sequence_number> reach{};
            bool else_passes{false};
        };
        std::vector<look> looks{};
        std::vector<transaction_id> open{};  ///< what a look begins behind is good while these are
    };

    [[nodiscard]] bool travel(trip& plan);
    [[nodiscard]] bool kept(partition_number partition) const;
    void lose(partition_number partition);
    void lose_all_but(result const& standing);
    void lose_the_overtaken();

    [[nodiscard]] bool writes() const;
    [[nodiscard]] bool is_durable() const;
    void plan_writes(trip& plan) const;
    void plan_settlements(trip& plan) const;
    void plan_renewals(trip& plan) const;
    void plan_reads(trip& plan) const;
    [[nodiscard]] parameters naming(std::vector<partition_number> const& partitions) const;
    [[nodiscard]] std::vector<sequence_number> sequences_settled() const;
    [[nodiscard]] std::vector<sequence_number> retrying_in_hand() const;
    void plan_ready(trip& plan) const;
    void read_ready_again();
    [[nodiscard]] std::vector<std::int64_t> shares(std::int64_t limit) const;

    void settle_in_hand(trip const& done);
    void take_standing(result const& rows);
    void take_due(result const& rows);
    void take_ready(trip const& done);
    [[nodiscard]] bool passed_over(trip const& done, std::size_t at, sight const& seen);
    void looked(trip const& done, std::size_t at, std::optional<sequence_number> filled,
                sequence_number highest, sight const& seen);
    void take_drained(result const& rows);
    void take_alone(trip const& done);
    [[nodiscard]] bool note(record const& chosen);
    void take_changed();
    [[nodiscard]] bool full();
    void hand_out(record const& one, row_place place);

    worker& of_;
    round_request const& request_;
    round_reply reply_{};
    std::vector<partition_number> named_{};
    std::vector<std::pair<partition_number, std::int64_t>> changed_{};  ///< and the new version
    std::vector<due_key> due_{};            ///< of partitions that are ours
    std::vector<partition_number> read_{};  ///< likewise, each once
    bool scheduled_due_{false};
    bool rows_lie_still_{true};  ///< nobody rewrote the table since they were read
    std::int64_t bytes_{0};
    duration took_{0};       ///< the trip
    bool stretched_{false};  ///< a look went as far as it was allowed to
    bool too_heavy_{false};  ///< a payload was left out that is beyond its share of the bytes
};

}  // namespace outbox::postgres
