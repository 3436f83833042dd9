// SPDX-License-Identifier: MIT
//
// A stranger's program that uses the core and the memory backends.
#include <outbox/broker/memory.hpp>
#include <outbox/storage/memory.hpp>

int main() {
    outbox::memory_storage storage;
    auto work = storage.begin_transaction();
    outbox::draft const message{
        .id = outbox::parse_message_id("0190163d-8694-739b-aea5-966c26f8ad91").value(),
        .topic = "order.created",
        .payload = "{}"};
    storage.append(work, {&message, 1});
    work.commit();
    return storage.statistics().backlog == 1 ? 0 : 1;
}
