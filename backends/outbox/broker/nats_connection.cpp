// SPDX-License-Identifier: MIT
#include "outbox/broker/nats_connection.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <map>
#include <utility>

#include "outbox/broker/nats_link.hpp"
#include "outbox/headers.hpp"

namespace outbox::nats_rules {

namespace {

[[noreturn]] void refuse(std::string const& field, std::string const& why) {
    throw error{errc::invalid_option, "connection." + field + " " + why};
}

void require(natsStatus status, std::string const& what) {
    if (status != NATS_OK) throw error{errc::unavailable, what + ": " + text_of(status)};
}

/// Links by number, for callbacks that may come late. Never destroyed, since the library's threads
/// may outlive every static object of ours.
struct registry {
    std::mutex mutex{};
    std::map<std::uintptr_t, std::weak_ptr<link>> links{};
    std::uintptr_t last{0};
};
registry& all_links() {
    static auto* const one = new registry;  // NOLINT: see above
    return *one;
}

std::string host_of(std::string_view url) {
    if (auto const scheme = url.find("://"); scheme != std::string_view::npos) {
        url.remove_prefix(scheme + 3);
    }
    if (auto const user = url.rfind('@'); user != std::string_view::npos) {
        url.remove_prefix(user + 1);
    }
    if (url.starts_with('[')) return std::string{url.substr(1, url.find(']') - 1)};
    return std::string{url.substr(0, url.find(':'))};
}

void set_credentials(natsOptions* made, nats_connection_options const& options) {
    if (!options.user.empty()) {
        require(natsOptions_SetUserInfo(made, options.user.c_str(), options.password.c_str()),
                "user and password");
    }
    if (!options.token.empty()) {
        require(natsOptions_SetToken(made, options.token.c_str()), "token");
    }
    if (!options.credentials_file.empty()) {
        require(natsOptions_SetUserCredentialsFromFiles(made, options.credentials_file.c_str(),
                                                        nullptr),
                "credentials file");
    }
    if (!options.nkey.empty()) {
        require(
            natsOptions_SetNKeyFromSeed(made, options.nkey.c_str(), options.nkey_seed_file.c_str()),
            "nkey");
    }
}

void set_encryption(natsOptions* made, nats_connection_options const& options,
                    std::vector<std::string> const& servers) {
    auto const& tls = options.tls;
    bool const by_url = std::ranges::any_of(
        servers, [](std::string const& one) { return one.starts_with("tls://"); });
    if (!tls.wanted() && !by_url) return;
    require(natsOptions_SetSecure(made, true), "TLS");
    if (!tls.ca_file.empty()) {
        require(natsOptions_LoadCATrustedCertificates(made, tls.ca_file.c_str()), "tls.ca_file");
    }
    if (!tls.certificate_file.empty()) {
        require(natsOptions_LoadCertificatesChain(made, tls.certificate_file.c_str(),
                                                  tls.key_file.c_str()),
                "tls.certificate_file");
    }
    auto const name = tls.server_name.empty() ? host_of(servers.front()) : tls.server_name;
    require(natsOptions_SetExpectedHostname(made, name.c_str()), "tls.server_name");
}

}  // namespace

void check(nats_connection_options const& options) {
    if (servers_of(options.url).empty()) refuse("url", "is empty");
    bool const has_user = !options.user.empty() || !options.password.empty();
    if (options.user.empty() && has_user) refuse("password", "is given without a user");
    int const ways = int{has_user} + int{!options.token.empty()} +
                     int{!options.credentials_file.empty()} + int{!options.nkey.empty()};
    if (ways > 1) refuse("user, token, credentials_file, nkey", "exclude each other: give one");
    if (options.nkey.empty() != options.nkey_seed_file.empty()) {
        refuse("nkey", "and nkey_seed_file belong together");
    }
    if (options.tls.certificate_file.empty() != options.tls.key_file.empty()) {
        refuse("tls.certificate_file", "and tls.key_file belong together");
    }
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

std::string without_secrets(std::string_view url) {
    std::string shown;
    for (auto const& one : servers_of(url)) {
        auto const scheme = one.find("://");
        auto const from = scheme == std::string::npos ? 0 : scheme + 3;
        auto const user = one.rfind('@');
        if (!shown.empty()) shown += ", ";
        shown += one.substr(0, from);
        shown += one.substr(user == std::string::npos ? from : user + 1);
    }
    return shown;
}

std::string text_of(natsStatus status) {
    return natsStatus_GetText(status);
}

std::string denied_subject(std::string_view error_text) {
    constexpr std::string_view what = "ermissions Violation for Publish to \"";
    auto const at = error_text.find(what);
    if (at == std::string_view::npos) return {};
    error_text.remove_prefix(at + what.size());
    return std::string{error_text.substr(0, error_text.find('"'))};
}

owned_message make_message(record const& of, std::string const& reply_to,
                           std::string const& duplicate_id) {
    natsMsg* made = nullptr;
    auto const topic = std::string{of.topic};
    auto status =
        natsMsg_Create(&made, topic.c_str(), reply_to.empty() ? nullptr : reply_to.c_str(),
                       of.payload.data(), static_cast<int>(of.payload.size()));
    owned_message message{made};
    auto const add = [&](std::string const& name, std::string const& value) {
        if (status == NATS_OK) status = natsMsgHeader_Add(made, name.c_str(), value.c_str());
    };
    add("Outbox-Message-Id", to_string(of.id));
    if (!duplicate_id.empty()) add("Nats-Msg-Id", duplicate_id);
    for_each_header(of.headers, [&](std::string_view name, std::string_view value) {
        add(std::string{name}, std::string{value});
    });
    if (status != NATS_OK) return {};
    return message;
}

link::link(wakeup& signal) : number_{0}, signal_{signal} {}

std::shared_ptr<link> link::open(nats_connection_options const& options, wakeup& signal,
                                 duration write_limit) {
    std::shared_ptr<link> made{new link{signal}};
    {
        auto& links = all_links();
        std::lock_guard const lock{links.mutex};
        made->number_ = ++links.last;
        links.links[made->number_] = made;
    }
    natsOptions* raw = nullptr;
    require(natsOptions_Create(&raw), "options");
    owned<natsOptions, natsOptions_Destroy> const set{raw};
    auto const servers = servers_of(options.url);
    std::vector<char const*> addresses;
    for (auto const& one : servers) addresses.push_back(one.c_str());
    auto const where = " (" + without_secrets(options.url) + ")";
    require(natsOptions_SetServers(raw, addresses.data(), static_cast<int>(addresses.size())),
            "connection.url");
    auto const milliseconds = [](duration time) {
        return std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
    };
    natsOptions_SetName(raw, options.name.c_str());
    natsOptions_SetTimeout(raw, options.connect_timeout.count());
    natsOptions_SetAllowReconnect(raw, false);
    natsOptions_SetWriteDeadline(raw, std::max<std::int64_t>(milliseconds(write_limit), 1));
    natsOptions_SetDisconnectedCB(raw, on_end, made->number());
    natsOptions_SetClosedCB(raw, on_end, made->number());
    natsOptions_SetErrorHandler(raw, on_error, made->number());
    set_credentials(raw, options);
    set_encryption(raw, options, servers);
    require(natsConnection_Connect(&made->connection_, raw), "cannot connect to NATS" + where);
    return made;
}

link::~link() {
    {
        auto& links = all_links();
        std::lock_guard const lock{links.mutex};
        links.links.erase(number_);
    }
    if (replies_ != nullptr) natsSubscription_Destroy(replies_);
    natsConnection_Destroy(connection_);
}

std::shared_ptr<link> link::find(void* number) {
    auto& links = all_links();
    std::lock_guard const lock{links.mutex};
    auto const found = links.links.find(reinterpret_cast<std::uintptr_t>(number));
    return found == links.links.end() ? nullptr : found->second.lock();
}

void link::break_off() {
    broken_ = true;
    signal_.notify();
}

void link::on_end(natsConnection* /*connection*/, void* number) {
    if (auto const mine = find(number)) mine->break_off();
}

void link::on_error(natsConnection* connection, natsSubscription* /*subscription*/,
                    natsStatus status, void* number) {
    auto const mine = find(number);
    if (!mine) return;
    char const* text = nullptr;
    natsConnection_GetLastError(connection, &text);
    auto subject = denied_subject(text == nullptr ? "" : text);
    if (subject.empty()) {
        // A slow consumer loses receipts: whatever is still open has to be sent again.
        if (status == NATS_SLOW_CONSUMER) mine->break_off();
        return;
    }
    {
        std::lock_guard const lock{mine->mutex_};
        mine->denied_.push_back(std::move(subject));
    }
    mine->signal_.notify();
}

void link::on_reply(natsConnection* /*connection*/, natsSubscription* /*subscription*/,
                    natsMsg* message, void* number) {
    owned_message const held{message};
    auto const mine = find(number);
    if (!mine) return;
    std::string_view const subject{natsMsg_GetSubject(message)};
    auto const digits = subject.substr(subject.rfind('.') + 1);
    reply heard;
    auto const parsed = std::from_chars(digits.data(), digits.data() + digits.size(), heard.token);
    if (parsed.ec != std::errc{} || parsed.ptr != digits.data() + digits.size()) return;
    heard.no_responders = natsMsg_IsNoResponders(message);
    heard.text.assign(natsMsg_GetData(message),
                      static_cast<std::size_t>(natsMsg_GetDataLength(message)));
    {
        std::lock_guard const lock{mine->mutex_};
        mine->heard_.push_back(std::move(heard));
    }
    mine->signal_.notify();
}

void link::listen(std::string const& inbox) {
    require(natsConnection_Subscribe(&replies_, connection_, (inbox + ".*").c_str(), on_reply,
                                     number()),
            "cannot subscribe to the reply inbox");
    natsSubscription_SetPendingLimits(replies_, -1, -1);
}

void link::take(std::vector<reply>& replies, std::vector<std::string>& denied) {
    std::lock_guard const lock{mutex_};
    std::swap(replies, heard_);
    std::swap(denied, denied_);
}

}  // namespace outbox::nats_rules
