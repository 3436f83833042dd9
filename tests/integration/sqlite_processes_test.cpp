// SPDX-License-Identifier: MIT
//
// Several processes on one SQLite file, some of which die in the middle: what was committed is all
// there, what was not is not there at all. Every process opens the file after its fork.
#include <sys/mman.h>

#include <array>
#include <atomic>
#include <cstring>
#include <functional>
#include <new>

#include "outbox/broker/memory.hpp"
#include "outbox/outbox.hpp"
#include "outbox/testing/catch.hpp"
#include "support/sqlite_case.hpp"

namespace {

using namespace std::chrono_literals;

constexpr int messages_an_order = 5;

/// Counts that processes share; they survive those who count.
class shared_counts {
public:
    shared_counts() {
        void* const place = mmap(nullptr, sizeof(counts), PROT_READ | PROT_WRITE,
                                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (place == MAP_FAILED) throw std::bad_alloc{};
        counts_ = new (place) counts{};
    }
    shared_counts(shared_counts const&) = delete;
    shared_counts& operator=(shared_counts const&) = delete;
    ~shared_counts() {
        munmap(counts_, sizeof(counts));
    }
    std::atomic<int>& operator[](int process) const {
        return (*counts_)[static_cast<std::size_t>(process)];
    }

private:
    using counts = std::array<std::atomic<int>, 64>;
    counts* counts_{nullptr};
};

/// A process that does `work` and nothing else of this program.
class fork_of {
public:
    explicit fork_of(std::function<void()> const& work) : id_{::fork()} {
        if (id_ != 0) return;
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        try {
            work();
        } catch (std::exception const& failure) {
            ::write(2, failure.what(), std::strlen(failure.what()));
            ::_exit(1);
        }
        ::_exit(0);
    }
    fork_of(fork_of&& other) noexcept : id_{std::exchange(other.id_, -1)} {}
    fork_of& operator=(fork_of&&) = delete;
    ~fork_of() {
        if (id_ > 0) {
            ::kill(id_, SIGKILL);
            wait();
        }
    }
    void kill() const {
        ::kill(id_, SIGKILL);
    }
    /// Its exit status; -SIGNAL when it was killed.
    int wait() {
        int status = 0;
        while (::waitpid(id_, &status, 0) < 0 && errno == EINTR) {
        }
        id_ = -1;
        return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
    }

private:
    pid_t id_;
};

/// Takes orders from `first` on: one row and its messages in each transaction. `before(order,
/// message)` is called before each message, and once more before the commit.
template <class Before>
void take_orders(std::string const& path, int process, int first, int count,
                 std::atomic<int>& committed, Before&& before) {
    support::sqlite_handle sql{path};
    sqlite3_busy_timeout(sql.handle(), 60'000);
    outbox::sqlite_storage storage{path};
    auto const key = std::to_string(process);
    for (int order = first; order < first + count; ++order) {
        auto const payload = std::to_string(order);
        storage.begin(sql.handle());
        sql("insert into orders values (" + key + ", " + payload + ")");
        for (int i = 0; i < messages_an_order; ++i) {
            before(order, i);
            outbox::draft const one{.id = support::numbered(order * messages_an_order + i),
                                    .topic = "order.created",
                                    .key = key,
                                    .payload = payload};
            storage.append(sql.handle(), {&one, 1});
        }
        before(order, messages_an_order);
        storage.commit(sql.handle());
        ++committed;
    }
}

struct shared_file {
    support::temporary_folder folder{};
    std::string path{(folder.path() / "shop.db").string()};

    void set_up() {
        fork_of setting_up{[this] {
            support::sqlite_handle sql{path};
            outbox::sqlite_storage::migrate(sql.handle());
            sql("create table orders (process integer, number integer)");
        }};
        if (setting_up.wait() != 0) throw std::runtime_error{"no set-up"};
    }
};

/// Orders with another number of messages than one order has, and messages without their order.
std::string half_done(support::sqlite_handle const& sql) {
    return sql("select count(*) from orders o where (select count(*) from outbox m where m.key = "
               "o.process and cast(m.payload as integer) = o.number) <> " +
               std::to_string(messages_an_order)) +
           sql("select count(*) from outbox m where not exists (select 1 from orders o where "
               "m.key = o.process and cast(m.payload as integer) = o.number)");
}

/// Messages that stand in front of an earlier one of their key.
std::string out_of_order(support::sqlite_handle const& sql) {
    return sql(
        "select count(*) from (select cast(payload as integer) - lag(cast(payload as integer)) "
        "over (partition by key order by sequence) as step from outbox) where step < 0");
}

}  // namespace

TEST_CASE("processes that enqueue at once lose nothing while others die in the middle") {
    shared_file at;
    shared_counts committed;
    at.set_up();
    constexpr int producers = 3;
    constexpr int orders = 100;
    std::vector<fork_of> running;
    for (int process = 0; process < producers; ++process) {
        running.emplace_back([&, process] {
            take_orders(at.path, process, 0, orders, committed[process], [](int, int) {});
        });
    }
    // Dies before each of its statements in turn, the commit included.
    for (int victim = 0; victim <= messages_an_order; ++victim) {
        int const process = producers + victim;
        fork_of dying{[&] {
            take_orders(at.path, process, 0, orders, committed[process], [&](int order, int i) {
                if (order == 3 && i == victim) ::raise(SIGKILL);
            });
        }};
        CHECK(dying.wait() == -SIGKILL);
        CHECK(committed[process] == 3);
    }
    // Dies wherever it happens to be.
    for (int victim = 0; victim < 10; ++victim) {
        int const process = 20 + victim;
        fork_of dying{[&] {
            take_orders(at.path, process, 0, 1'000'000, committed[process], [](int, int) {});
        }};
        support::wait_until_ready("a victim", [&] { return committed[process] > victim; });
        dying.kill();
        CHECK(dying.wait() == -SIGKILL);
    }
    for (auto& one : running) CHECK(one.wait() == 0);

    support::sqlite_handle sql{at.path};
    CHECK(sql("pragma integrity_check") == "ok");
    CHECK(half_done(sql) == "00");
    CHECK(out_of_order(sql) == "0");
    for (int process = 0; process < 30; ++process) {
        auto const stored = std::stoi(
            sql("select count(*) from orders where process = " + std::to_string(process)));
        int const counted = committed[process];
        // One may have been committed by a process that died before it could say so.
        CHECK(stored >= counted);
        CHECK(stored <= counted + (process >= 20 ? 1 : 0));
        if (process < producers) CHECK(stored == orders);
    }
}

TEST_CASE("processes that migrate at once apply each migration once") {
    for (int round = 0; round < 5; ++round) {
        support::temporary_folder folder;
        auto const path = (folder.path() / "shop.db").string();
        std::vector<fork_of> running;
        for (int i = 0; i < 6; ++i) {
            running.emplace_back([&path] {
                support::sqlite_handle sql{path};
                outbox::sqlite_storage::migrate(sql.handle());
            });
        }
        for (auto& one : running) CHECK(one.wait() == 0);
        support::sqlite_handle sql{path};
        CHECK(sql("select count(*) from outbox_version") == "1");
        CHECK_NOTHROW(outbox::sqlite_storage::check_schema(sql.handle()));
    }
}

TEST_CASE("a worker takes over from one that was killed, and delivers the rest") {
    shared_file at;
    shared_counts counts;
    at.set_up();
    {
        fork_of producing{[&] { take_orders(at.path, 0, 0, 40, counts[0], [](int, int) {}); }};
        REQUIRE(producing.wait() == 0);
    }
    auto const work = [&](int worker, auto&& after_a_round) {
        outbox::sqlite_storage storage{at.path};
        auto session = storage.connect(support::numbered(worker), 10s);
        if (session.acquire(support::everything).tenures.empty()) return;
        std::vector<outbox::settlement> done;
        while (true) {
            auto const reply = session.exchange(
                {.settlements = done, .read = support::only, .records = 7, .bytes = 1'000'000});
            counts[worker] += static_cast<int>(done.size());
            if (reply.read.records.empty()) return;
            done.clear();
            for (auto const& one : reply.read.records) {
                done.push_back({.sequence = one.sequence, .what = outbox::fate::stamp});
            }
            after_a_round();
        }
    };
    fork_of dying{[&] {
        int rounds = 0;
        work(1, [&] {
            if (++rounds == 10) ::raise(SIGKILL);
        });
    }};
    CHECK(dying.wait() == -SIGKILL);
    CHECK(counts[1] == 63);
    fork_of early{[&] { work(2, [] {}); }};
    CHECK(early.wait() == 0);
    CHECK(counts[2] == 0);
    {
        fork_of expiring{[&] {
            support::sqlite_handle{at.path}("update outbox_partition set lease_until = 1");
        }};
        REQUIRE(expiring.wait() == 0);
    }
    fork_of next{[&] { work(3, [] {}); }};
    CHECK(next.wait() == 0);
    CHECK(counts[3] == 200 - 63);
    support::sqlite_handle sql{at.path};
    CHECK(sql("select count(*) from outbox where state = 4") == "200");
}

TEST_CASE("a lock that is held for seconds, even by one who dies with it, loses nothing") {
    bool const dies = GENERATE(false, true);
    shared_file at;
    shared_counts counts;
    at.set_up();
    {
        fork_of producing{[&] { take_orders(at.path, 0, 0, 40, counts[0], [](int, int) {}); }};
        REQUIRE(producing.wait() == 0);
    }
    fork_of holding{[&] {
        support::sqlite_handle sql{at.path};
        sql("begin immediate");
        sql("insert into orders values (1, 1)");
        counts[1] = 1;
        // Longer than any call of the worker's may take.
        std::this_thread::sleep_for(3s);
        if (dies) ::raise(SIGKILL);
        sql("rollback");
    }};
    support::wait_until_ready("the lock", [&] { return counts[1] == 1; });
    fork_of working{[&] {
        outbox::memory_broker broker;
        outbox::basic_outbox<outbox::sqlite_storage, outbox::memory_broker> box{
            outbox::sqlite_storage{at.path}, broker, {.poll_interval = 50ms, .lease_duration = 2s}};
        auto worker = box.start_worker();
        support::wait_until_ready("the delivery of everything",
                                  [&] { return broker.count() == 200; });
        if (!worker.stop(10s).clean()) throw std::runtime_error{"a lease was left"};
        int last = -1;
        for (auto const& one : broker.delivered()) {
            auto const order = std::stoi(one.payload);
            if (order < last) throw std::runtime_error{"out of order"};
            last = order;
        }
        counts[2] = static_cast<int>(broker.count());
    }};
    CHECK(holding.wait() == (dies ? -SIGKILL : 0));
    CHECK(working.wait() == 0);
    CHECK(counts[2] == 200);
    support::sqlite_handle sql{at.path};
    CHECK(sql("select count(*) from orders") == "40");
    CHECK(sql("select count(*) from outbox where state = 4") == "200");
}
