// SPDX-License-Identifier: MIT
//
// The judge: a history goes in, a report comes out. It reads no file and asks no server, so it can
// be held against histories that are wrong on purpose (checker_test.cpp).
//
// What explains a copy, as strictly as it can be said from outside:
//
// - The stream drops what repeats an id within its duplicate window. So a second copy in the stream
//   is explained when more than that window lies between it and the copy before, or when an
//   operator requeued the message (each requeue raises the generation, and explains one). A stream
//   never holds more copies than sends were begun, where the sends of a message are known.
// - A message is sent once. Each further send is explained by a fault that lasted, or whose
//   aftermath did, at some moment between that send and the one before; or because the stream
//   refused the one before for its place; or by a requeue; or because the message is poisoned and
//   has to use up its attempts.
//
// Order is judged among the messages of one key that one producer process made, one transaction
// after the other. A transaction whose outcome its producer never learnt may have committed late,
// beside the ones that followed: such a message may come late, but brings no earlier one late.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "chaos/history.hpp"

namespace chaos {

enum class verdict : std::uint8_t {
    lost,       ///< committed, and neither in the stream nor a dead letter nor pending
    phantom,    ///< in the stream, though rolled back or never intended
    reordered,  ///< first delivered after a later message of its key
    copied,     ///< in the stream once more than is explained
    resent,     ///< sent once more than is explained
    altered,    ///< other bytes, topic or key than were given
    buried,     ///< a dead letter that was not poisoned
    stuck,      ///< still pending at the end
    torn,       ///< message and business row did not share their fate
    malformed,  ///< the history contradicts itself or shows nothing: it cannot be judged
};
constexpr std::size_t verdict_count = 10;

[[nodiscard]] constexpr std::string_view to_string(verdict what) {
    constexpr std::array<std::string_view, verdict_count> names{
        "lost",    "phantom", "reordered", "copied", "resent",
        "altered", "buried",  "stuck",     "torn",   "malformed"};
    return names[static_cast<std::size_t>(what)];
}

struct finding {
    static constexpr std::size_t shown = 5;
    std::size_t count{0};
    std::vector<std::string> examples{};  ///< the first ones
};

/// How long after the faults of a kind the next message was delivered for the first time.
struct recovery {
    std::size_t faults{0};
    std::size_t followed{0};      ///< by a first delivery; the others were at the very end
    std::vector<moment> waits{};  ///< sorted
};

struct report {
    std::array<finding, verdict_count> findings{};
    std::size_t intended{0};
    std::size_t committed{0};
    std::size_t rolled_back{0};
    std::size_t resolved{0};  ///< of unknown outcome, and found out from the database or the stream
    std::size_t delivered{0};  ///< different messages in the stream
    std::size_t dead{0};
    std::size_t attempts{0};
    std::size_t explained_copies{0};
    std::size_t explained_sends{0};
    std::map<std::string, recovery> recoveries{};

    [[nodiscard]] finding const& of(verdict what) const {
        return findings[static_cast<std::size_t>(what)];
    }
    [[nodiscard]] bool clean() const {
        return std::ranges::all_of(findings, [](finding const& one) { return one.count == 0; });
    }
};

namespace detail {

/// Ids in little room: a long run has millions.
class ids {
public:
    ids() = default;
    explicit ids(std::vector<outbox::message_id> all) : all_{std::move(all)} {
        std::ranges::sort(all_);
    }
    [[nodiscard]] bool contains(outbox::message_id const& id) const {
        return std::ranges::binary_search(all_, id);
    }
    [[nodiscard]] std::vector<outbox::message_id> const& all() const {
        return all_;
    }

private:
    std::vector<outbox::message_id> all_{};
};

class judge {
public:
    explicit judge(history const& of) : of_{of} {}

    [[nodiscard]] report judge_all() {
        read_ledger();
        read_stream();
        judge_endings();
        judge_attempts();
        measure_recoveries();
        return std::move(said_);
    }

private:
    /// What is in order among itself: a producer process, a key.
    using line = std::pair<std::int32_t, std::string_view>;
    [[nodiscard]] static line line_of(intention const& one) {
        return {one.producer, one.key};
    }

    struct message {
        intention const* meant{nullptr};
        bool committed{false};
        delivery const* last{nullptr};
        std::size_t copies{0};
        std::size_t requeues{0};
        std::size_t sends{0};
    };

