// SPDX-License-Identifier: MIT
//
// Just enough of a NATS server for one client to connect to, and to lose in a moment of the test's
// choice.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>

namespace support {

class resetting_nats {
public:
    resetting_nats() : listener_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)} {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        auto* const any = reinterpret_cast<sockaddr*>(&address);
        if (::bind(listener_, any, size) != 0 || ::listen(listener_, 1) != 0 ||
            ::getsockname(listener_, any, &size) != 0) {
            throw std::system_error{errno, std::generic_category(), "a listening socket"};
        }
        port_ = ntohs(address.sin_port);
        greeting_ = std::thread{[this] { greet(); }};
    }
    resetting_nats(resetting_nats const&) = delete;
    resetting_nats& operator=(resetting_nats const&) = delete;
    ~resetting_nats() {
        if (greeting_.joinable()) greeting_.join();
        ::close(listener_);
    }

    [[nodiscard]] std::string url() const {
        return "nats://127.0.0.1:" + std::to_string(port_);
    }
    /// Ends the connection of the client that has connected; it hears of that at once.
    void reset() {
        greeting_.join();
        linger const at_once{1, 0};
        ::setsockopt(client_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        ::close(client_);
    }

private:
    void greet() {
        client_ = ::accept(listener_, nullptr, nullptr);
        say("INFO {\"server_id\":\"x\",\"version\":\"2.9.10\",\"headers\":true,"
            "\"max_payload\":1048576}\r\n");
        std::string heard;
        std::array<char, 4'096> part{};
        while (heard.find("PING") == std::string::npos) {
            auto const got = ::recv(client_, part.data(), part.size(), 0);
            if (got <= 0) return;
            heard.append(part.data(), static_cast<std::size_t>(got));
        }
        say("PONG\r\n");
    }
    void say(std::string_view text) const {
        static_cast<void>(::send(client_, text.data(), text.size(), MSG_NOSIGNAL));
    }

    int listener_;
    int client_{-1};
    int port_{0};
    std::thread greeting_{};
};

}  // namespace support
