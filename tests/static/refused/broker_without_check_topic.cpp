// SPDX-License-Identifier: MIT
//
// A broker that cannot say which topics it carries.
//
// says: a broker needs `static std::optional<problem> check_topic(std::string_view)`
#include "outbox/broker/memory.hpp"

class broker : public outbox::memory_broker {
#ifndef REPAIRED
public:
    static void check_topic() = delete;
#endif
};

template <outbox::broker Broker>
void publish_to(Broker&) {}

int main() {
    broker mine;
    publish_to(mine);
}