    void say(verdict what, outbox::message_id const& id, std::string const& why) {
        auto& found = said_.findings[static_cast<std::size_t>(what)];
        if (++found.count <= finding::shown)
            found.examples.push_back(outbox::to_string(id) + " " + why);
    }
    void say(verdict what, intention const& one, std::string const& why) {
        say(what, one.id, "(key \"" + one.key + "\", " + std::to_string(one.number) + ") " + why);
    }

    void read_ledger() {
        said_.intended = of_.ledger.size();
        if (of_.rows) rows_ = ids{*of_.rows};
        dead_ = ids{of_.dead};
        pending_ = ids{of_.pending};
        if (!of_.rows) {
            std::vector<outbox::message_id> streamed;
            for (auto const& one : of_.stream) streamed.push_back(one.id);
            streamed_ = ids{std::move(streamed)};
        }
        std::map<line, std::int64_t> numbers;
        for (auto const& one : of_.ledger) {
            auto const [at, is_new] = messages_.try_emplace(one.id);
            if (!is_new) {
                say(verdict::malformed, one, "stands in the ledger twice");
                continue;
            }
            auto const [number, is_first] = numbers.try_emplace(line_of(one), one.number);
            if (!is_first && one.number <= number->second)
                say(verdict::malformed, one, "does not rise within its key");
            number->second = one.number;
            at->second.meant = &one;
            at->second.committed = was_committed(one);
            ++(at->second.committed ? said_.committed : said_.rolled_back);
        }
        for (auto const& id : of_.requeued) ++messages_[id].requeues;
        if (said_.committed == 0)
            say(verdict::malformed, outbox::message_id{}, "nothing was committed");
    }

    /// By the producer's word; where it has none, by what is there.
    [[nodiscard]] bool was_committed(intention const& one) {
        if (one.end != ending::unknown) return one.end == ending::committed;
        ++said_.resolved;
        if (of_.rows) return rows_.contains(one.id);
        return streamed_.contains(one.id) || dead_.contains(one.id) || pending_.contains(one.id);
    }

    void read_stream() {
        std::uint64_t sequence = 0;
        std::map<line, intention const*> latest;
        for (auto const& one : of_.stream) {
            if (one.sequence <= sequence)
                say(verdict::malformed, one.id, "does not rise within the stream");
            sequence = one.sequence;
            auto& here = messages_[one.id];
            if (here.copies == 0) ++said_.delivered;
            judge_copy(here, one);
            ++here.copies;
            here.last = &one;
            if (here.meant == nullptr) {
                say(verdict::phantom, one.id, "was never intended");
                continue;
            }
            auto const& meant = *here.meant;
            if (!here.committed) say(verdict::phantom, meant, "was rolled back");
            if (meant.poisoned) say(verdict::malformed, meant, "is poisoned and was delivered");
            if (one.digest != meant.digest || one.key != meant.key)
                say(verdict::altered, meant, "has other bytes, topic or key");
            if (here.copies > 1) continue;
            firsts_.push_back(one.at);
            auto& before = latest[line_of(meant)];
            if (before != nullptr && meant.number < before->number) {
                if (meant.end == ending::unknown) continue;
                say(verdict::reordered, meant,
                    "came first at " + std::to_string(one.sequence) + ", after number " +
                        std::to_string(before->number));
            } else {
                before = &meant;
            }
        }
    }

    void judge_copy(message const& here, delivery const& one) {
        if (one.generation < 0 || static_cast<std::size_t>(one.generation) > here.requeues)
            say(verdict::copied, one.id, "has a generation that nobody gave it");
        if (here.copies == 0) return;
        if (one.generation > here.last->generation ||
            one.at - here.last->at > of_.duplicate_window) {
            ++said_.explained_copies;
            return;
        }
        say(verdict::copied, one.id,
            "lies at " + std::to_string(here.last->sequence) + " and again at " +
                std::to_string(one.sequence));
    }

