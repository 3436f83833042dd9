// SPDX-License-Identifier: MIT
#include "demo_postgres.hpp"

#include <soci/postgresql/soci-postgresql.h>
#include <soci/soci.h>

#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "demo_show.hpp"
#include "outbox/broker/jetstream.hpp"
#include "outbox/storage/postgres.hpp"
#include "support/nats_server.hpp"
#include "support/postgres_server.hpp"

namespace demo {
namespace {

class postgres_stage {
public:
    std::string const parts{"orders in PostgreSQL, messages to NATS JetStream"};
    std::string const proof{"messages in the stream, read back from it"};
    std::string const copies{"of those sent again, the ones that JetStream did not drop"};

    postgres_stage() {
        auto sql = open();
        outbox::postgres_storage::migrate(sql);
    }
    [[nodiscard]] soci::session open() const {
        return soci::session{soci::postgresql, database_.connection_string()};
    }
    template <class Observer>
    [[nodiscard]] auto make_box(Observer observer) const {
        return outbox::basic_outbox{
            outbox::postgres_storage{database_.connection_string()},
            outbox::jetstream_broker{
                {.connection = {.url = nats_.url()},
                 .create_stream =
                     outbox::jetstream_stream{.name = "ORDERS", .subjects = {"order.>"}}}},
            brisk(),
            outbox::system_clock{},
            outbox::soft_delete{},
            std::move(observer)};
    }
    [[nodiscard]] std::vector<arrived_message> arrived() const {
        std::vector<arrived_message> all;
        for (auto& one : support::nats_client{nats_.url()}.read("ORDERS")) {
            all.push_back({one.message_id(), std::move(one.payload)});
        }
        return all;
    }

private:
    support::postgres_server database_{};
    support::nats_server nats_{};
};

}  // namespace

int show_on_postgres() {
    std::cout << "\n  starting a private PostgreSQL and a private nats-server\n" << std::flush;
    postgres_stage stage;
    return show(stage);
}

}  // namespace demo
