// SPDX-License-Identifier: MIT
//
// A PostgreSQL server of the test's own: 127.0.0.1, a free port, temporary data, durable as by
// default. It can be stopped, killed, frozen and started again. One for a whole test program, with
// a new schema for each case.
#pragma once

#include <libpq-fe.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "support/process.hpp"

namespace support {

/// A plain connection for what a test does by hand.
class sql_connection {
public:
    explicit sql_connection(std::string const& connection_string)
        : handle_{PQconnectdb(connection_string.c_str())} {
        PQsetNoticeProcessor(
            handle_.get(), [](void*, char const*) {}, nullptr);
        if (PQstatus(handle_.get()) != CONNECTION_OK)
            throw std::runtime_error{PQerrorMessage(handle_.get())};
    }
    [[nodiscard]] PGconn* handle() const {
        return handle_.get();
    }
    /// Runs statements and returns the first value of the last one, as text.
    std::string operator()(std::string const& sql) {
        std::unique_ptr<PGresult, void (*)(PGresult*)> const answer{
            PQexec(handle_.get(), sql.c_str()), PQclear};
        auto const status = PQresultStatus(answer.get());
        if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
            throw std::runtime_error{PQresultErrorMessage(answer.get())};
        if (PQntuples(answer.get()) == 0) return {};
        return {PQgetvalue(answer.get(), 0, 0),
                static_cast<std::size_t>(PQgetlength(answer.get(), 0, 0))};
    }

private:
    struct finish {
        void operator()(PGconn* connection) const {
            PQfinish(connection);
        }
    };
    std::unique_ptr<PGconn, finish> handle_;
};

class postgres_server {
public:
    /// Settings beside those that make it private: `name=value`. Tests do not wait a minute for
    /// what a vacuum shows.
    using settings = std::vector<std::string>;

    explicit postgres_server(
        std::filesystem::path const& parent = std::filesystem::temp_directory_path(),
        settings more = {"autovacuum_naptime=5s"})
        : folder_{parent}, port_{free_port()}, more_{std::move(more)} {
        auto const data = folder_.path() / "data";
        if (::geteuid() == 0) {
            passwd const* const account = ::getpwnam("postgres");
            if (account == nullptr) throw std::runtime_error{"there is no user postgres"};
            if (::chown(folder_.path().c_str(), account->pw_uid, account->pw_gid) != 0)
                throw std::system_error{errno, std::generic_category(), "chown"};
        }
        child_process initialise{{program("initdb"), "--no-sync", "--auth=trust", "-U", "outbox",
                                  "--encoding=UTF8", "--locale=C.UTF-8", "-D", data.string()},
                                 log(),
                                 "postgres"};
        if (initialise.wait() != 0) throw std::runtime_error{"initdb failed:\n" + log_text()};
        start();
    }
    postgres_server(postgres_server const&) = delete;
    postgres_server& operator=(postgres_server const&) = delete;
    ~postgres_server() {
        thaw();
        stop();
    }

    /// The one of this test program.
    [[nodiscard]] static postgres_server& shared() {
        static postgres_server server;
        return server;
    }

    [[nodiscard]] std::string connection_string(std::string const& database = "postgres") const {
        return "host=127.0.0.1 port=" + std::to_string(port_) + " user=outbox dbname=" + database +
               " connect_timeout=30";
    }
    [[nodiscard]] int port() const {
        return port_;
    }
    [[nodiscard]] sql_connection connect() const {
        return sql_connection{connection_string()};
    }
    /// The name of a new schema.
    [[nodiscard]] std::string fresh_schema() {
        auto name = "case_" + std::to_string(++schemas_);
        connect()("create schema " + name);
        return name;
    }

