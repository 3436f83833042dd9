// SPDX-License-Identifier: MIT
//
// Worker processes of the demo: each is a fork with an outbox of its own, and counts what it
// delivers where the parent can see it. The parent must have no threads and no connections when it
// starts one.
#pragma once

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <new>
#include <system_error>
#include <utility>

#include "outbox/observer.hpp"

namespace demo {

/// A number that parent and child share.
class shared_count {
public:
    shared_count() {
        void* const place = ::mmap(nullptr, sizeof *value_, PROT_READ | PROT_WRITE,
                                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (place == MAP_FAILED) throw std::system_error{errno, std::generic_category(), "mmap"};
        value_ = new (place) std::atomic<std::uint64_t>{0};
    }
    shared_count(shared_count&& other) noexcept : value_{std::exchange(other.value_, nullptr)} {}
    shared_count& operator=(shared_count&&) = delete;
    ~shared_count() {
        if (value_ != nullptr) ::munmap(value_, sizeof *value_);
    }
    [[nodiscard]] std::atomic<std::uint64_t>& operator*() const {
        return *value_;
    }

private:
    std::atomic<std::uint64_t>* value_{nullptr};
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

/// Hears only of published messages, and counts them.
struct counting_observer {
    std::atomic<std::uint64_t>* count;

    void operator()(outbox::event::published const& /*message*/) const {
        count->fetch_add(1, std::memory_order_relaxed);
    }
};

class worker_process {
public:
    /// `make_box(observer)` makes the child's outbox.
    template <class MakeBox>
    explicit worker_process(MakeBox make_box) {
        auto const parent = ::getpid();
        std::fflush(nullptr);
        id_ = ::fork();
        if (id_ < 0) throw std::system_error{errno, std::generic_category(), "fork"};
        if (id_ > 0) return;
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::getppid() != parent) ::_exit(1);
        ::_exit(work(make_box));
    }
    worker_process(worker_process&& other) noexcept
        : count_{std::move(other.count_)}, id_{std::exchange(other.id_, -1)} {}
    worker_process& operator=(worker_process&&) = delete;
    ~worker_process() {
        if (id_ > 0) end(SIGKILL);
    }

    [[nodiscard]] pid_t id() const {
        return id_;
    }
    /// Copies that the broker accepted from it.
    [[nodiscard]] std::uint64_t delivered() const {
        return *count_;
    }
    /// Sends `signal` and waits for the end; false when it did not end in order.
    bool end(int signal) {
        ::kill(id_, signal);
        int status = 0;
        while (::waitpid(id_, &status, 0) < 0 && errno == EINTR) {
        }
        id_ = -1;
        return WIFEXITED(status) && WEXITSTATUS(status) == 0;
    }

private:
    /// The child's life: at work until SIGTERM.
    template <class MakeBox>
    int work(MakeBox& make_box) {
        try {
            sigset_t awaited;
            ::sigemptyset(&awaited);
            ::sigaddset(&awaited, SIGTERM);
            ::pthread_sigmask(SIG_BLOCK, &awaited, nullptr);
            auto box = make_box(counting_observer{&*count_});
            auto worker = box.start_worker();
            int signal = 0;
            ::sigwait(&awaited, &signal);
            return worker.stop(std::chrono::seconds{5}).clean() ? 0 : 1;
        } catch (std::exception const& failure) {
            std::fprintf(stderr, "worker: %s\n", failure.what());
            return 1;
        }
    }

    shared_count count_{};
    pid_t id_{-1};
};

}  // namespace demo
