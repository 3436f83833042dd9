// SPDX-License-Identifier: MIT
//
// How far a partition has been read, against a model of the table: other transactions draw numbers,
// commit late or never, and stay open for long, while a worker reads a stretch at a time, settles,
// hands back, and hands the partition over. Nothing is passed over, nothing overtakes what was
// visible before it, and all of it is final in the end.
#include "outbox/storage/postgres_progress.hpp"

#include <map>
#include <random>
#include <set>

#include "outbox/testing/catch.hpp"

using outbox::sequence_number;
using outbox::postgres::lasting_transactions;
using outbox::postgres::progress;
using outbox::postgres::sight;
using outbox::postgres::transaction_id;

namespace {

class table {
public:
    explicit table(std::uint32_t seed) : random_{seed} {}

    [[nodiscard]] int below(int limit) {
        return std::uniform_int_distribution{0, limit - 1}(random_);
    }

    /// One thing that somebody else does.
    void stir() {
        switch (below(8)) {
            case 0:
                if (open_.size() < 5) open_[next_id_++];
                break;
            case 1:
            case 2:
            case 3: draw(); break;
            case 4: ++next_id_; break;  // one that wrote elsewhere, and ended
            default:
                // Every third stays open for long.
                if (auto const one = any_open(); one && (*one % 3 != 0 || below(40) == 0))
                    end(*one, below(5) != 0);
        }
    }
    void end_all() {
        while (!open_.empty()) end(open_.begin()->first, true);
    }
    transaction_id own_id() {
        return next_id_++;
    }
    [[nodiscard]] sequence_number head() const {
        return last_;
    }
    [[nodiscard]] sight look() const {
        sight seen{.horizon = open_.empty() ? next_id_ : open_.begin()->first, .next = next_id_};
        for (auto const& [one, drawn] : open_) seen.open.push_back(one);
        seen.head = last_;
        return seen;
    }

    std::set<sequence_number> ready{};  ///< what is visible and not settled
    sequence_number highest{0};         ///< of all that ever was
    sequence_number low{0};             ///< as it is stored; nothing may turn up at or below it

private:
    std::optional<transaction_id> any_open() {
        if (open_.empty()) return std::nullopt;
        return std::next(open_.begin(), below(static_cast<int>(open_.size())))->first;
    }
    void draw() {
        auto const by = any_open();
        if (!by) return;
        ++last_;
        if (below(3) != 0) open_[*by].push_back(last_);  // else it is of another partition
    }
    void end(transaction_id one, bool commits) {
        for (auto const drawn : open_[one]) {
            if (!commits) break;
            REQUIRE(drawn > low);
            ready.insert(drawn);
            highest = std::max(highest, drawn);
        }
        open_.erase(one);
    }

    std::mt19937 random_;
    std::map<transaction_id, std::vector<sequence_number>> open_{};  ///< and what each has drawn
    transaction_id next_id_{100};
    sequence_number last_{0};
};

/// Reads a partition as a round does.
class reader {
public:
    explicit reader(table& of) : of_{of} {
        take_over();
    }

    void take_over() {
        auto const head = of_.head();
        stir(2);
        at_ = progress{of_.low, head, of_.own_id()};
        hand_.clear();
    }

    void exchange(bool calm = false) {
        std::set<sequence_number> settled;
        std::set<sequence_number> returned;
        for (auto const one : hand_) {
            auto const what = of_.below(6);
            if (what == 0 && !calm) {
                returned.insert(one);
            } else if (what > 2 || calm) {
                settled.insert(one);
            }
        }
        bool const writes = !settled.empty() || of_.below(3) == 0 || calm;
        auto const next = at_.next_look(
            stretch, returned.empty() ? std::nullopt : std::optional{*returned.begin()});
        std::vector<transaction_id> const open{next.open.begin(), next.open.end()};
        auto const quiet = returned.empty() && writes ? at_.quiet() : std::nullopt;
        if (!calm) stir(3);
        std::optional<transaction_id> own;
        if (writes) {
            own = of_.own_id();
            for (auto const one : settled) of_.ready.erase(one);
            of_.low = at_.low();
        }
        if (!calm) stir(3);
        auto seen = of_.look();
        auto const visible = of_.ready;
        if (!calm) stir(3);

        for (auto const one : settled) at_.settle(one);
        for (auto const one : returned) at_.hand_back(one);
        for (auto const& gone : {settled, returned}) {
            for (auto const one : gone) hand_.erase(one);
        }
        if (own) at_.bound(*own);
        if (!calm && of_.below(5) == 0) return;  // there was no room to read

        seen.recent = lasting_.recent(seen.open);
        bool const ended =
            std::ranges::any_of(open, [&](transaction_id one) { return seen.has_ended(one); });
        auto from = ended ? next.below : next.behind;
        if (quiet && quiet->own == own) {
            from = quiet->from;
        } else if (ended && next.else_passes) {
            at_.pass_over(seen);
            return;
        }
        read(from, next.reach, visible, seen);
    }

    [[nodiscard]] bool empty_handed() const {
        return hand_.empty();
    }
    [[nodiscard]] progress const& at() const {
        return at_;
    }

private:
    static constexpr sequence_number stretch = 6;

    void stir(int most) {
        for (auto left = of_.below(most + 1); left > 0; --left) of_.stir();
    }
    void read(sequence_number from, std::optional<sequence_number> reach,
              std::set<sequence_number> const& visible, sight const& seen) {
        auto const limit = 1 + static_cast<std::size_t>(of_.below(6));
        std::vector<sequence_number> rows;
        for (auto const one : visible) {
            if (one <= from || (reach && one > *reach) || hand_.contains(one)) continue;
            if (rows.size() == limit) break;
            rows.push_back(one);
        }
        auto const highest = rows.empty() ? 0 : rows.back();
        for (auto const one : rows) {
            at_.take_ready(one);
            hand_.insert(one);
        }
        // Whatever was visible and lies below what was brought is in hand.
        for (auto const one : visible) {
            if (one < highest) REQUIRE(hand_.contains(one));
        }
        at_.look(rows.size() == limit ? std::optional{highest} : reach, highest, seen);
    }

    table& of_;
    lasting_transactions lasting_{};
    std::set<sequence_number> hand_{};
    progress at_{0};
};

}  // namespace

TEST_CASE("whatever others do, nothing is passed over, and all of it is final in the end") {
    std::uint32_t const histories = 3'000;
    for (std::uint32_t seed = 0; seed < histories; ++seed) {
        CAPTURE(seed);
        table rows{seed};
        reader worker{rows};
        for (int step = 0; step < 150; ++step) {
            if (rows.below(3) == 0) {
                worker.exchange();
            } else if (rows.below(60) == 0) {
                worker.take_over();
            } else {
                rows.stir();
            }
        }
        rows.end_all();
        int rounds = 0;
        while (!rows.ready.empty() || !worker.empty_handed() || worker.at().low() < rows.highest) {
            worker.exchange(true);
            REQUIRE(++rounds < 1'000);
        }
    }
}
