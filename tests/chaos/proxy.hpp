// SPDX-License-Identifier: MIT
//
// A bad network in front of one server: passes bytes, late if asked to, ends connections, or passes
// nothing in a direction. What a black hole swallows arrives when it closes, as with TCP, whose
// sender repeats itself: a connection that survives is never short of a byte. One thread, poll(2).
// Orders have been carried out when they return.
#pragma once

#include <poll.h>
#include <sys/eventfd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "chaos/proxied_connection.hpp"
#include "chaos/socket.hpp"

namespace chaos {

class proxy {
public:
    explicit proxy(int server_port) : server_port_{server_port}, thread_{[this] { run(); }} {}
    proxy(proxy const&) = delete;
    proxy& operator=(proxy const&) = delete;
    ~proxy() {
        ending_ = true;
        wake();
        thread_.join();
    }

    [[nodiscard]] int port() const {
        return port_of(listener_);
    }
    /// Holds for the connections that are there and for new ones.
    void set(weather const& now) {
        order([&] { asked_ = now; });
    }
    /// Ends every connection of this moment in order, as a firewall that restarts.
    void cut() {
        order([&] { asked_end_ = end::in_order; });
    }
    /// The same, with RST.
    void reset() {
        order([&] { asked_end_ = end::reset; });
    }

private:
    enum class end : std::uint8_t { none, in_order, reset };

    void wake() const {
        ::eventfd_write(wake_.number(), 1);
    }
    template <class Change>
    void order(Change&& change) {
        std::unique_lock lock{mutex_};
        change();
        is_taken_ = false;
        wake();
        taken_.wait(lock, [&] { return is_taken_; });
    }

    void run() {
        while (!ending_) {
            auto const now = take_orders();
            auto next = detail::steady::time_point::max();
            std::vector<pollfd> waits(2 + 2 * connections_.size());
            waits[0] = {wake_.number(), POLLIN, 0};
            waits[1] = {listener_.number(), POLLIN, 0};
            for (std::size_t i = 0; i < connections_.size(); ++i)
                connections_[i].ask(waits[2 + 2 * i], waits[3 + 2 * i], now, next);
            ::poll(waits.data(), waits.size(), milliseconds_until(next));
            eventfd_t ignored = 0;
            if (waits[0].revents != 0) ::eventfd_read(wake_.number(), &ignored);
            std::vector<proxied_connection> alive;
            for (std::size_t i = 0; i < connections_.size(); ++i) {
                if (connections_[i].move(waits[2 + 2 * i], waits[3 + 2 * i], now))
                    alive.push_back(std::move(connections_[i]));
            }
            connections_ = std::move(alive);
            if (waits[1].revents != 0) accept();
        }
    }
    weather take_orders() {
        std::lock_guard const lock{mutex_};
        auto const how = std::exchange(asked_end_, end::none);
        if (how == end::reset) {
            for (auto const& one : connections_) one.reset();
        }
        if (how != end::none) connections_.clear();
        is_taken_ = true;
        taken_.notify_all();
        return asked_;
    }
    void accept() {
        int const client =
            ::accept4(listener_.number(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (client < 0) return;
        connections_.emplace_back(file_descriptor{client},
                                  connected_socket(server_port_, SOCK_NONBLOCK));
    }
    [[nodiscard]] static int milliseconds_until(detail::steady::time_point next) {
        if (next == detail::steady::time_point::max()) return -1;
        auto const left =
            std::chrono::ceil<std::chrono::milliseconds>(next - detail::steady::now());
        return static_cast<int>(std::max<std::int64_t>(left.count(), 0));
    }

    int server_port_;
    file_descriptor wake_{::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
    file_descriptor listener_{listening_socket(SOCK_NONBLOCK)};
    std::atomic<bool> ending_{false};
    std::mutex mutex_{};
    std::condition_variable taken_{};
    bool is_taken_{true};
    weather asked_{};
    end asked_end_{end::none};
    std::vector<proxied_connection> connections_{};  ///< of the thread alone
    std::thread thread_;
};

}  // namespace chaos