    void start() {
        auto const data = folder_.path() / "data";
        std::vector<std::string> command{program("postgres"), "-D", data.string(), "-p",
                                         std::to_string(port_)};
        settings all{"listen_addresses=127.0.0.1",
                     "unix_socket_directories=", "max_prepared_transactions=4"};
        all.insert(all.end(), more_.begin(), more_.end());
        for (auto const& one : all) command.insert(command.end(), {"-c", one});
        server_ = child_process{command, log(), "postgres"};
        wait_until_ready("PostgreSQL", [&] {
            if (!server_.running()) throw std::runtime_error{"postgres ended:\n" + log_text()};
            return PQping(connection_string().c_str()) == PQPING_OK;
        });
    }
    /// False when it has ended by itself, too.
    [[nodiscard]] bool running() {
        return server_.running();
    }
    /// One more line of pg_hba.conf, before the others; holds from the next reload on.
    void add_access_rule(std::string const& line) const {
        auto const path = folder_.path() / "data" / "pg_hba.conf";
        std::stringstream others;
        others << std::ifstream{path}.rdbuf();
        std::ofstream{path} << line << '\n' << others.str();
    }
    /// Serves TLS by this certificate from now on.
    void use_certificate(std::string const& certificate, std::string const& key) const {
        auto const data = folder_.path() / "data";
        auto const take = [&](std::string const& from, std::filesystem::path const& to) {
            std::filesystem::copy_file(from, to, std::filesystem::copy_options::overwrite_existing);
            std::filesystem::permissions(to, std::filesystem::perms{0600});
            struct stat of_data {};
            if (::stat(data.c_str(), &of_data) != 0 ||
                ::chown(to.c_str(), of_data.st_uid, of_data.st_gid) != 0)
                throw std::system_error{errno, std::generic_category(), "chown"};
        };
        take(certificate, data / "server.crt");
        take(key, data / "server.key");
        auto sql = connect();
        sql("alter system set ssl = on");
        sql("select pg_reload_conf()");
        wait_until_ready("TLS", [&] { return connect()("show ssl") == "on"; });
    }
    /// Ends sessions and stops in order.
    void stop() {
        server_.stop(SIGINT);
    }
    /// Loses whatever was not on its way to the disk.
    [[nodiscard]] pid_t id() const {
        return server_.id();
    }
    void kill() {
        auto const others = children();
        server_.send(SIGKILL);
        for (auto const id : others) ::kill(id, SIGKILL);
        server_.wait();
        wait_until_ready("the end of PostgreSQL", [&] {
            for (auto const id : others) {
                auto const letter = state_of(id).letter;
                if (letter != 'X' && letter != 'Z') return false;
            }
            return true;
        });
    }
    /// Nothing answers any more, and no connection breaks.
    void freeze() {
        server_.send(SIGSTOP);
        frozen_ = children();
        for (auto const id : frozen_) ::kill(id, SIGSTOP);
    }
    void thaw() {
        for (auto const id : frozen_) ::kill(id, SIGCONT);
        frozen_.clear();
        server_.send(SIGCONT);
    }

private:
    [[nodiscard]] static std::string program(std::string const& name) {
        if (char const* const folder = std::getenv("OUTBOX_POSTGRES_BIN"))
            return std::string{folder} + "/" + name;
        for (int version = 30; version >= 14; --version) {
            auto path = "/usr/lib/postgresql/" + std::to_string(version) + "/bin/" + name;
            if (::access(path.c_str(), X_OK) == 0) return path;
        }
        return name;
    }
    [[nodiscard]] std::string log() const {
        return (folder_.path() / "log").string();
    }
    [[nodiscard]] std::string log_text() const {
        std::ifstream file{log()};
        return {std::istreambuf_iterator<char>{file}, {}};
    }
    struct process_state {
        char letter{'X'};
        pid_t parent{-1};
    };
    /// As /proc tells; the state of a process that is gone is X.
    [[nodiscard]] static process_state state_of(pid_t id) {
        std::ifstream file{"/proc/" + std::to_string(id) + "/stat"};
        std::string const text{std::istreambuf_iterator<char>{file}, {}};
        process_state found;
        auto const name_end = text.rfind(')');
        if (name_end != std::string::npos)
            std::istringstream{text.substr(name_end + 1)} >> found.letter >> found.parent;
        return found;
    }
    [[nodiscard]] std::vector<pid_t> children() const {
        std::vector<pid_t> found;
        for (auto const& entry : std::filesystem::directory_iterator{"/proc"}) {
            auto const name = entry.path().filename().string();
            if (name.find_first_not_of("0123456789") != std::string::npos) continue;
            auto const id = static_cast<pid_t>(std::stol(name));
            if (state_of(id).parent == server_.id()) found.push_back(id);
        }
        return found;
    }

    temporary_folder folder_;
    int port_;
    settings more_;
    int schemas_{0};
    child_process server_{};
    std::vector<pid_t> frozen_{};
};

}  // namespace support
