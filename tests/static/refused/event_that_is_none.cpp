// SPDX-License-Identifier: MIT
//
// Code of the library that would announce a type which is no event.
//
// says: an_event
#include "outbox/observer.hpp"

int main() {
    outbox::silent nobody;
#ifdef REPAIRED
    outbox::notify(nobody, [] { return outbox::event::broker_back{}; });
#else
    outbox::notify(nobody, [] { return 42; });
#endif
}
