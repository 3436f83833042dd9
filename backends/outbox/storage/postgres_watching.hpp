// SPDX-License-Identifier: MIT
//
// Who adds messages and who waits for them agree by an advisory lock that belongs to the table. The
// worker that waits holds it alone; who adds takes a share of it until the transaction ends and,
// where that cannot be had, announces its commit. So nothing is announced while others are adding,
// and who gets the lock has seen the end of all that was not announced.
//
// Lock and channel go by the number of the table, which is the same under any search path; the
// number beside it in the lock is "outb" in ASCII. The function outbox_wake is what producers call.
#pragma once

#include <string_view>

namespace outbox::postgres {

inline constexpr std::string_view channel = "message_outbox_";

/// Answers with a number of `outlook` and the table's. Who can have a share while the lock cannot
/// be had alone sees that it is held by those who add. A lock that was taken through a pooler would
/// belong to another session, and stay.
inline constexpr std::string_view watch_sql = R"(
select case when pg_backend_pid() <> $1 then 0
            when pg_try_advisory_lock(t.number, 1870034018) then 2
            when pg_try_advisory_lock_shared(t.number, 1870034018)
                then pg_advisory_unlock_shared(t.number, 1870034018)::integer
            else 0
       end, 'outbox'::regclass::oid::bigint
  from (select 'outbox'::regclass::oid::integer as number) t)";

inline constexpr std::string_view unwatch_sql = "select pg_advisory_unlock_all()";

}  // namespace outbox::postgres
