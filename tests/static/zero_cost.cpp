// SPDX-License-Identifier: MIT
//
// What is not used costs nothing: policies without state take no byte, and an event that nobody
// hears is never built. The proof of the latter is that this program links, because what would
// build those events is declared and nowhere defined.
#include <memory>
#include <thread>
#include <type_traits>
#include <utility>

#include "outbox/basic_outbox.hpp"
#include "outbox/broker/memory.hpp"
#include "outbox/clock.hpp"
#include "outbox/concepts.hpp"
#include "outbox/delete_policy.hpp"
#include "outbox/observer.hpp"
#include "outbox/storage/memory.hpp"

outbox::event::round_finished build_round_finished();
outbox::event::published build_published();

namespace {

static_assert(std::is_empty_v<outbox::silent>);
static_assert(std::is_empty_v<outbox::system_clock>);
static_assert(std::is_empty_v<outbox::observers<>>);

// What becomes of a published message is known while compiling.
static_assert(std::bool_constant<outbox::hard_delete::on_published == outbox::fate::remove>::value);
static_assert(std::bool_constant<outbox::soft_delete::on_published == outbox::fate::stamp>::value);

// The doubles are what they say: an outbox made of them is one pointer, a step or a commit is a
// plain call on the very type that was named. No part has a table of virtual functions.
using doubles = outbox::basic_outbox<outbox::memory_storage, outbox::memory_broker,
                                     outbox::manual_clock, outbox::hard_delete>;
static_assert(sizeof(doubles) == sizeof(std::shared_ptr<void>));
static_assert(sizeof(doubles::worker) <= sizeof(std::shared_ptr<void>) + sizeof(std::thread));
static_assert(sizeof(doubles::transaction) == sizeof(void*));
static_assert(sizeof(doubles::unit_of_work) <= sizeof(std::shared_ptr<void>) + 2 * sizeof(void*));
static_assert(sizeof(outbox::memory_storage) == sizeof(std::shared_ptr<void>));
static_assert(sizeof(outbox::memory_broker) == sizeof(std::shared_ptr<void>));
static_assert(
    std::is_same_v<decltype(std::declval<doubles&>().storage()), outbox::memory_storage&>);
static_assert(std::is_same_v<decltype(std::declval<doubles&>().broker()), outbox::memory_broker&>);
template <class... Types>
constexpr bool none_is_polymorphic = (!std::is_polymorphic_v<Types> && ...);
static_assert(none_is_polymorphic<doubles, doubles::worker, doubles::unit_of_work,
                                  outbox::memory_storage, outbox::memory_storage::session,
                                  outbox::memory_broker, outbox::memory_broker::channel,
                                  outbox::record, outbox::page, outbox::hand>);

// A dispatch is a token and two pointers, a receipt without a reason allocates nothing.
static_assert(std::is_trivially_copyable_v<outbox::dispatch>);
static_assert(sizeof(outbox::dispatch) == sizeof(outbox::attempt_token) + 2 * sizeof(void*));
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
