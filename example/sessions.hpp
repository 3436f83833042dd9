// SPDX-License-Identifier: MIT
//
// Database sessions for request threads. A session that failed is thrown away, because one whose
// server went away never recovers by itself.
#pragma once

#include <soci/postgresql/soci-postgresql.h>
#include <soci/soci.h>

#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace example {

/// Thread-safe.
class sessions {
public:
    explicit sessions(std::string connection_string)
        : connection_string_{std::move(connection_string)} {}

    /// Calls `work(session)`. A session that saw an exception is not used again.
    template <class Work>
    auto with(Work&& work) {
        auto session = take();
        auto result = work(*session);
        std::lock_guard const lock{mutex_};
        idle_.push_back(std::move(session));
        return result;
    }
    /// After a failure all idle ones are suspect: the server may have been restarted.
    void forget() {
        std::lock_guard const lock{mutex_};
        idle_.clear();
    }

private:
    std::unique_ptr<soci::session> take() {
        {
            std::lock_guard const lock{mutex_};
            if (!idle_.empty()) {
                auto session = std::move(idle_.back());
                idle_.pop_back();
                return session;
            }
        }
        return std::make_unique<soci::session>(soci::postgresql, connection_string_);
    }

    std::string connection_string_;
    std::mutex mutex_{};
    std::vector<std::unique_ptr<soci::session>> idle_{};
};

}  // namespace example
