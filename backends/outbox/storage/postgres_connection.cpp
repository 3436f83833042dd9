// SPDX-License-Identifier: MIT
#include "outbox/storage/postgres_connection.hpp"

#include <poll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <system_error>

#include "outbox/error.hpp"

namespace outbox::postgres {

namespace {

std::int64_t milliseconds(duration of) {
    return std::max<std::int64_t>(1, of.count() / 1'000);
}

// Settings of a relay's session. What it runs are short statements over indexes that were made for
// them; statistics of a queue (often empty, then suddenly full) must not talk the planner into
// reading a whole table. A commit that the server would not wait for is made to wait.
constexpr std::string_view session_settings = R"(
    select set_config('statement_timeout', $1, false),
           set_config('lock_timeout', $2, false),
           set_config('idle_in_transaction_session_timeout', $1, false),
           set_config('tcp_user_timeout', $1, false),
           set_config('default_transaction_isolation', 'read committed', false),
           set_config('enable_seqscan', 'off', false),
           set_config('enable_bitmapscan', 'off', false),
           set_config('enable_hashjoin', 'off', false),
           set_config('enable_mergejoin', 'off', false),
           set_config('plan_cache_mode', 'force_generic_plan', false),
           set_config('max_parallel_workers_per_gather', '0', false),
           set_config('jit', 'off', false),
           set_config('bytea_output', 'hex', false),
           case when current_setting('synchronous_commit') = 'off'
                then set_config('synchronous_commit', 'on', false) end)";

}  // namespace

void connection::check_connection_string(std::string const& text) {
    char* ignored = nullptr;
    auto* const options = PQconninfoParse(text.c_str(), &ignored);
    PQfreemem(ignored);
    if (options == nullptr) {
        throw error{errc::invalid_option,
                    "the connection string of PostgreSQL is malformed; it is \"name=value …\" or "
                    "\"postgresql://user@host:port/database\""};
    }
    PQconninfoFree(options);
}

connection::connection(std::string const& connection_string, duration limit)
    : limit_{limit}, timer_{::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)} {
    if (timer_ < 0) {
        throw error{errc::unavailable, std::string{"no timer to bound a connection with: "} +
                                           std::generic_category().message(errno)};
    }
    try {
        start_limit();
        open(connection_string);
        set_up_session();
    } catch (failure const& why) {
        PQfinish(handle_);
        ::close(timer_);
        throw why.error("cannot connect to PostgreSQL", errc::unavailable);
    }
}

connection::~connection() {
    PQfinish(handle_);
    ::close(timer_);
}

