// SPDX-License-Identifier: MIT
//
// A private nats-server on 127.0.0.1 with JetStream in a temporary folder, and what a test needs to
// look into it. Killed and started again it keeps its port and its data.
#pragma once

#include <nats/nats.h>
#include <signal.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "support/process.hpp"

namespace support {

class nats_server {
public:
    /// `more` is added to the configuration: users, TLS, limits.
    explicit nats_server(std::string const& more = {}, std::filesystem::path const& parent =
                                                           std::filesystem::temp_directory_path())
        : folder_{parent}, port_{free_port()} {
        configure(more);
        start();
    }

    [[nodiscard]] int port() const {
        return port_;
    }
    [[nodiscard]] std::string url() const {
        return "nats://127.0.0.1:" + std::to_string(port_);
    }
    [[nodiscard]] std::filesystem::path const& folder() const {
        return folder_.path();
    }
    void start() {
        process_ = child_process{{"nats-server", "-c", (folder_.path() / "nats.conf").string()},
                                 folder_.path() / "log"};
        wait_until_ready("nats-server", [&] { return accepts_connections(port_); });
    }
    /// What holds instead of `more` from the next start on, or from the next reload.
    void configure(std::string const& more) const {
        std::ofstream config{folder_.path() / "nats.conf"};
        config << "listen: \"127.0.0.1:" << port_ << "\"\n"
               << "jetstream { store_dir: \"" << (folder_.path() / "data").string() << "\" }\n"
               << more << '\n';
    }
    void reload() const {
        process_.send(SIGHUP);
    }
    [[nodiscard]] pid_t id() const {
        return process_.id();
    }
    void kill() {
        process_.stop(SIGKILL);
    }
    void stop() {
        process_.stop(SIGTERM);
    }
    /// Accepts bytes as long as the kernel does, and answers nothing. Back when it has stopped.
    void hang() const {
        process_.send(SIGSTOP);
        int status = 0;
        ::waitpid(process_.id(), &status, WUNTRACED);
    }
    void resume() const {
        process_.send(SIGCONT);
    }

private:
    temporary_folder folder_;
    int port_;
    child_process process_{};
};

/// A message as a stream holds it.
struct stored_message {
    std::string subject{};
    std::string payload{};
    std::vector<std::pair<std::string, std::string>> headers{};
    std::uint64_t sequence{0};
    std::int64_t time{0};  ///< when the server stored it, in nanoseconds of Unix time

    [[nodiscard]] std::string header(std::string_view name) const {
        for (auto const& [key, value] : headers) {
            if (key == name) return value;
        }
        return {};
    }
    /// As a consumer reads it.
    [[nodiscard]] std::string message_id() const {
        return header("Nats-Msg-Id").substr(0, 36);
    }
};

/// A connection of the test's own, with the right to everything. Throws when NATS says no.
class nats_client {
public:
    explicit nats_client(std::string const& url) {
        require(natsConnection_ConnectTo(&connection_, url.c_str()), "connect");
        jsOptions options;
        jsOptions_Init(&options);
        require(natsConnection_JetStream(&context_, connection_, &options), "JetStream");
    }
    nats_client(nats_client const&) = delete;
    nats_client& operator=(nats_client const&) = delete;
    ~nats_client() {
        jsCtx_Destroy(context_);
        natsConnection_Destroy(connection_);
    }

    [[nodiscard]] natsConnection* connection() const {
        return connection_;
    }
    /// Creates a stream on these subjects; `change` may alter its configuration before.
    template <class Change>
    void add_stream(std::string const& name, std::vector<std::string> const& subjects,
                    Change&& change) {
        set_stream(js_AddStream, name, subjects, change);
    }
    /// The same for one that is there: what `change` does not set is as by default again.
    template <class Change>
    void update_stream(std::string const& name, std::vector<std::string> const& subjects,
                       Change&& change) {
        set_stream(js_UpdateStream, name, subjects, change);
    }
    void add_stream(std::string const& name, std::vector<std::string> const& subjects) {
        add_stream(name, subjects, [](jsStreamConfig&) {});
    }
    void delete_stream(std::string const& name) {
        jsErrCode code{};
        require(js_DeleteStream(context_, name.c_str(), nullptr, &code), "delete stream");
    }
    struct extent {
        std::uint64_t first{0};
        std::uint64_t last{0};
        std::uint64_t messages{0};
    };
    [[nodiscard]] extent extent_of(std::string const& stream) {
        jsStreamInfo* info = nullptr;
        jsErrCode code{};
        require(js_GetStreamInfo(&info, context_, stream.c_str(), nullptr, &code), "stream info");
        extent const found{std::max<std::uint64_t>(info->State.FirstSeq, 1), info->State.LastSeq,
                           info->State.Msgs};
        jsStreamInfo_Destroy(info);
        return found;
    }
    /// Shows all that the stream holds, in its order.
    template <class Visit>
    void for_each(std::string const& stream, Visit&& visit) {
        auto const all = extent_of(stream);
        for (auto sequence = all.first; sequence <= all.last; ++sequence) {
            natsMsg* message = nullptr;
            jsErrCode code{};
            auto const status =
                js_GetMsg(&message, context_, stream.c_str(), sequence, nullptr, &code);
            if (status == NATS_NOT_FOUND) continue;
            require(status, "get message");
            visit(copy(message));
            natsMsg_Destroy(message);
        }
    }
    [[nodiscard]] std::vector<stored_message> read(std::string const& stream) {
        std::vector<stored_message> all;
        for_each(stream, [&](stored_message one) { all.push_back(std::move(one)); });
        return all;
    }
    [[nodiscard]] static stored_message copy(natsMsg* message) {
        stored_message read;
        read.subject = natsMsg_GetSubject(message);
        read.sequence = natsMsg_GetSequence(message);
        read.time = natsMsg_GetTime(message);
        read.payload.assign(natsMsg_GetData(message),
                            static_cast<std::size_t>(natsMsg_GetDataLength(message)));
        char const** names = nullptr;
        int count = 0;
        if (natsMsgHeader_Keys(message, &names, &count) != NATS_OK) return read;
        for (int i = 0; i < count; ++i) {
            char const** values = nullptr;
            int many = 0;
            if (natsMsgHeader_Values(message, names[i], &values, &many) != NATS_OK) continue;
            for (int j = 0; j < many; ++j) read.headers.emplace_back(names[i], values[j]);
            free(values);  // NOLINT: the library's own way
        }
        free(names);  // NOLINT
        return read;
    }

private:
    template <class Set, class Change>
    void set_stream(Set set, std::string const& name, std::vector<std::string> const& subjects,
                    Change&& change) {
        std::vector<char const*> pointers;
        for (auto const& one : subjects) pointers.push_back(one.c_str());
        jsStreamConfig config;
        jsStreamConfig_Init(&config);
        config.Name = name.c_str();
        config.Subjects = pointers.data();
        config.SubjectsLen = static_cast<int>(pointers.size());
        change(config);
        jsErrCode code{};
        require(set(nullptr, context_, &config, nullptr, &code), "set stream");
    }
    static void require(natsStatus status, char const* what) {
        if (status != NATS_OK) {
            throw std::runtime_error{std::string{what} + ": " + natsStatus_GetText(status)};
        }
    }

    natsConnection* connection_{nullptr};
    jsCtx* context_{nullptr};
};

}  // namespace support
