// SPDX-License-Identifier: MIT
//
// A transaction of the caller's own session that says the truth about its commit and wakes the
// workers of this process. Dropping it rolls back.
#pragma once

#include <memory>
#include <utility>

#include "outbox/error.hpp"
#include "outbox/parts.hpp"

namespace outbox {

/// One thread at a time.
template <class Parts>
class unit_of_work {
public:
    using transaction = typename Parts::storage_type::transaction;

    /// Begins a transaction (IMMEDIATE on SQLite, so that it cannot fail later for want of a lock).
    unit_of_work(std::shared_ptr<Parts> of, transaction on) : of_{std::move(of)}, on_{on} {
        of_->storage.begin(on_);
        open_ = true;
    }
    unit_of_work(unit_of_work&& other) noexcept
        : of_{std::move(other.of_)}, on_{other.on_}, open_{std::exchange(other.open_, false)} {}
    unit_of_work& operator=(unit_of_work&&) = delete;
    unit_of_work(unit_of_work const&) = delete;
    unit_of_work& operator=(unit_of_work const&) = delete;
    ~unit_of_work() {
        rollback();
    }

    /// Returns when everything is stored durably. Throws `aborted_transaction` when the database
    /// rolled back instead, `commit_unknown` when the connection was lost meanwhile: then all of it
    /// is stored or nothing.
    void commit() {
        if (!open_) throw error{errc::no_transaction, "this unit of work has ended already"};
        open_ = false;
        of_->storage.commit(on_);
        of_->ring();
    }
    void rollback() noexcept {
        if (std::exchange(open_, false)) of_->storage.rollback(on_);
    }
    /// The transaction itself, for `create_message`.
    [[nodiscard]] transaction on() const {
        return on_;
    }

private:
    std::shared_ptr<Parts> of_;
    transaction on_;
    bool open_{false};
};

}  // namespace outbox
