// SPDX-License-Identifier: MIT
//
// A file descriptor that is closed when dropped, and the few sockets on 127.0.0.1 that the proxy
// and its test are made of.
#pragma once

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <system_error>
#include <utility>

namespace chaos {

class file_descriptor {
public:
    explicit file_descriptor(int number) : number_{number} {
        if (number < 0) throw std::system_error{errno, std::generic_category(), "no descriptor"};
    }
    file_descriptor(file_descriptor&& other) noexcept : number_{std::exchange(other.number_, -1)} {}
    file_descriptor& operator=(file_descriptor&& other) noexcept {
        std::swap(number_, other.number_);
        return *this;
    }
    ~file_descriptor() {
        if (number_ >= 0) ::close(number_);
    }
    [[nodiscard]] int number() const {
        return number_;
    }

private:
    int number_;
};

[[nodiscard]] inline sockaddr_in local_address(int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    return address;
}

/// A socket whose small writes leave at once. `kind`: SOCK_NONBLOCK or 0.
[[nodiscard]] inline file_descriptor prompt_socket(int kind) {
    file_descriptor made{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | kind, 0)};
    int const yes = 1;
    ::setsockopt(made.number(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    return made;
}

/// Connected or, where `kind` is SOCK_NONBLOCK, about to be: a refusal then shows on its first use.
[[nodiscard]] inline file_descriptor connected_socket(int port, int kind) {
    auto made = prompt_socket(kind);
    auto const address = local_address(port);
    auto const* const any = reinterpret_cast<sockaddr const*>(&address);
    if (::connect(made.number(), any, sizeof address) != 0 && errno != EINPROGRESS &&
        kind != SOCK_NONBLOCK) {
        throw std::system_error{errno, std::generic_category(), "connect"};
    }
    return made;
}

/// Listens on a port that the kernel chose.
[[nodiscard]] inline file_descriptor listening_socket(int kind) {
    auto made = prompt_socket(kind);
    auto const address = local_address(0);
    if (::bind(made.number(), reinterpret_cast<sockaddr const*>(&address), sizeof address) != 0 ||
        ::listen(made.number(), 64) != 0) {
        throw std::system_error{errno, std::generic_category(), "listen"};
    }
    return made;
}

[[nodiscard]] inline int port_of(file_descriptor const& listener) {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    ::getsockname(listener.number(), reinterpret_cast<sockaddr*>(&address), &size);
    return ntohs(address.sin_port);
}

/// When it is closed, the other side hears RST, and what was on its way is gone.
inline void end_with_reset(file_descriptor const& socket) {
    linger const at_once{1, 0};
    ::setsockopt(socket.number(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

}  // namespace chaos
