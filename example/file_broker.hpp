// SPDX-License-Identifier: MIT
//
// A broker of one's own, whole: it appends messages to a file, one line each, and any number of
// processes may share the file. What a broker owes the library stands in outbox/concepts.hpp.
//
//     outbox::basic_outbox box{outbox::sqlite_storage{"shop.db"}, demo::file_broker{"out.log"}};
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "delivery_file.hpp"
#include "outbox/concepts.hpp"

namespace demo {

class file_broker {
public:
    class channel;

    explicit file_broker(std::filesystem::path path) : path_{std::move(path)} {}

    /// What it cannot carry: nothing, a line can say it all.
    [[nodiscard]] static std::optional<outbox::problem> check_topic(std::string_view /*topic*/) {
        return std::nullopt;
    }
    [[nodiscard]] static std::optional<outbox::problem> check_header(std::string_view /*name*/,
                                                                     std::string_view /*value*/) {
        return std::nullopt;
    }
    [[nodiscard]] channel connect(outbox::channel_setup const& setup);

private:
    std::filesystem::path path_;
};

class file_broker::channel {
public:
    channel(channel&& other) noexcept
        : path_{std::move(other.path_)},
          file_{std::exchange(other.file_, -1)},
          receipts_{std::move(other.receipts_)},
          usable_{other.usable_} {}
    channel& operator=(channel&& other) noexcept {
        std::swap(path_, other.path_);
        std::swap(file_, other.file_);
        std::swap(receipts_, other.receipts_);
        std::swap(usable_, other.usable_);
        return *this;
    }
    channel(channel const&) = delete;
    channel& operator=(channel const&) = delete;
    ~channel() {
        if (file_ >= 0) ::close(file_);
    }

    /// Accepts all, or breaks: then what has no receipt may be in the file or not.
    void send(std::span<outbox::dispatch const> messages) {
        if (!usable_) return;
        std::string lines;
        for (auto const& one : messages) append_line(lines, *one.message);
        usable_ = append(lines);
        if (!usable_) return;
        for (auto const& one : messages) {
            receipts_.push_back({one.token, outbox::outcome::accepted, {}});
        }
    }
    void collect(std::vector<outbox::receipt>& arrived) {
        std::move(receipts_.begin(), receipts_.end(), std::back_inserter(arrived));
        receipts_.clear();
    }
    [[nodiscard]] bool usable() const {
        return usable_;
    }

private:
    friend class file_broker;

    channel(std::filesystem::path path, int file) : path_{std::move(path)}, file_{file} {}

    /// One write, so that processes do not mix their lines. True when they are on the disk, in the
    /// file that has the name: one that was deleted meanwhile takes everything and keeps nothing.
    [[nodiscard]] bool append(std::string_view lines) const {
        struct stat ours {};
        struct stat named {};
        return ::write(file_, lines.data(), lines.size()) == std::ssize(lines) &&
               ::fdatasync(file_) == 0 && ::fstat(file_, &ours) == 0 &&
               ::stat(path_.c_str(), &named) == 0 && ours.st_ino == named.st_ino &&
               ours.st_dev == named.st_dev;
    }

    std::filesystem::path path_;
    int file_;
    std::vector<outbox::receipt> receipts_{};
    bool usable_{true};
};

inline file_broker::channel file_broker::connect(outbox::channel_setup const& /*setup*/) {
    int const file = ::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (file >= 0) return channel{path_, file};
    throw outbox::error{outbox::errc::unavailable,
                        path_.string() + ": " + std::generic_category().message(errno)};
}

static_assert(outbox::broker<file_broker>);

}  // namespace demo