void connection::start_limit() {
    auto const seconds = std::chrono::duration_cast<std::chrono::seconds>(limit_);
    std::chrono::nanoseconds const rest = limit_ - seconds;
    itimerspec when{};
    when.it_value.tv_sec = seconds.count();
    when.it_value.tv_nsec = std::max<long>(rest.count(), seconds.count() > 0 ? 0 : 1'000);
    ::timerfd_settime(timer_, 0, &when, nullptr);
}

void connection::open(std::string const& connection_string) {
    auto const timeout = std::to_string(milliseconds(limit_));
    std::array const names{"dbname", "fallback_application_name", "client_encoding",
                           "tcp_user_timeout", static_cast<char const*>(nullptr)};
    std::array const values{connection_string.c_str(), "outbox", "UTF8", timeout.c_str(),
                            static_cast<char const*>(nullptr)};
    handle_ = PQconnectStartParams(names.data(), values.data(), 1);
    if (handle_ == nullptr) throw failure{.message = "out of memory"};
    PQsetNoticeProcessor(
        handle_, [](void*, char const*) {}, nullptr);
    auto state = PGRES_POLLING_WRITING;
    while (PQstatus(handle_) != CONNECTION_BAD && state != PGRES_POLLING_OK &&
           state != PGRES_POLLING_FAILED) {
        wait(state == PGRES_POLLING_WRITING);
        state = PQconnectPoll(handle_);
    }
    if (PQstatus(handle_) != CONNECTION_OK) throw failure_of(handle_);
    if (PQsetnonblocking(handle_, 1) != 0 || PQenterPipelineMode(handle_) == 0)
        throw failure_of(handle_);
}

void connection::set_up_session() {
    auto const statement = std::to_string(milliseconds(limit_));
    auto const lock = std::to_string(milliseconds(limit_ / 2));
    static_cast<void>(run(command{session_settings, parameters{statement, lock}}));
}

std::vector<result> connection::run(std::span<command const> commands) {
    if (lost()) throw failure{.message = "the connection was lost before"};
    // What was sent, in order; a preparation belongs to the command behind it.
    std::vector<std::pair<std::size_t, bool>> sent;
    for (std::size_t i = 0; i < commands.size(); ++i) {
        auto const& one = commands[i];
        if (!one.name.empty() && !prepared_.contains(one.name)) {
            std::string const name{one.name};
            if (PQsendPrepare(handle_, name.c_str(), std::string{one.sql}.c_str(),
                              one.values.count(), one.values.types()) == 0) {
                lose(failure_of(handle_));
            }
            prepared_.insert(name);
            sent.emplace_back(i, true);
        }
        send(one);
        sent.emplace_back(i, false);
    }
    if (PQpipelineSync(handle_) == 0) lose(failure_of(handle_));

    std::vector<result> results;
    std::optional<failure> failed;
    for (auto const& [index, preparing] : sent) {
        auto arrived = next_result();
        if (arrived == nullptr) lose({.message = "an answer is missing", .command = index});
        auto const status = PQresultStatus(arrived.get());
        bool const good = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
        if (preparing && !good) prepared_.erase(prepared_.find(commands[index].name));
        if (status == PGRES_FATAL_ERROR && !failed) {
            failed = failure_of(arrived.get());
            failed->command = index;
            if (PQstatus(handle_) == CONNECTION_BAD) lose(*failed);
        }
        if (!preparing && good) results.push_back(std::move(arrived));
        while (next_result() != nullptr) {
        }
    }
    auto const end = next_result();
    if (PQresultStatus(end.get()) != PGRES_PIPELINE_SYNC)
        lose(failed ? *failed : failure{.message = "the end of an answer is missing"});
    if (failed) throw failure{*failed};
    return results;
}

result connection::run(command const& one) {
    return std::move(run(std::span{&one, 1}).front());
}

void connection::send(command const& one) {
    auto const& values = one.values;
    int const sent =
        one.name.empty()
            ? PQsendQueryParams(handle_, std::string{one.sql}.c_str(), values.count(),
                                values.types(), values.values(), values.lengths(), values.formats(),
                                1)
            : PQsendQueryPrepared(handle_, std::string{one.name}.c_str(), values.count(),
                                  values.values(), values.lengths(), values.formats(), 1);
    if (sent == 0) lose(failure_of(handle_));
}

result connection::next_result() {
    for (;;) {
        int const unsent = PQflush(handle_);
        if (unsent < 0) lose(failure_of(handle_));
        if (PQisBusy(handle_) == 0) break;
        wait(unsent > 0);
        if (PQconsumeInput(handle_) == 0) lose(failure_of(handle_));
    }
    return result{PQgetResult(handle_)};
}

void connection::wait(bool to_write) {
    auto const wanted = static_cast<short>(to_write ? POLLIN | POLLOUT : POLLIN);
    std::array<pollfd, 2> watched{{{PQsocket(handle_), wanted, 0}, {timer_, POLLIN, 0}}};
    // While connecting, libpq wants to hear of the one thing that it waits for.
    if (to_write && PQstatus(handle_) != CONNECTION_OK) watched[0].events = POLLOUT;
    while (::poll(watched.data(), watched.size(), -1) < 0 && errno == EINTR) {
    }
    if ((watched[1].revents & POLLIN) != 0) {
        lose({.message = "no answer within " + std::to_string(milliseconds(limit_)) +
                         " ms, the time limit"});
    }
}

void connection::roll_back() {
    if (lost() || PQtransactionStatus(handle_) == PQTRANS_IDLE) return;
    static_cast<void>(run(command{"rollback"}));
}

std::size_t connection::notifications() {
    if (lost()) throw failure{.message = "the connection was lost before"};
    if (PQconsumeInput(handle_) == 0) lose(failure_of(handle_));
    std::size_t count = 0;
    while (auto* const one = PQnotifies(handle_)) {
        PQfreemem(one);
        ++count;
    }
    return count;
}

void connection::lose(failure why) {
    PQfinish(handle_);
    handle_ = nullptr;
    prepared_.clear();
    why.sqlstate.clear();
    throw failure{std::move(why)};
}

}  // namespace outbox::postgres
