// SPDX-License-Identifier: MIT
//
// A message as the laws of a broker look at it, after it arrived.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace outbox::testing::laws {

struct delivery {
    std::string topic{};
    std::string payload{};
    std::string id{};
    std::vector<std::pair<std::string, std::string>> headers{};

    [[nodiscard]] std::string header(std::string_view name) const {
        for (auto const& [key, value] : headers) {
            if (key == name) return value;
        }
        return {};
    }
};

}  // namespace outbox::testing::laws

// In the words of the models and the laws.
namespace {  // NOLINT(google-build-namespaces)
namespace laws = outbox::testing::laws;
}
