// SPDX-License-Identifier: MIT
//
// The simulation takes each call to its storage for one stroke. Here is shown that the calls of the
// PostgreSQL storage are: two producers and a worker, each with three calls, in every order in
// which these can happen. What is read is what was committed by then, all of it and nothing else.
#include <algorithm>
#include <array>
#include <set>

#include "outbox/testing/catch.hpp"
#include "support/postgres_case.hpp"

namespace {

using support::postgres_case;

/// Who makes the next call, in turn.
enum class actor : std::uint8_t { first, second, worker };
using order_of_calls = std::array<actor, 9>;

/// All orders of three calls each.
std::vector<order_of_calls> all_orders() {
    order_of_calls one{actor::first,  actor::first,  actor::first,  actor::second, actor::second,
                       actor::second, actor::worker, actor::worker, actor::worker};
    std::vector<order_of_calls> all;
    do {
        all.push_back(one);
    } while (std::next_permutation(one.begin(), one.end()));  // NOLINT: clang 14 lacks the other
    return all;
}

/// A transaction that adds one message to the keyless line: begin, enqueue, commit or roll back.
class producer {
public:
    producer(postgres_case& at, std::uint8_t number) : at_{at}, number_{number} {}

    /// Makes the next call; returns whether its message is committed by now.
    bool act(bool commits) {
        switch (next_++ % 3) {
            case 0: at_.storage.begin(sql_.handle()); return false;
            case 1: at_.add(sql_, number_, ""); return false;
            default: break;
        }
        if (commits) {
            at_.storage.commit(sql_.handle());
        } else {
            at_.storage.rollback(sql_.handle());
        }
        return commits;
    }
    [[nodiscard]] bool has_enqueued() const {
        return next_ % 3 == 2;
    }

private:
    postgres_case& at_;
    support::sql_connection sql_ = at_.server.connect();
    std::uint8_t number_;
    int next_{0};
};

/// Acquires and reads; publishes; settles and reads.
class consumer {
public:
    explicit consumer(postgres_case& at) : session_{at.worker()} {}

    /// Settles what was published, and reads. Acquires before, when it holds nothing.
    std::vector<int> read() {
        if (!held_) held_ = !session_.acquire(support::everything).tenures.empty();
        if (!held_) return {};
        hand_ = support::read(session_, 0, std::exchange(done_, {}));
        return support::numbers(hand_);
    }
    void publish() {
        for (auto const& one : hand_.read.records) {
            published_.push_back(one.id.bytes[15]);
            done_.push_back(support::removal(one));
        }
        hand_ = {};
    }
    /// Goes on until nothing is left, and gives back. Returns all that it published.
    std::vector<int> finish() {
        do publish();
        while (!read().empty());
        outbox::ending const one{.partition = 0, .care = {}};
        session_.release({&one, 1});
        held_ = false;
        return std::exchange(published_, {});
    }

private:
    outbox::postgres_storage::session session_;
    bool held_{false};
    outbox::round_reply hand_{};
    std::vector<outbox::settlement> done_{};
    std::vector<int> published_{};
};

struct stage {
    postgres_case at{};
    std::array<producer, 2> producers{producer{at, 1}, producer{at, 2}};
    consumer worker{at};

    /// What is wrong; empty: nothing.
    std::string play(order_of_calls const& calls, bool second_commits) {
        std::vector<int> enqueued;
        std::set<int> committed;
        std::set<int> was_read;
        int calls_of_worker = 0;
        auto const read = [&] {
            std::vector<int> expected;
            for (auto const one : enqueued) {
                if (committed.contains(one) && was_read.insert(one).second) expected.push_back(one);
            }
            return worker.read() == expected;
        };
        for (auto const who : calls) {
            if (who == actor::worker) {
                if (++calls_of_worker == 2) {
                    worker.publish();
                } else if (!read()) {
                    return "it did not read what was committed";
                }
                continue;
            }
            auto const number = who == actor::first ? 1 : 2;
            auto& one = producers[static_cast<std::size_t>(number - 1)];
            if (one.act(number == 1 || second_commits)) committed.insert(number);
            if (one.has_enqueued()) enqueued.push_back(number);
        }
        auto published = worker.finish();
        std::ranges::sort(published);
        if (!std::ranges::equal(published, committed)) return "not each was published once";
        if (at.run("select count(*) from outbox") != "0") return "something is left";
        return {};
    }
};

std::string as_text(order_of_calls const& calls) {
    std::string text;
    for (auto const who : calls)
        text += who == actor::worker ? 'w' : who == actor::first ? '1' : '2';
    return text;
}

}  // namespace

TEST_CASE("each call of the storage happens at once, in whatever order the calls are made") {
    bool const second_commits = GENERATE(true, false);
    stage at;
    auto const all = all_orders();
    CHECK(all.size() == 1'680);
    for (auto const& calls : all) {
        auto const wrong = at.play(calls, second_commits);
        INFO(as_text(calls) << ": " << wrong);
        REQUIRE(wrong.empty());
    }
}
