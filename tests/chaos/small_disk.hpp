// SPDX-License-Identifier: MIT
//
// A disk of its own for a server, which can be made full at any moment: a tmpfs, whose size is
// changed while it is mounted. Where mounting is not allowed it is a plain folder that never is
// full.
#pragma once

#include <sys/mount.h>
#include <sys/statvfs.h>

#include <cstdint>
#include <filesystem>
#include <string>

#include "support/process.hpp"

namespace chaos {

class small_disk {
public:
    explicit small_disk(std::string const& name) : path_{folder_.path() / name} {
        std::filesystem::create_directory(path_);
        mounted_ = ::mount("tmpfs", path_.c_str(), "tmpfs", 0, options(whole).c_str()) == 0;
        std::filesystem::permissions(path_, std::filesystem::perms{0777});
        std::filesystem::permissions(folder_.path(), std::filesystem::perms{0755});
    }
    small_disk(small_disk const&) = delete;
    small_disk& operator=(small_disk const&) = delete;
    ~small_disk() {
        if (mounted_) ::umount2(path_.c_str(), MNT_DETACH);
    }

    [[nodiscard]] std::filesystem::path const& path() const {
        return path_;
    }
    [[nodiscard]] bool can_fill() const {
        return mounted_;
    }
    void fill() const {
        struct statvfs now {};
        ::statvfs(path_.c_str(), &now);
        resize((now.f_blocks - now.f_bfree) * now.f_bsize);
    }
    void empty() const {
        resize(whole);
    }

private:
    static constexpr std::uint64_t whole = std::uint64_t{4} << 30;

    [[nodiscard]] static std::string options(std::uint64_t bytes) {
        return "size=" + std::to_string(bytes);
    }
    void resize(std::uint64_t bytes) const {
        ::mount("tmpfs", path_.c_str(), "tmpfs", MS_REMOUNT, options(bytes).c_str());
    }

    support::temporary_folder folder_{};
    std::filesystem::path path_;
    bool mounted_{false};
};

}  // namespace chaos
