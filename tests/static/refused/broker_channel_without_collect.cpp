// SPDX-License-Identifier: MIT
//
// A broker whose channel never tells what became of a message.
//
// says: a broker channel needs `collect(std::vector<receipt>&)`
#include "outbox/concepts.hpp"

class channel {
public:
    void send(std::span<outbox::dispatch const>) {}
#ifdef REPAIRED
    void collect(std::vector<outbox::receipt>&) {}
#endif
    [[nodiscard]] bool usable() const {
        return true;
    }
};

template <outbox::broker_channel Channel>
void publish_over(Channel&) {}

int main() {
    channel mine;
    publish_over(mine);
}
