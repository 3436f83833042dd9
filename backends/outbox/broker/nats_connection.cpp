// SPDX-License-Identifier: MIT
#include "outbox/broker/nats_connection.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>

namespace outbox::nats_rules {

namespace {

[[noreturn]] void refuse(std::string const& field, std::string const& why) {
    throw error{errc::invalid_option, "connection." + field + " " + why};
}

/// An address in its parts; what is wrong with them is seen by `is_address`.
struct address {
    std::string_view scheme{};
    std::string_view user{};  ///< with password, or a token
    std::string_view host{};
    std::string_view port{};
};

address split(std::string_view server) {
    address parts;
    if (auto const at = server.find("://"); at != std::string_view::npos) {
        parts.scheme = server.substr(0, at);
        server.remove_prefix(at + 3);
    }
    if (auto const at = server.rfind('@'); at != std::string_view::npos) {
        parts.user = server.substr(0, at);
        server.remove_prefix(at + 1);
    }
    while (server.ends_with('/')) server.remove_suffix(1);
    auto const bracket = server.starts_with('[') ? server.find(']') : 0;
    auto const colon = server.find(':', std::min(bracket, server.size()));
    parts.host = server.substr(0, colon);
    if (colon != std::string_view::npos) parts.port = server.substr(colon + 1);
    if (bracket != 0 && parts.host.ends_with(']')) parts.host = parts.host.substr(1, bracket - 1);
    return parts;
}

bool is_address(std::string_view server) {
    auto const parts = split(server);
    if (!parts.scheme.empty() && parts.scheme != "nats" && parts.scheme != "tls") return false;
    if (parts.host.empty() || parts.host.find_first_of("/?#[]") != std::string_view::npos) {
        return false;
    }
    if (std::ranges::any_of(server, [](char c) { return c == ' ' || (c >= 0 && c < 0x20); })) {
        return false;
    }
    if (parts.port.empty()) return !server.ends_with(':');
    unsigned port = 0;
    auto const* const end = parts.port.data() + parts.port.size();
    auto const read = std::from_chars(parts.port.data(), end, port);
    return read.ec == std::errc{} && read.ptr == end && port > 0 && port < 65'536;
}

void require_readable(std::string const& field, std::string const& file) {
    if (file.empty()) return;
    std::error_code ignored;
    if (std::filesystem::is_directory(file, ignored) || !std::ifstream{file}) {
        refuse(field, "names a file that cannot be read");
    }
}

void check_identity(nats_connection_options const& options, bool url_has_user) {
    bool const has_user = !options.user.empty() || !options.password.empty();
    if (options.user.empty() && has_user) refuse("password", "is given without a user");
    int const ways = int{has_user} + int{!options.token.empty()} +
                     int{!options.credentials_file.empty()} + int{!options.nkey.empty()};
    if (ways > 1) refuse("user, token, credentials_file, nkey", "exclude each other: give one");
    if (ways > 0 && url_has_user) {
        refuse("url", "says who connects, and so do the other options: keep one");
    }
    if (options.nkey.empty() != options.nkey_seed_file.empty()) {
        refuse("nkey", "and nkey_seed_file belong together");
    }
}

}  // namespace

void check(nats_connection_options const& options) {
    auto const servers = servers_of(options.url);
    if (servers.empty()) refuse("url", "is empty");
    if (!std::ranges::all_of(servers, is_address)) {
        refuse("url", "has an address that is neither nats://host:port nor tls://host:port");
    }
    check_identity(options, std::ranges::any_of(servers, [](std::string_view one) {
                       return !split(one).user.empty();
                   }));
    if (options.tls.certificate_file.empty() != options.tls.key_file.empty()) {
        refuse("tls.certificate_file", "and tls.key_file belong together");
    }
    require_readable("credentials_file", options.credentials_file);
    require_readable("nkey_seed_file", options.nkey_seed_file);
    require_readable("tls.ca_file", options.tls.ca_file);
    require_readable("tls.certificate_file", options.tls.certificate_file);
    require_readable("tls.key_file", options.tls.key_file);
    if (options.connect_timeout < std::chrono::milliseconds{1} ||
        options.connect_timeout > std::chrono::hours{1}) {
        refuse("connect_timeout", "= " + std::to_string(options.connect_timeout.count()) +
                                      " ms, must be between 1 ms and 3600000 ms");
    }
}

std::vector<std::string> servers_of(std::string_view url) {
    std::vector<std::string> servers;
    while (!url.empty()) {
        auto const end = std::min(url.find(','), url.size());
        auto one = url.substr(0, end);
        while (one.starts_with(' ')) one.remove_prefix(1);
        while (one.ends_with(' ')) one.remove_suffix(1);
        if (!one.empty()) servers.emplace_back(one);
        url.remove_prefix(std::min(end + 1, url.size()));
    }
    return servers;
}

std::string host_of(std::string_view server) {
    return std::string{split(server).host};
}

std::string without_secrets(std::string_view url) {
    std::string shown;
    for (auto const& one : servers_of(url)) {
        // A password may hold anything, "://" for one: nothing else is taken for a scheme.
        auto const from = one.starts_with("nats://") ? 7U : one.starts_with("tls://") ? 6U : 0U;
        auto const user = one.rfind('@');
        if (!shown.empty()) shown += ", ";
        shown += one.substr(0, from);
        shown += one.substr(user == std::string::npos ? from : user + 1);
    }
    return shown;
}

}  // namespace outbox::nats_rules
