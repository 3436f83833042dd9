// SPDX-License-Identifier: MIT
//
// What is not used costs nothing: policies without state take no byte, and an event that nobody
// hears is never built. The proof of the latter is that this program links, because what would
// build those events is declared and nowhere defined.
#include <type_traits>

#include "outbox/clock.hpp"
#include "outbox/concepts.hpp"
#include "outbox/delete_policy.hpp"
#include "outbox/observer.hpp"

outbox::event::round_finished build_round_finished();
outbox::event::published build_published();

namespace {

static_assert(std::is_empty_v<outbox::silent>);
static_assert(std::is_empty_v<outbox::system_clock>);
static_assert(std::is_empty_v<outbox::observers<>>);

// What becomes of a published message is known while compiling.
static_assert(std::bool_constant<outbox::hard_delete::on_published == outbox::fate::remove>::value);
static_assert(std::bool_constant<outbox::soft_delete::on_published == outbox::fate::stamp>::value);

// A dispatch is a token and a pointer, a receipt without a reason allocates nothing.
static_assert(std::is_trivially_copyable_v<outbox::dispatch>);
static_assert(sizeof(outbox::dispatch) == sizeof(outbox::attempt_token) + sizeof(void*));
static_assert(std::is_trivially_copyable_v<outbox::record>);

}  // namespace

int main() {
    outbox::silent nobody;
    outbox::notify(nobody, [] { return build_round_finished(); });

    int heard = 0;
    outbox::observers one_event{[&heard](outbox::event::broker_back const&) { ++heard; }};
    outbox::notify(one_event, [] { return build_published(); });
    outbox::notify(one_event, [] { return outbox::event::broker_back{}; });
    return heard == 1 ? 0 : 1;
}
