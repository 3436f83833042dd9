// SPDX-License-Identifier: MIT
//
// says: constraint
// says: a clock needs `monotonic_time now() const`
#include "outbox/broker/memory.hpp"
#include "outbox/outbox.hpp"
#include "outbox/storage/memory.hpp"

namespace {

struct sundial {
#ifdef REPAIRED
    [[nodiscard]] outbox::monotonic_time now() const {
        return {};
    }
#endif
    [[nodiscard]] outbox::wall_time wall() const {
        return {};
    }
    void wait(outbox::wakeup& /*signal*/, outbox::monotonic_time /*until*/, int /*also*/) const {}
};

}  // namespace

int main() {
    outbox::basic_outbox<outbox::memory_storage, outbox::memory_broker, sundial> const box{
        outbox::memory_storage{}, outbox::memory_broker{}};
}
