// SPDX-License-Identifier: MIT
//
// A child process that cannot outlive the test: stopped by its id when dropped, and by the kernel
// should the test itself be killed. With it, a folder that goes away and a port that is free.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace support {

/// A new folder under the system's temporary folder, or another one, removed with all it holds.
class temporary_folder {
public:
    explicit temporary_folder(
        std::filesystem::path const& parent = std::filesystem::temp_directory_path()) {
        auto pattern = (parent / "outbox-XXXXXX").string();
        if (::mkdtemp(pattern.data()) == nullptr) {
            throw std::system_error{errno, std::generic_category(), pattern};
        }
        path_ = pattern;
    }
    temporary_folder(temporary_folder const&) = delete;
    temporary_folder& operator=(temporary_folder const&) = delete;
    ~temporary_folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    [[nodiscard]] std::filesystem::path const& path() const {
        return path_;
    }

private:
    std::filesystem::path path_{};
};

/// The folder of the program that runs, where meson also puts its neighbours.
inline std::filesystem::path program_folder() {
    return std::filesystem::read_symlink("/proc/self/exe").parent_path();
}

/// A TCP port of 127.0.0.1 that was free a moment ago.
inline int free_port() {
    int const descriptor = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    if (::bind(descriptor, generic, size) != 0 || ::getsockname(descriptor, generic, &size) != 0) {
        throw std::system_error{errno, std::generic_category(), "free_port"};
    }
    ::close(descriptor);
    return ntohs(address.sin_port);
}

/// True when something accepts connections on that port of 127.0.0.1.
inline bool accepts_connections(int port) {
    int const descriptor = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    bool const connected =
        ::connect(descriptor, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    ::close(descriptor);
    return connected;
}

/// A running child. `user` (empty: ours) is who it runs as when we are root.
class child_process {
public:
    child_process() = default;
    child_process(std::vector<std::string> command, std::filesystem::path const& output,
                  std::string const& user = {}) {
        std::vector<char*> arguments;
        arguments.reserve(command.size() + 1);
        for (auto& word : command) arguments.push_back(word.data());
        arguments.push_back(nullptr);
        passwd const* const account =
            user.empty() || ::geteuid() != 0 ? nullptr : ::getpwnam(user.c_str());
        auto const parent = ::getpid();
        id_ = ::fork();
        if (id_ < 0) throw std::system_error{errno, std::generic_category(), "fork"};
        if (id_ == 0) {
            int const log = ::open(output.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
            int const nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
            ::dup2(nothing, 0);
            ::dup2(log, 1);
            ::dup2(log, 2);
            if (account != nullptr &&
                (::setgroups(0, nullptr) != 0 || ::setgid(account->pw_gid) != 0 ||
                 ::setuid(account->pw_uid) != 0)) {
                ::_exit(126);
            }
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (::getppid() != parent) ::_exit(125);
            ::execvp(arguments[0], arguments.data());
            ::_exit(127);
        }
    }
    child_process(child_process&& other) noexcept : id_{std::exchange(other.id_, -1)} {}
    child_process& operator=(child_process&& other) noexcept {
        if (this != &other) {
            stop(SIGKILL);
            id_ = std::exchange(other.id_, -1);
        }
        return *this;
    }
    ~child_process() {
        stop(SIGKILL);
    }

    [[nodiscard]] pid_t id() const {
        return id_;
    }
    [[nodiscard]] bool running() {
        if (id_ <= 0) return false;
        if (::waitpid(id_, &status_, WNOHANG) == 0) return true;
        id_ = -1;
        return false;
    }
    void send(int signal) const {
        if (id_ > 0) ::kill(id_, signal);
    }
    /// Sends `signal` and waits for the end. Returns the status as of waitpid.
    int stop(int signal = SIGTERM) {
        if (id_ > 0) {
            ::kill(id_, signal);
            wait();
        }
        return status_;
    }
    int wait() {
        if (id_ > 0) {
            while (::waitpid(id_, &status_, 0) < 0 && errno == EINTR) {
            }
            id_ = -1;
        }
        return status_;
    }

private:
    pid_t id_{-1};
    int status_{0};
};

/// Asks `ready` every few milliseconds for at most 30 s; throws naming `what` when it never is.
template <class Condition>
void wait_until_ready(std::string const& what, Condition ready,
                      std::chrono::seconds patience = std::chrono::seconds{30}) {
    auto const until = std::chrono::steady_clock::now() + patience;
    while (std::chrono::steady_clock::now() < until) {
        if (ready()) return;
        std::this_thread::sleep_for(std::chrono::milliseconds{10});
    }
    throw std::runtime_error{what + " did not become ready within " +
                             std::to_string(patience.count()) + " s"};
}

}  // namespace support