    void judge_endings() {
        said_.dead = dead_.all().size();
        for (auto const& id : pending_.all()) {
            say(verdict::stuck, id, "is still pending");
            judge_stored(id);
        }
        for (auto const& id : dead_.all()) {
            auto const* const meant = judge_stored(id);
            if (meant != nullptr && !meant->poisoned)
                say(verdict::buried, *meant, "was not poisoned");
        }
        for (auto const& [id, here] : messages_) {
            if (here.meant == nullptr) continue;
            bool const is_there = here.copies > 0 || dead_.contains(id) || pending_.contains(id);
            if (here.committed && !is_there) say(verdict::lost, *here.meant, "is nowhere");
            if (of_.rows && here.meant->end != ending::unknown &&
                rows_.contains(id) != here.committed) {
                say(verdict::torn, *here.meant,
                    here.committed ? "has no business row" : "has a business row");
            }
        }
        for (auto const& id : rows_.all()) {
            auto const found = messages_.find(id);
            if (found == messages_.end() || found->second.meant == nullptr)
                say(verdict::torn, id, "has a business row and was never intended");
        }
    }

    /// What the outbox table holds must have been committed. Returns what was meant by it.
    intention const* judge_stored(outbox::message_id const& id) {
        auto const found = messages_.find(id);
        if (found == messages_.end() || found->second.meant == nullptr) {
            say(verdict::phantom, id, "is stored and was never intended");
            return nullptr;
        }
        auto const& here = found->second;
        if (!here.committed) say(verdict::phantom, *here.meant, "is stored and was rolled back");
        return here.meant;
    }

    /// Whether a fault, or its aftermath, touches this stretch of time.
    [[nodiscard]] bool touched(moment from, moment to) const {
        return std::ranges::any_of(of_.faults, [&](fault const& one) {
            return one.begin <= to && from <= one.end + of_.aftermath;
        });
    }

    void judge_attempts() {
        if (!of_.attempts) return;
        std::vector<attempt const*> sorted;
        sorted.reserve(of_.attempts->size());
        for (auto const& one : *of_.attempts) sorted.push_back(&one);
        std::ranges::stable_sort(sorted, [](attempt const* a, attempt const* b) {
            return a->id == b->id ? a->at < b->at : a->id < b->id;
        });
        attempt const* before = nullptr;
        bool refused = false;
        std::size_t requeues = 0;
        for (auto const* one : sorted) {
            if (one->refused) {
                refused = before != nullptr && before->id == one->id;
                if (!refused) say(verdict::malformed, one->id, "was refused and not sent");
                continue;
            }
            auto& here = messages_[one->id];
            ++here.sends;
            ++said_.attempts;
            if (before == nullptr || before->id != one->id) {
                requeues = here.requeues;
                if (here.meant == nullptr || !here.committed)
                    say(verdict::phantom, one->id, "was sent and not committed");
            } else if (refused || touched(before->at, one->at) ||
                       (here.meant != nullptr && here.meant->poisoned)) {
                ++said_.explained_sends;
            } else if (requeues > 0) {
                --requeues;
                ++said_.explained_sends;
            } else {
                say(verdict::resent, one->id,
                    "was sent at " + std::to_string(before->at) + " and again at " +
                        std::to_string(one->at));
            }
            before = one;
            refused = false;
        }
        for (auto const& [id, here] : messages_) {
            if (here.copies > here.sends) {
                say(verdict::copied, id,
                    "lies there " + std::to_string(here.copies) + " times and was sent " +
                        std::to_string(here.sends) + " times");
            }
        }
    }

    void measure_recoveries() {
        std::ranges::sort(firsts_);
        for (auto const& one : of_.faults) {
            if (one.end < one.begin)
                say(verdict::malformed, outbox::message_id{},
                    "a fault " + one.kind + " ends before it begins");
            auto& here = said_.recoveries[one.kind];
            ++here.faults;
            auto const next = std::ranges::lower_bound(firsts_, one.end);
            if (next == firsts_.end()) continue;
            ++here.followed;
            here.waits.push_back(*next - one.end);
        }
        for (auto& [kind, here] : said_.recoveries) std::ranges::sort(here.waits);
    }

    history const& of_;
    report said_{};
    std::map<outbox::message_id, message> messages_{};
    ids rows_{};
    ids dead_{};
    ids pending_{};
    ids streamed_{};
    std::vector<moment> firsts_{};
};

}  // namespace detail

[[nodiscard]] inline report check(history const& of) {
    return detail::judge{of}.judge_all();
}

}  // namespace chaos
