// SPDX-License-Identifier: MIT
#include "throughput/setting.hpp"

namespace bench::throughput {

namespace {

/// One factor: the base case's own value first.
class group {
public:
    group(std::string factor, std::string base, bool enqueue)
        : factor_{std::move(factor)}, enqueue_{enqueue} {
        all_.push_back({factor_, std::move(base), setting{}, enqueue_});
    }
    template <class Change>
    group& with(std::string value, Change&& change) {
        setting changed;
        change(changed);
        all_.push_back({factor_, std::move(value), changed, enqueue_});
        return *this;
    }
    group& numbers(int setting::*which, std::initializer_list<int> values) {
        for (int const one : values) with(std::to_string(one), [&](setting& s) { s.*which = one; });
        return *this;
    }
    [[nodiscard]] std::vector<variation> const& all() const {
        return all_;
    }

private:
    std::string factor_;
    bool enqueue_;
    std::vector<variation> all_{};
};

}  // namespace

std::vector<std::vector<variation>> variations() {
    return {group{"storage", "PostgreSQL", true}
                .with("SQLite", [](setting& s) { s.storage = storage_kind::sqlite; })
                .with("memory", [](setting& s) { s.storage = storage_kind::memory; })
                .all(),
            group{"broker", "JetStream", false}
                .with("core NATS", [](setting& s) { s.broker = broker_kind::nats; })
                .with("memory", [](setting& s) { s.broker = broker_kind::memory; })
                .all(),
            group{"delete policy", "hard", false}
                .with("soft", [](setting& s) { s.deletes = delete_kind::soft; })
                .all(),
            group{"payload bytes", "256", true}
                .numbers(&setting::payload_bytes, {64, 1'024, 16'384, 65'536})
                .all(),
            group{"keys", "5000", true}.numbers(&setting::keys, {0, 1, 100, 100'000}).all(),
            group{"batch", "1000", false}.numbers(&setting::batch, {10, 100, 5'000}).all(),
            group{"workers", "1", false}.numbers(&setting::workers, {2, 4, 8}).all()};
}

}  // namespace bench::throughput
