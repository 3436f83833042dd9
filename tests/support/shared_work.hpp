// SPDX-License-Identifier: MIT
//
// Several workers share one storage while the broker fails at random: what must hold afterwards,
// whichever storage it is. The broker's failures are known per message, so every copy can be
// accounted for.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "outbox/broker/memory.hpp"
#include "outbox/outbox.hpp"
#include "outbox/testing/catch.hpp"

namespace support {

/// Fails a share of all attempts, in every way that a broker has. Thread-safe.
class moody_broker {
public:
    explicit moody_broker(std::uint64_t seed) : random_{seed} {
        broker_.answer_with([this](outbox::record const& one) { return answer(one); });
    }
    [[nodiscard]] outbox::memory_broker& broker() {
        return broker_;
    }
    /// Attempts of this message that arrived although the receipt did not say so.
    [[nodiscard]] int doubtful(outbox::message_id const& id) {
        std::lock_guard const lock{mutex_};
        return doubtful_[id];
    }

private:
    std::optional<outbox::memory_broker::failure> answer(outbox::record const& one) {
        std::lock_guard const lock{mutex_};
        auto const draw = random_.random() % 100;
        if (draw < 3) return outbox::memory_broker::failure{outbox::outcome::rejected, "moody"};
        if (draw < 5) {
            ++doubtful_[one.id];
            return outbox::memory_broker::failure{outbox::outcome::unknown, "moody", true};
        }
        if (draw < 7) return outbox::memory_broker::failure{outbox::outcome::unknown, "moody"};
        if (random_.random() % 5'000 == 0) {
            return outbox::memory_broker::failure{outbox::outcome::unavailable, "moody"};
        }
        return std::nullopt;
    }

    outbox::memory_broker broker_{};
    std::mutex mutex_{};
    outbox::message_id_generator random_;
    std::map<outbox::message_id, int> doubtful_{};
};

/// Options under which a failing message comes back quickly.
inline outbox::options impatient() {
    return {.poll_interval = std::chrono::milliseconds{20},
            .batch_size = 100,
            .max_attempts = 50,
            .backoff_min = std::chrono::milliseconds{1},
            .backoff_max = std::chrono::milliseconds{20},
            .probe_max = std::chrono::milliseconds{20}};
}

/// Enqueues `count` messages over `keys` keys, several a transaction, while `workers` deliver them.
template <class Outbox, class Connection>
void check_shared_work(Outbox& box, moody_broker& moody, Connection& connection, int count,
                       int keys, int workers) {
    std::vector<typename Outbox::worker> all;
    for (int i = 0; i < workers; ++i) all.push_back(box.start_worker());

    std::map<std::string, std::vector<outbox::message_id>> created;
    outbox::message_id_generator random{42};
    for (int done = 0; done < count;) {
        auto work = box.begin(connection);
        for (auto left = std::min<int>(count - done, 1 + static_cast<int>(random.random() % 20));
             left > 0; --left, ++done) {
            auto const key = "key-" + std::to_string(random.random() % static_cast<unsigned>(keys));
            created[key].push_back(
                box.create_message(work, "shared", std::to_string(done), {.key = key}));
        }
        work.commit();
    }
    auto const is_done = [&] {
        auto const figures = box.stats().storage;
        return figures.backlog == 0 || figures.dead > 0;
    };
    while (!is_done()) std::this_thread::sleep_for(std::chrono::milliseconds{20});
    for (auto& one : all) CHECK(one.stop(std::chrono::seconds{30}).clean());

    std::map<std::string, std::vector<outbox::message_id>> first_deliveries;
    std::map<outbox::message_id, int> copies;
    for (auto const& one : moody.broker().delivered()) {
        if (++copies[one.id] == 1) first_deliveries[one.key].push_back(one.id);
    }
    CHECK(box.stats().storage.dead == 0);
    int out_of_order = 0;
    int unexplained = 0;
    for (auto const& [key, ids] : created) {
        if (first_deliveries[key] != ids) ++out_of_order;
        for (auto const& id : ids) {
            if (copies[id] > 1 + moody.doubtful(id)) ++unexplained;
        }
    }
    CHECK(out_of_order == 0);
    CHECK(unexplained == 0);
    CHECK(copies.size() == static_cast<std::size_t>(count));
}

}  // namespace support
