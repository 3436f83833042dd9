// SPDX-License-Identifier: MIT
//
// What waits for the disk: counted by standing in front of the system's calls that do.
#include <sys/syscall.h>
#include <unistd.h>

#include "outbox/testing/catch.hpp"
#include "support/sqlite_case.hpp"

namespace {

int syncs = 0;

/// How often the call waits for the disk.
template <class Call>
int syncs_of(Call&& call) {
    int const before = syncs;
    call();
    return syncs - before;
}

}  // namespace

extern "C" int fsync(int descriptor) {  // NOLINT: the name of libc is reserved
    ++syncs;
    return static_cast<int>(syscall(SYS_fsync, descriptor));
}

extern "C" int fdatasync(int descriptor) {  // NOLINT: the name of libc is reserved
    ++syncs;
    return static_cast<int>(syscall(SYS_fdatasync, descriptor));
}

TEST_CASE("what a worker decides is on disk before it goes on, mere settling need not be") {
    using outbox::fate;
    support::sqlite_case at;
    for (int i = 1; i <= 8; ++i) at.put(i);
    auto session = at.worker();
    CHECK(syncs_of([&] { static_cast<void>(session.acquire(support::everything)); }) > 0);
    CHECK(syncs_of([&] { static_cast<void>(support::read(session)); }) == 0);
    auto const settled = [&](outbox::sequence_number sequence, fate what) {
        return syncs_of([&] { support::settle(session, {{.sequence = sequence, .what = what}}); });
    };
    CHECK(settled(1, fate::stamp) == 0);
    CHECK(settled(2, fate::remove) == 0);
    CHECK(settled(3, fate::bury) > 0);
    CHECK(settled(4, fate::retry) > 0);
    CHECK(settled(5, fate::follow) > 0);
    CHECK(settled(6, fate::schedule) > 0);
    CHECK(settled(7, fate::remove) == 0);
    CHECK(settled(8, fate::hand_back) == 0);
    outbox::renewal const kept[] = {{.partition = 0, .care = {}}};
    CHECK(syncs_of([&] {
              static_cast<void>(
                  session.exchange({.renewals = kept, .lease = std::chrono::hours{1}}));
          }) > 0);
    CHECK(syncs_of([&] {
              static_cast<void>(session.exchange(
                  {.read = support::only, .records = 1, .bytes = 1, .alone = true}));
          }) > 0);
    CHECK(syncs_of([&] { session.release(std::vector<outbox::ending>{{}}); }) > 0);
}
