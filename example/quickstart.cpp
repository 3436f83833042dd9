// SPDX-License-Identifier: MIT
//
// The shortest whole program: an order and its message in one transaction of PostgreSQL, delivered
// to NATS JetStream.
//
//     quickstart "dbname=shop" nats://127.0.0.1:4222
#include <soci/postgresql/soci-postgresql.h>
#include <soci/soci.h>

#include <iostream>

#include "outbox/broker/jetstream.hpp"
#include "outbox/outbox.hpp"
#include "outbox/storage/postgres.hpp"

int main(int /*count*/, char** arguments) {
    soci::session sql{soci::postgresql, arguments[1]};
    sql << "create table if not exists orders (id integer primary key, status text not null)";
    outbox::postgres_storage::migrate(sql);

    outbox::basic_outbox box{
        outbox::postgres_storage{arguments[1]},
        outbox::jetstream_broker{{.connection = {.url = arguments[2]},
                                  .create_stream = {{.name = "ORDERS", .subjects = {"order.>"}}}}}};
    auto worker = box.start_worker();

    auto work = box.begin(sql);
    sql << "insert into orders (id, status) values (17, 'pending')";
    box.create_message(work, "order.created", R"({"order": 17})", {.key = "order-17"});
    work.commit();  // both are stored now, or neither; the worker is awake already

    std::cin.get();  // a service goes on with its day; the worker stops when it is dropped
}
