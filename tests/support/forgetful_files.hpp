// SPDX-License-Identifier: MIT
//
// SQLite's files on a disk that loses power: beside each file stands what of it was synced last,
// which is what is left. A layer over the usual VFS, and the default one while it exists.
#pragma once

#include <sqlite3.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>

namespace support {

/// The files of a disk, by their names, with what they hold.
using disk_image = std::map<std::string, std::string>;

/// One at a time, and on one thread.
class forgetful_files {
public:
    forgetful_files() : below_{sqlite3_vfs_find(nullptr)}, vfs_{*below_} {
        vfs_.pNext = nullptr;
        vfs_.zName = "forgetful";
        vfs_.szOsFile = static_cast<int>(sizeof(file)) + below_->szOsFile;
        vfs_.pAppData = this;
        vfs_.xOpen = open;
        vfs_.xDelete = remove;
        if (sqlite3_vfs_register(&vfs_, 1) != SQLITE_OK) throw std::runtime_error{"no such VFS"};
    }
    forgetful_files(forgetful_files const&) = delete;
    forgetful_files& operator=(forgetful_files const&) = delete;
    ~forgetful_files() {
        sqlite3_vfs_unregister(&vfs_);
        sqlite3_vfs_register(below_, 1);
    }

    /// What would be left if the power went off now.
    [[nodiscard]] disk_image const& synced() const {
        return synced_;
    }
    /// Called before each sync takes effect.
    std::function<void()> before_sync{};

private:
    /// Lies in front of the usual VFS's own.
    struct file {
        sqlite3_file base{};
        forgetful_files* disk{nullptr};
        char const* path{nullptr};
        sqlite3_io_methods methods{};

        [[nodiscard]] sqlite3_file* below() {
            return reinterpret_cast<sqlite3_file*>(this + 1);
        }
    };
    static forgetful_files& disk_of(sqlite3_vfs* vfs) {
        return *static_cast<forgetful_files*>(vfs->pAppData);
    }
    static sqlite3_file* below(sqlite3_file* of) {
        return reinterpret_cast<file*>(of)->below();
    }
    /// Passes a call on to the usual file.
    template <auto Method>
    struct passed_on;
    template <class Result, class... Words,
              Result (*sqlite3_io_methods::*Method)(sqlite3_file*, Words...)>
    struct passed_on<Method> {
        static Result call(sqlite3_file* of, Words... words) {
            auto* const there = below(of);
            return (there->pMethods->*Method)(there, words...);
        }
    };
    template <auto Method>
    static constexpr auto pass_on = &passed_on<Method>::call;

    static int open(sqlite3_vfs* vfs, char const* path, sqlite3_file* to, int flags, int* got) {
        auto& disk = disk_of(vfs);
        auto* const made = new (to) file{.disk = &disk, .path = path};
        auto const status = disk.below_->xOpen(disk.below_, path, made->below(), flags, got);
        if (status != SQLITE_OK) return status;
        using io = sqlite3_io_methods;
        made->methods = {.iVersion = 2,
                         .xClose = pass_on<&io::xClose>,
                         .xRead = pass_on<&io::xRead>,
                         .xWrite = pass_on<&io::xWrite>,
                         .xTruncate = pass_on<&io::xTruncate>,
                         .xSync = sync,
                         .xFileSize = pass_on<&io::xFileSize>,
                         .xLock = pass_on<&io::xLock>,
                         .xUnlock = pass_on<&io::xUnlock>,
                         .xCheckReservedLock = pass_on<&io::xCheckReservedLock>,
                         .xFileControl = pass_on<&io::xFileControl>,
                         .xSectorSize = pass_on<&io::xSectorSize>,
                         .xDeviceCharacteristics = pass_on<&io::xDeviceCharacteristics>,
                         .xShmMap = pass_on<&io::xShmMap>,
                         .xShmLock = pass_on<&io::xShmLock>,
                         .xShmBarrier = pass_on<&io::xShmBarrier>,
                         .xShmUnmap = pass_on<&io::xShmUnmap>,
                         .xFetch = nullptr,
                         .xUnfetch = nullptr};
        made->base.pMethods = &made->methods;
        return status;
    }
    static int remove(sqlite3_vfs* vfs, char const* path, int sync_folder) {
        auto& disk = disk_of(vfs);
        disk.synced_.erase(name_of(path));
        return disk.below_->xDelete(disk.below_, path, sync_folder);
    }
    static int sync(sqlite3_file* of, int flags) {
        auto& mine = *reinterpret_cast<file*>(of);
        if (mine.disk->before_sync) mine.disk->before_sync();
        auto const status = mine.below()->pMethods->xSync(mine.below(), flags);
        if (status != SQLITE_OK || mine.path == nullptr) return status;
        std::ifstream all{mine.path, std::ios::binary};
        mine.disk->synced_[name_of(mine.path)] = {std::istreambuf_iterator<char>{all}, {}};
        return status;
    }
    static std::string name_of(char const* path) {
        return std::filesystem::path{path}.filename().string();
    }

    sqlite3_vfs* below_;
    sqlite3_vfs vfs_;
    disk_image synced_{};
};

/// A folder with these files in it.
inline void restore(disk_image const& from, std::filesystem::path const& folder) {
    for (auto const& [name, bytes] : from) {
        std::ofstream{folder / name, std::ios::binary}.write(
            bytes.data(), static_cast<std::streamsize>(bytes.size()));
    }
}

}  // namespace support
