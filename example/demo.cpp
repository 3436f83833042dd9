// SPDX-License-Identifier: MIT
//
// ./dev demo: the outbox at work on embedded parts, a SQLite file and a broker that is a file, too.
// ./dev demo postgres: the same on PostgreSQL and NATS JetStream, private servers that it starts.
#include <soci/soci.h>
#include <soci/sqlite3/soci-sqlite3.h>

#include <csignal>
#include <exception>
#include <filesystem>
#include <iostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "demo_show.hpp"
#include "file_broker.hpp"
#include "outbox/storage/sqlite.hpp"
#include "support/process.hpp"

#ifdef DEMO_POSTGRES
#include "demo_postgres.hpp"
#endif

namespace demo {
namespace {

class sqlite_stage {
public:
    std::string const parts{"orders in SQLite, messages to a file"};
    std::string const proof{"messages in the broker's file, each counted once"};
    std::string const copies{"sent again, since the killed worker could not tick them off"};

    sqlite_stage() {
        auto sql = open();
        outbox::sqlite_storage::migrate(sql);
    }
    [[nodiscard]] soci::session open() const {
        return soci::session{soci::sqlite3, "db=" + database_.string() + " timeout=10"};
    }
    template <class Observer>
    [[nodiscard]] auto make_box(Observer observer) const {
        return outbox::basic_outbox{outbox::sqlite_storage{database_.string()},
                                    file_broker{deliveries_},
                                    brisk(),
                                    outbox::system_clock{},
                                    outbox::soft_delete{},
                                    std::move(observer)};
    }
    [[nodiscard]] std::vector<arrived_message> arrived() const {
        std::vector<arrived_message> all;
        for (auto& one : read_deliveries(deliveries_)) {
            all.push_back({std::move(one.id), std::move(one.payload)});
        }
        return all;
    }

private:
    support::temporary_folder folder_{};
    std::filesystem::path database_{folder_.path() / "shop.db"};
    std::filesystem::path deliveries_{folder_.path() / "deliveries.log"};
};

int run(std::string_view what) {
    if (what.empty() || what == "sqlite") {
        sqlite_stage stage;
        return show(stage);
    }
    if (what == "postgres") {
#ifdef DEMO_POSTGRES
        return show_on_postgres();
#else
        std::cerr << "demo: built without PostgreSQL or NATS; ./dev demo postgres builds both\n";
        return 2;
#endif
    }
    std::cerr << "usage: demo [sqlite|postgres]\n";
    return 2;
}

}  // namespace
}  // namespace demo

int main(int count, char** arguments) {
    std::signal(SIGINT, [](int) { demo::is_interrupted = 1; });
    try {
        return demo::run(count > 1 ? arguments[1] : "");
    } catch (std::exception const& failure) {
        std::cerr << "demo: " << failure.what() << '\n';
        return 1;
    }
}
