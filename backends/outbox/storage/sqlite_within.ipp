// SPDX-License-Identifier: MIT
//
// How a worker's transaction runs: until it has begun, a busy database changed nothing.
#pragma once

#include <utility>

#include "outbox/storage/sqlite_worker.hpp"

namespace outbox::sqlite {

/// Once something may have been noted here, a busy database is no `contention` any more: the
/// session's notes and the file could differ.
template <class Work>
void outcome_matters(Work&& work) {
    try {
        std::forward<Work>(work)();
    } catch (error const& failure) {
        if (failure.code() != errc::contention) throw;
        throw error{errc::outcome_unknown, failure.what()};
    }
}

/// Runs `work(row)` in a transaction of that purpose. Until it has begun, nothing was changed.
template <class Work>
void worker::within(purpose why, Work&& work) {
    if (why == purpose::read) {
        db_.begin_reading();
    } else {
        db_.begin_writing(why == purpose::decide);
    }
    transaction_scope const ends{db_};
    auto const row = glance();
    outcome_matters([&] {
        std::forward<Work>(work)(row);
        db_.commit();
    });
}

}  // namespace outbox::sqlite
