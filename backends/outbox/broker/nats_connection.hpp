// SPDX-License-Identifier: MIT
//
// How to reach a NATS server: shared by both NATS brokers.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "outbox/error.hpp"

namespace outbox {

/// Encryption. On as soon as any of it is set, or the URL begins with `tls://`; the server's
/// certificate is always verified.
struct nats_tls_options {
    bool required{false};
    std::string ca_file{};           ///< PEM; empty: the system's authorities
    std::string certificate_file{};  ///< PEM, for servers that ask for one
    std::string key_file{};          ///< PEM, together with `certificate_file`
    std::string server_name{};       ///< expected in the certificate; empty: the host of the URL

    [[nodiscard]] bool wanted() const {
        return required || !ca_file.empty() || !certificate_file.empty() || !key_file.empty() ||
               !server_name.empty();
    }
};

/// At most one way to authenticate: user and password, token, credentials file, nkey.
struct nats_connection_options {
    /// One server or several, separated by commas: `nats://host:port`, `tls://host:port`. They are
    /// tried in this order.
    std::string url{"nats://127.0.0.1:4222"};
    /// Shown by the server's monitoring.
    std::string name{"outbox"};
    std::string user{};
    std::string password{};
    std::string token{};
    std::string credentials_file{};
    std::string nkey{};            ///< the public key
    std::string nkey_seed_file{};  ///< the file with the seed that belongs to it
    nats_tls_options tls{};
    std::chrono::milliseconds connect_timeout{2'000};  ///< for each server
};

namespace nats_rules {

/// Throws `invalid_option`, naming the field and never its value; also for a file that cannot be
/// read.
void check(nats_connection_options const& options);

/// The servers of `url`, one each.
[[nodiscard]] std::vector<std::string> servers_of(std::string_view url);

/// The host of one server's address.
[[nodiscard]] std::string host_of(std::string_view server);

/// The same address without user, password or token.
[[nodiscard]] std::string without_secrets(std::string_view url);

}  // namespace nats_rules

}  // namespace outbox
