// SPDX-License-Identifier: MIT
//
// A goal is read from figures, and figures come from measurements that take turns. A family is all
// of these about one matter; each has its own file beside this one.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace bench::goals {

class servers;

/// What was counted or timed, by name: {"relay hard", 90'000.0}.
using figures = std::vector<std::pair<std::string, double>>;

/// The figure `value` is held against `bound`; divided by the figure `floor` of the same repetition
/// where there is one.
struct goal {
    enum class kind { at_least, at_most, shown };

    std::string id{};
    std::string sentence{};
    std::string value{};
    std::string floor{};
    kind what{kind::at_least};
    double bound{0};
};

struct measurement {
    std::string name{};
    std::function<figures()> run{};
    bool once{false};  ///< takes minutes, and is steady: one repetition is enough
};

struct family {
    std::string name{};
    std::vector<goal> goals{};
    std::vector<measurement> measurements{};
};

struct load {
    int messages{100'000};
    int keys{5'000};
    int payload_bytes{256};
    int pin_seconds{180};  ///< how long the vacuum horizon stays where it is
};

[[nodiscard]] family relay_family(std::shared_ptr<servers> const& on, load const& wanted);
[[nodiscard]] family doubles_family();
[[nodiscard]] family sqlite_family(std::shared_ptr<servers> const& on, load const& wanted);
[[nodiscard]] family peers_family(std::shared_ptr<servers> const& on, load const& wanted);
[[nodiscard]] family cost_family(std::shared_ptr<servers> const& on, load const& wanted);
[[nodiscard]] family memory_family(std::shared_ptr<servers> const& on, load const& wanted);
[[nodiscard]] family flat_family(std::shared_ptr<servers> const& on, load const& wanted);

/// Where the program's first argument is this, it is a worker until SIGTERM.
inline constexpr char const* worker_word = "worker";
int work(std::string const& database, std::string const& table, std::string const& nats);
[[nodiscard]] family latency_family(std::shared_ptr<servers> const& on, load const& wanted);
[[nodiscard]] family idle_family(std::shared_ptr<servers> const& on, load const& wanted);

}  // namespace bench::goals
