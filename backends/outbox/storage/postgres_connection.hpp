// SPDX-License-Identifier: MIT
//
// A connection of our own whose every verb ends within a limit, even when the server hangs: libpq
// without blocking, poll(2), and a timer of the kernel's beside the socket. Commands of one verb
// travel together (pipeline mode) and are prepared on their first use.
#pragma once

#include <libpq-fe.h>

#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "outbox/clock.hpp"
#include "outbox/storage/postgres_binary.hpp"
#include "outbox/storage/postgres_failure.hpp"

namespace outbox::postgres {

struct command {
    std::string_view sql{};
    parameters values{};
    std::string_view name{};  ///< prepared under this name; empty: not prepared
};

class connection {
public:
    /// Throws `invalid_option` for a malformed connection string. It does not say more, since parts
    /// of the string may be secret.
    static void check_connection_string(std::string const& text);

    /// Throws `unavailable`. Looking a host name up is the one thing that can take longer.
    connection(std::string const& connection_string, duration limit);
    connection(connection const&) = delete;
    connection& operator=(connection const&) = delete;
    ~connection();

    /// The verbs that follow, up to the next call, must end within the limit together.
    void start_limit();

    /// Runs the commands in order; after one that fails none of the later ones is run. Throws
    /// `failure`; when the connection was lost or the limit is over, also forgets the connection.
    [[nodiscard]] std::vector<result> run(std::span<command const> commands);
    [[nodiscard]] result run(command const& one);

    /// Ends a transaction that a failure left open.
    void roll_back();

    [[nodiscard]] bool lost() const {
        return handle_ == nullptr;
    }

    /// Readable when the server has something to say between two verbs; -1 when lost.
    [[nodiscard]] int descriptor() const {
        return PQsocket(handle_);
    }
    /// How many notifications came since the last call. Never waits.
    [[nodiscard]] std::size_t notifications();
    /// As the server named its process when it was connected to; a pooler names another one.
    [[nodiscard]] std::int32_t server_process() const {
        return PQbackendPID(handle_);
    }

private:
    void open(std::string const& connection_string);
    void set_up_session();
    void send(command const& one);
    void wait(bool to_write);
    [[nodiscard]] result next_result();
    [[noreturn]] void lose(failure why);

    duration limit_;
    int timer_{-1};
    PGconn* handle_{nullptr};
    std::set<std::string, std::less<>> prepared_{};
};

}  // namespace outbox::postgres
