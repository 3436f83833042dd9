// SPDX-License-Identifier: MIT
//
// A delete policy that does not say how long dead letters are kept.
//
// says: a delete policy needs `dead_retention()`
#include "outbox/concepts.hpp"

struct keep_all {
    static constexpr outbox::fate on_published = outbox::fate::stamp;
    [[nodiscard]] static std::optional<outbox::duration> published_retention() {
        return {};
    }
#ifdef REPAIRED
    [[nodiscard]] static std::optional<outbox::duration> dead_retention() {
        return {};
    }
#endif
};

template <outbox::delete_policy Policy>
void keep_by(Policy const&) {}

int main() {
    keep_by(keep_all{});
}
