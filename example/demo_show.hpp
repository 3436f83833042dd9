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
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
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

/// Set by Ctrl-C: the demo then takes down what it started, and its files with it.
inline volatile std::sig_atomic_t is_interrupted = 0;

inline void end_if_interrupted() {
    if (is_interrupted != 0) throw std::runtime_error{"interrupted"};
}

struct plan {
    int orders{4'000};
    int customers{37};
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

/// The show itself, scene by scene.
template <class Stage>
class performance {
public:
    performance(Stage& stage, plan const& wanted) : stage_{stage}, plan_{wanted} {}

    /// Returns the exit status.
    int run() {
        out_.say("\n  " + out_.paint("The outbox, end to end", screen::ink::bold) + ": " +
                 stage_.parts + "\n");
        stage_.open() << "create table orders (number integer primary key, customer text not null, "
                         "message text not null)";
        start_workers();
        auto sql = stage_.open();
        auto box = stage_.make_box(outbox::silent{});
        shop orders{sql, box, plan_.customers};
        serve_customers(orders, box);
        deliver_the_rest(orders, box);
        bool const stopped = killed_ && survivor().end(SIGTERM);
        out_.tell(stopped ? "nothing is left; the worker stops when it is asked to"
                          : "the worker did not stop in order");

        auto const found = judge(orders.committed_orders(), stage_.arrived());
        print(out_, found, orders.rolled_back(), stage_);
        bool const good = found.good() && stopped && found.committed == orders.committed();
        out_.say("  " +
                 (good ? out_.paint("Nothing lost, nothing invented, nothing out of order.",
                                    screen::ink::good)
                       : out_.paint("This must not happen.", screen::ink::bad)) +
                 "\n");
        return good ? 0 : 1;
    }

private:
    void start_workers() {
        workers_.reserve(2);
        for (int i = 0; i < 2; ++i) {
            workers_.emplace_back(
                [this](auto observer) { return stage_.make_box(std::move(observer)); });
        }
        out_.tell("two worker processes start: " + std::to_string(workers_[0].id()) + " and " +
                  std::to_string(workers_[1].id()));
    }
    template <class Shop, class Outbox>
    void serve_customers(Shop& orders, Outbox& box) {
        out_.tell("a shop places orders, each with its message in one transaction; some roll back");
        auto const start = out_.seconds();
        auto const goal = static_cast<std::size_t>(plan_.orders) * 9 / 10;
        for (int i = 0; i < plan_.orders; ++i) {
            if (out_.seconds() - start > plan_.place_at_most) return;
            end_if_interrupted();
            orders.place_order();
            if (i % 50 == 0) waiting_ = backlog(box);
            auto const next = start + plan_.open_for * i / plan_.orders;
            do {
                draw(orders.committed(), goal);
                if (out_.seconds() < next)
                    std::this_thread::sleep_for(std::chrono::milliseconds{1});
            } while (out_.seconds() < next);
            if (!killed_ && out_.seconds() - start > plan_.kill_after) kill_one();
        }
    }
    void kill_one() {
        killed_ = busy_one(workers_);
        auto& victim = workers_[*killed_];
        auto const name = std::to_string(victim.id());
        victim.end(SIGKILL);
        survivor_had_ = survivor().delivered();
        out_.tell("kill -9 " + name + ", in the middle of its work, after " +
                      grouped(victim.delivered()) + " deliveries",
                  screen::ink::bad);
    }
    template <class Shop, class Outbox>
    void deliver_the_rest(Shop& orders, Outbox& box) {
        out_.tell("the shop closes; what is left is delivered");
        auto const closed = out_.seconds();
        do {
            end_if_interrupted();
            waiting_ = backlog(box);
            draw(orders.committed(), orders.committed());
            std::this_thread::sleep_for(std::chrono::milliseconds{20});
        } while (waiting_ > 0 && out_.seconds() - closed < plan_.drain_at_most);
    }
    void draw(std::size_t placed, std::size_t goal) {
        if (killed_ && !is_taken_over_ && survivor().delivered() > survivor_had_) {
            is_taken_over_ = true;
            out_.tell(std::to_string(survivor().id()) + " goes on with what it left behind",
                      screen::ink::good);
        }
        auto const done = placed - std::min(placed, waiting_);
        out_.progress(done, goal,
                      grouped(placed) + " orders placed, " + grouped(done) + " delivered, " +
                          grouped(placed - done) + " waiting");
    }
    template <class Outbox>
    [[nodiscard]] static std::size_t backlog(Outbox& box) {
        return static_cast<std::size_t>(box.stats().storage.backlog);
    }
    [[nodiscard]] worker_process& survivor() {
        return workers_[1 - *killed_];
    }

    Stage& stage_;
    plan plan_;
    screen out_{};
    std::vector<worker_process> workers_{};
    std::optional<std::size_t> killed_{};  ///< which of the two
    std::uint64_t survivor_had_{0};        ///< delivered by the other one at that moment
    bool is_taken_over_{false};
    std::size_t waiting_{0};
};

/// Returns the exit status.
template <class Stage>
int show(Stage& stage, plan const& wanted = {}) {
    return performance<Stage>{stage, wanted}.run();
}

}  // namespace demo
