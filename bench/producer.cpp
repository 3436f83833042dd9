// SPDX-License-Identifier: MIT
//
// The producers of the goals as a process of their own: producer DATABASE TABLE ANNOUNCE THREADS
// RATE SECONDS KEYS BYTES. Prints the moments of each message, a line each.
#include <cinttypes>
#include <cstdio>
#include <exception>
#include <string>

#include "goals/producing.hpp"
#include "outbox/broker/memory.hpp"
#include "outbox/storage/postgres.hpp"

int main(int count, char** words) {
    if (count != 9) return 2;
    try {
        // Nothing is delivered from here, so any broker will do.
        outbox::basic_outbox box{
            outbox::postgres_storage{words[1],
                                     outbox::table_name{std::string_view{words[2]}},
                                     {.announce = std::string_view{words[3]} == "yes"}},
            outbox::memory_broker{}};
        bench::goals::pace const wanted{.threads = std::stoi(words[4]),
                                        .each_second = std::stoi(words[5]),
                                        .seconds = std::stoi(words[6])};
        auto const all =
            bench::goals::produce(box, words[1], wanted, std::stoi(words[7]), std::stoul(words[8]));
        for (auto const& one : all)
            std::printf("%" PRId64 " %" PRId64 "\n", one.made, one.committed);
        return 0;
    } catch (std::exception const& failure) {
        std::fprintf(stderr, "producer: %s\n", failure.what());
        return 1;
    }
}
