// SPDX-License-Identifier: MIT
//
// The goals of PostgreSQL and JetStream together, and the series that they are read from.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "processor_time.hpp"

namespace bench {

struct relay_load {
    int messages{100'000};
    int keys{5'000};
    int payload_bytes{256};
};

/// `value` and `floor` are names of series; their ratio shall be `goal` at least, or is just shown.
struct goal {
    std::string id{};
    std::string figure{};
    std::string value{};
    std::string floor{};
    std::optional<double> goal{};
};
[[nodiscard]] std::vector<goal> goals();

/// Private servers with durable defaults, for as long as this lives.
class relay_servers {
public:
    relay_servers();
    relay_servers(relay_servers const&) = delete;
    relay_servers& operator=(relay_servers const&) = delete;
    ~relay_servers();

    struct state;
    [[nodiscard]] state& get() const {
        return *state_;
    }

private:
    std::unique_ptr<state> state_;
};

/// Messages, or transactions, a second; and what processors did for all of them together.
struct reading {
    double rate{0};
    processor_time spent_each{};
};
/// Each measures once.
using measurement = std::pair<std::string, std::function<reading()>>;
[[nodiscard]] std::vector<measurement> series(relay_servers& on, relay_load const& load,
                                              std::vector<std::string> const& only);

}  // namespace bench
