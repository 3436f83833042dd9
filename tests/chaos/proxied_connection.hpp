// SPDX-License-Identifier: MIT
//
// One connection through the proxy: two directions, each of which passes bytes in order, after a
// while, or not at all.
#pragma once

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <deque>
#include <string>
#include <utility>

#include "chaos/socket.hpp"

namespace chaos {

struct weather {
    std::chrono::milliseconds latency{0};  ///< in each direction
    bool hole_to_server{false};
    bool hole_to_client{false};
};

namespace detail {

using steady = std::chrono::steady_clock;

class one_way {
public:
    /// Asks for what it can do now; `next`: when there is more to do without anybody's doing.
    void ask(pollfd& source, pollfd& sink, bool hole, steady::time_point& next) const {
        if (hole) return;
        if (!read_all_ && under_way_.size() < most_chunks) source.events |= POLLIN;
        if (under_way_.empty()) return;
        if (under_way_.front().due <= steady::now()) {
            sink.events |= POLLOUT;
        } else {
            next = std::min(next, under_way_.front().due);
        }
    }
    /// Does what was asked for and is possible. False: the connection broke.
    [[nodiscard]] bool move(pollfd const& source, pollfd const& sink,
                            std::chrono::milliseconds latency) {
        bool const may_read = (source.events & POLLIN) != 0 && source.revents != 0;
        bool const may_write = (sink.events & POLLOUT) != 0 && sink.revents != 0;
        return (!may_read || read(source.fd, latency)) && (!may_write || write(sink.fd));
    }
    [[nodiscard]] bool ended() const {
        return read_all_ && under_way_.empty();
    }

private:
    static constexpr std::size_t most_chunks = 64;
    struct chunk {
        steady::time_point due{};
        std::string bytes{};  ///< none: the end
    };

    bool read(int from, std::chrono::milliseconds latency) {
        std::array<char, 16'384> part{};
        auto const got = ::recv(from, part.data(), part.size(), 0);
        if (got < 0) return errno == EAGAIN || errno == EINTR;
        read_all_ = got == 0;
        under_way_.push_back(
            {steady::now() + latency, {part.data(), static_cast<std::size_t>(got)}});
        return true;
    }
    bool write(int to) {
        auto& bytes = under_way_.front().bytes;
        if (bytes.empty()) {
            ::shutdown(to, SHUT_WR);
        } else {
            auto const put = ::send(to, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (put < 0) return errno == EAGAIN || errno == EINTR;
            bytes.erase(0, static_cast<std::size_t>(put));
            if (!bytes.empty()) return true;
        }
        under_way_.pop_front();
        return true;
    }

    std::deque<chunk> under_way_{};
    bool read_all_{false};
};

}  // namespace detail

class proxied_connection {
public:
    proxied_connection(file_descriptor client, file_descriptor server)
        : client_{std::move(client)}, server_{std::move(server)} {}

    void ask(pollfd& client, pollfd& server, weather const& now,
             detail::steady::time_point& next) const {
        client = {client_.number(), 0, 0};
        server = {server_.number(), 0, 0};
        to_server_.ask(client, server, now.hole_to_server, next);
        to_client_.ask(server, client, now.hole_to_client, next);
        // Or poll would tell again and again of an end that nobody wants to hear of.
        if (client.events == 0) client.fd = -1;
        if (server.events == 0) server.fd = -1;
    }
    /// False: it is over.
    [[nodiscard]] bool move(pollfd const& client, pollfd const& server, weather const& now) {
        if (to_server_.move(client, server, now.latency) &&
            to_client_.move(server, client, now.latency)) {
            return !(to_server_.ended() && to_client_.ended());
        }
        reset();
        return false;
    }
    /// When it is dropped, both sides hear RST.
    void reset() const {
        end_with_reset(client_);
        end_with_reset(server_);
    }

private:
    file_descriptor client_;
    file_descriptor server_;
    detail::one_way to_server_{};
    detail::one_way to_client_{};
};

}  // namespace chaos
