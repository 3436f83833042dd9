// SPDX-License-Identifier: MIT
//
// The show: a shop places orders and their messages in one transaction each, two worker processes
// deliver, one of them is killed without warning, and the end compares what the shop's own table
// holds with what arrived. A stage says which parts it plays on:
//
//     open()                 a new database session of the shop's
//     make_box(observer)     an outbox on that database, with the broker
//     arrived()              what the broker holds, read back from it
//     parts, proof, copies   words for the screen
#pragma once

#include <soci/soci.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "demo_screen.hpp"
#include "demo_verdict.hpp"
#include "demo_workers.hpp"
#include "outbox/outbox.hpp"

namespace demo {

/// A killed worker is replaced after a second, and its last records are few: for the sake of the
/// show. The defaults are wider.
inline outbox::options brisk() {
    return {.poll_interval = std::chrono::milliseconds{50},
            .batch_size = 40,
            .lease_duration = std::chrono::milliseconds{1'000}};
}

struct plan {
    int orders{4'000};
    int customers{40};
    double open_for{6.0};       ///< seconds over which the orders come in
    double kill_after{2.5};     ///< seconds; at work by then, and far from done
    double place_at_most{9.0};  ///< seconds, however slow the disk
    double drain_at_most{60.0};
};

[[nodiscard]] inline std::string payload_of(int number, std::string const& customer) {
    std::string payload{R"({"order":)"};
    return payload.append(std::to_string(number))
        .append(R"(,"customer":")")
        .append(customer)
        .append(R"("})");
}

/// Places orders, one transaction each. Every tenth customer changes their mind.
template <class Outbox>
class shop {
public:
    shop(soci::session& sql, Outbox& box, int customers)
        : sql_{sql}, box_{box}, customers_{customers} {}

    void place_order() {
        int const number = ++number_;
        auto const customer = "customer-" + std::to_string(number % customers_);
        auto work = box_.begin(sql_);
        auto const id = to_string(box_.create_message(
            work, "order.created", payload_of(number, customer), {.key = customer}));
        sql_ << "insert into orders (number, customer, message) values (:number, :customer, :id)",
            soci::use(number), soci::use(customer), soci::use(id);
        if (number % 10 == 0) {
            ++rolled_back_;
            return;  // a unit of work that is dropped rolls back
        }
        work.commit();
        ++committed_;
    }
    /// What was committed, as the table has it.
    [[nodiscard]] std::vector<committed_message> committed_orders() {
        std::vector<committed_message> all;
        soci::rowset<soci::row> const rows =
            (sql_.prepare << "select number, customer, message from orders order by number");
        for (auto const& row : rows) {
            auto const customer = row.get<std::string>(1);
            all.push_back({.id = row.get<std::string>(2),
                           .key = customer,
                           .payload = payload_of(row.get<int>(0), customer)});
        }
        return all;
    }
    [[nodiscard]] std::size_t committed() const {
        return committed_;
    }
    [[nodiscard]] std::size_t rolled_back() const {
        return rolled_back_;
    }

private:
    soci::session& sql_;
    Outbox& box_;
    int customers_;
    int number_{0};
    std::size_t committed_{0};
    std::size_t rolled_back_{0};
};

/// The one of the two that is delivering: it is caught in the act, or it is the busier one.
inline std::size_t busy_one(std::vector<worker_process> const& workers) {
    std::uint64_t const before[] = {workers[0].delivered(), workers[1].delivered()};
    for (int i = 0; i < 20'000; ++i) {
        for (std::size_t one : {0U, 1U}) {
            if (workers[one].delivered() > before[one]) return one;
        }
        std::this_thread::sleep_for(std::chrono::microseconds{50});
    }
    return before[0] >= before[1] ? 0 : 1;
}

template <class Stage>
void print(screen& out, verdict const& found, std::size_t rolled_back, Stage const& stage) {
    using ink = screen::ink;
    auto const line = [&](char const* name, std::size_t value, ink colour, std::string const& why) {
        auto name_and_value = right(name, 14) + right(grouped(value), 9);
        out.say(out.paint(name_and_value, colour) + "   " + out.paint(why, ink::dim));
    };
    auto const none = [](std::size_t value) { return value == 0 ? ink::good : ink::bad; };
    out.say();
    line("committed", found.committed, ink::bold, "orders in the shop's own table");
    line("rolled back", rolled_back, ink::plain, "orders whose messages must not exist");
    line("delivered", found.delivered, ink::bold, stage.proof);
    line("lost", found.lost, none(found.lost), "committed, and never arrived");
    line("invented", found.invented, none(found.invented), "arrived, and never committed");
    line("out of order", found.out_of_order, none(found.out_of_order),
         "arrived after a later one of the same customer");
    line("duplicates", found.duplicates, ink::plain, stage.copies);
    out.say();
}

/// Returns the exit status.
template <class Stage>
int show(Stage& stage, plan const& wanted = {}) {
    screen out;
    out.say();
    out.say("  " + out.paint("The outbox, end to end", screen::ink::bold) + ": " + stage.parts);
    out.say();
    {
        auto sql = stage.open();
        sql << "create table orders (number integer primary key, customer text not null, "
               "message text not null)";
    }
    auto const make_box = [&](auto observer) { return stage.make_box(std::move(observer)); };
    std::vector<worker_process> workers;
    workers.reserve(2);
    for (int i = 0; i < 2; ++i) workers.emplace_back(make_box);
    out.tell("two worker processes start: " + std::to_string(workers[0].id()) + " and " +
             std::to_string(workers[1].id()));

    auto sql = stage.open();
    auto box = stage.make_box(outbox::silent{});
    shop orders{sql, box, wanted.customers};
    bool is_open = true;
    std::size_t waiting = 0;
    auto const look = [&] { waiting = static_cast<std::size_t>(box.stats().storage.backlog); };
    auto const draw = [&] {
        auto const placed = orders.committed();
        auto const done = placed - std::min(placed, waiting);
        out.progress(done, is_open ? static_cast<std::size_t>(wanted.orders) * 9 / 10 : placed,
                     grouped(placed) + " orders placed, " + grouped(done) + " delivered, " +
                         grouped(placed - done) + " waiting");
    };

    out.tell("a shop places orders, each with its message in one transaction; some roll back");
    std::optional<std::size_t> killed;
    std::uint64_t survivor_had = 0;
    bool is_taken_over = false;
    auto const watch_survivor = [&] {
        if (!killed || is_taken_over || workers[1 - *killed].delivered() == survivor_had) return;
        is_taken_over = true;
        out.tell(std::to_string(workers[1 - *killed].id()) + " goes on with what it left behind",
                 screen::ink::good);
    };
    auto const start = out.seconds();
    for (int i = 0; i < wanted.orders && out.seconds() - start < wanted.place_at_most; ++i) {
        orders.place_order();
        if (i % 50 == 0) look();
        auto const next = start + wanted.open_for * i / wanted.orders;
        do {
            draw();
            watch_survivor();
            if (out.seconds() < next) std::this_thread::sleep_for(std::chrono::milliseconds{1});
        } while (out.seconds() < next);
        bool const is_time = out.seconds() - start > wanted.kill_after;
        if (!killed && is_time) {
            killed = busy_one(workers);
            auto& victim = workers[*killed];
            auto const name = std::to_string(victim.id());
            victim.end(SIGKILL);
            survivor_had = workers[1 - *killed].delivered();
            out.tell("kill -9 " + name + ", in the middle of its work, after " +
                         grouped(victim.delivered()) + " deliveries",
                     screen::ink::bad);
        }
    }
    is_open = false;
    out.tell("the shop closes; what is left is delivered");
    auto const closed = out.seconds();
    do {
        look();
        draw();
        watch_survivor();
        std::this_thread::sleep_for(std::chrono::milliseconds{20});
    } while (waiting > 0 && out.seconds() - closed < wanted.drain_at_most);
    watch_survivor();
    bool const stopped = !killed || workers[1 - *killed].end(SIGTERM);
    out.tell(stopped ? "nothing is left; the worker stops when it is asked to"
                     : "the worker did not stop in order");

    auto const found = judge(orders.committed_orders(), stage.arrived());
    print(out, found, orders.rolled_back(), stage);
    bool const good = found.good() && stopped && found.committed == orders.committed();
    out.say("  " + (good ? out.paint("Nothing lost, nothing invented, nothing out of order.",
                                     screen::ink::good)
                         : out.paint("This must not happen.", screen::ink::bad)));
    out.say();
    return good ? 0 : 1;
}

}  // namespace demo
