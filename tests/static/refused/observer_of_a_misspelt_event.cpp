// SPDX-License-Identifier: MIT
//
// An observer that would otherwise hear nothing, in silence, for ever.
//
// says: publishd
// says: outbox::event
#include "outbox/observer.hpp"

int main() {
#ifdef REPAIRED
    using heard = outbox::event::published;
#else
    using heard = outbox::event::publishd;
#endif
    outbox::observers listening{[](heard const&) {}};
    outbox::notify(listening, [] { return outbox::event::broker_back{}; });
}
