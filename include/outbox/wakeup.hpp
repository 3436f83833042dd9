// SPDX-License-Identifier: MIT
//
// Ends a worker's wait: a commit in this process, a receipt that arrived, a stop request. Many
// threads notify, one waits. It is a descriptor inside, so that one poll(2) can also watch what a
// storage listens on.
#pragma once

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <system_error>

namespace outbox {

class wakeup {
public:
    wakeup() : descriptor_{::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)} {
        if (descriptor_ < 0) throw std::system_error{errno, std::generic_category(), "eventfd"};
    }
    wakeup(wakeup const&) = delete;
    wakeup& operator=(wakeup const&) = delete;
    ~wakeup() {
        ::close(descriptor_);
    }

    /// Ends the present wait, or the next one. Any thread; a system call only for the first
    /// notification since the last wait.
    void notify() noexcept {
        if (notified_.exchange(true)) return;
        std::uint64_t const one = 1;
        [[maybe_unused]] auto const written = ::write(descriptor_, &one, sizeof one);
    }

    /// Waits at most `limit` (negative: for ever) for a notification, or for `also` (a descriptor,
    /// -1 for none) to become readable. May return early.
    void wait(std::chrono::nanoseconds limit, int also = -1) noexcept {
        std::array<pollfd, 2> watched{{{descriptor_, POLLIN, 0}, {also, POLLIN, 0}}};
        auto const seconds = std::chrono::duration_cast<std::chrono::seconds>(limit);
        timespec const timeout{seconds.count(), (limit - seconds).count()};
        ::ppoll(watched.data(), also < 0 ? 1 : 2, limit.count() < 0 ? nullptr : &timeout, nullptr);
        // Drained before it is cleared: the other way round, a notification in between would be
        // drained and still stand as given, and all later ones would be held back. Whoever notifies
        // in between has changed its state already, and the waiter looks at that after this call.
        std::uint64_t count = 0;
        [[maybe_unused]] auto const drained = ::read(descriptor_, &count, sizeof count);
        notified_.exchange(false);
    }

private:
    int descriptor_;
    std::atomic<bool> notified_{false};
};

}  // namespace outbox
