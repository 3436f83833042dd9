// SPDX-License-Identifier: MIT
//
// A worker that dies, as by SIGKILL, whenever it is about to send a message of the topic
// `all.lethal`: killed_worker DATABASE TABLE NATS. Stops in order on SIGTERM.
#include <signal.h>

#include "outbox/broker/jetstream.hpp"
#include "outbox/outbox.hpp"
#include "outbox/storage/postgres.hpp"

using namespace std::chrono_literals;

int main(int count, char** words) {
    if (count != 4) return 2;
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &ends, nullptr);
    outbox::observers const dies{[](outbox::event::publishing const& e) {
        if (e.topic == "all.lethal") ::raise(SIGKILL);
    }};
    outbox::basic_outbox box{
        outbox::postgres_storage{words[1], outbox::table_name{std::string_view{words[2]}}},
        outbox::jetstream_broker{
            {.connection = {.url = words[3]},
             .create_stream = outbox::jetstream_stream{.name = "ALL", .subjects = {"all.>"}}}},
        outbox::options{.poll_interval = 20ms,
                        .lease_duration = 400ms,
                        .backoff_min = 10ms,
                        .backoff_max = 100ms},
        outbox::system_clock{},
        outbox::hard_delete{},
        dies};
    auto worker = box.start_worker();
    int signal = 0;
    sigwait(&ends, &signal);
    return worker.stop(3s).clean() ? 0 : 1;
}
