// SPDX-License-Identifier: MIT
//
// What producers and workers write down as they go, so that it outlasts their own end: each entry
// is one write(2) before the act that it tells of. A ledger is text:
//
//     i <number> <digest> <poisoned> <id> <key>   a message of the transaction that is open
//     committed | rolled_back | unknown           how that ended
//
// A transaction without an end is of unknown outcome. A log of attempts is `attempt` after
// `attempt`, as they lie in memory; the example's service writes its own, as lines of text.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <vector>

#include "chaos/history.hpp"
#include "chaos/socket.hpp"

namespace chaos {

[[nodiscard]] inline moment unix_milliseconds() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
}

/// By what a message is known in the books. What goes through the example's service gets its id
/// only there, so that its producer names it in the last part of the topic: chaos.<number>.<name>.
[[nodiscard]] inline outbox::message_id identity(outbox::message_id const& id,
                                                 std::string_view topic) {
    return outbox::parse_message_id(topic.substr(topic.rfind('.') + 1)).value_or(id);
}

class book {
public:
    explicit book(std::filesystem::path const& path)
        : file_{::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)} {}

    void write(std::string_view entry) {
        if (::write(file_.number(), entry.data(), entry.size()) !=
            static_cast<ssize_t>(entry.size())) {
            throw std::system_error{errno, std::generic_category(), "a book cannot be written"};
        }
    }

private:
    file_descriptor file_;
};

class ledger_writer {
public:
    explicit ledger_writer(std::filesystem::path const& path) : book_{path} {}

    void intend(std::vector<intention> const& all) {
        std::ostringstream text;
        for (auto const& one : all) {
            text << "i " << one.number << ' ' << one.digest << ' ' << one.poisoned << ' '
                 << outbox::to_string(one.id) << ' ' << one.key << '\n';
        }
        book_.write(text.str());
    }
    void end(ending how) {
        constexpr std::array<std::string_view, 3> words{"committed\n", "rolled_back\n",
                                                        "unknown\n"};
        book_.write(words[static_cast<std::size_t>(how)]);
    }

private:
    book book_;
};

/// Reads a ledger that is still being written.
class ledger_reader {
public:
    ledger_reader(std::filesystem::path path, std::int32_t producer)
        : path_{std::move(path)}, producer_{producer} {}

    void read_on() {
        std::ifstream file{path_};
        file.seekg(read_);
        for (std::string line; std::getline(file, line) && !file.eof();) {
            read_ += static_cast<std::streamoff>(line.size() + 1);
            take(line);
        }
    }
    [[nodiscard]] std::vector<intention> const& all() const {
        return all_;
    }

private:
    void take(std::string const& line) {
        if (line.starts_with("i ")) {
            std::istringstream text{line.substr(2)};
            intention one{.producer = producer_};
            std::string id;
            text >> one.number >> one.digest >> one.poisoned >> id >> one.key;
            auto const parsed = outbox::parse_message_id(id);
            if (!parsed) throw std::runtime_error{"a ledger cannot be read: " + line};
            one.id = *parsed;
            all_.push_back(std::move(one));
            return;
        }
        auto const how = line == "committed"     ? ending::committed
                         : line == "rolled_back" ? ending::rolled_back
                                                 : ending::unknown;
        for (; ended_ < all_.size(); ++ended_) all_[ended_].end = how;
    }

    std::filesystem::path path_;
    std::int32_t producer_;
    std::streamoff read_{0};
    std::size_t ended_{0};
    std::vector<intention> all_{};
};

static_assert(std::is_trivially_copyable_v<attempt>);

inline void write_attempt(book& to, attempt const& one) {
    to.write({reinterpret_cast<char const*>(&one), sizeof one});
}
/// Adds what a log of attempts holds.
inline void read_attempts(std::filesystem::path const& path, std::vector<attempt>& all) {
    std::ifstream file{path, std::ios::binary};
    for (attempt one; file.read(reinterpret_cast<char*>(&one), sizeof one);) all.push_back(one);
}

/// The same from what the example's service logs:
///
///     2026-03-01T12:00:00.125Z debug message <id> to "<topic>" is sent
///     2026-03-01T12:00:00.126Z warning message <id> to "<topic>" failed (out_of_order, ...
inline void read_service_log(std::filesystem::path const& path, std::vector<attempt>& all) {
    std::ifstream file{path};
    for (std::string line; std::getline(file, line);) {
        bool const refused = line.find("\" failed (out_of_order, ") != std::string::npos;
        if (!refused && !line.ends_with("\" is sent")) continue;
        std::istringstream words{line};
        std::string time;
        std::string id;
        std::string topic;
        std::string skipped;
        words >> time >> skipped >> skipped >> id >> skipped >> topic;
        std::tm parts{};
        char const* const fraction = strptime(time.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
        auto const parsed = outbox::parse_message_id(id);
        if (fraction == nullptr || !parsed) {
            throw std::runtime_error{"a log of the service cannot be read: " + line};
        }
        all.push_back({identity(*parsed, std::string_view{topic}.substr(1, topic.size() - 2)),
                       timegm(&parts) * 1'000 + std::stoi(fraction + 1), refused});
    }
}

}  // namespace chaos
