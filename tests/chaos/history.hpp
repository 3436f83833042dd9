// SPDX-License-Identifier: MIT
//
// What is known of a run when it is over: what producers meant to do and what became of it, what
// the stream and the database hold, which sends were begun, and what was done to the machines
// meanwhile. Everything that the checker judges by, and nothing else.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "outbox/message_id.hpp"

namespace chaos {

/// Milliseconds of Unix time. All processes of a run share one machine, hence one clock.
using moment = std::int64_t;

/// What a producer knows of the transaction that a message went into.
enum class ending : std::uint8_t {
    committed,
    rolled_back,
    unknown,  ///< the answer to the commit was lost, or the producer died before it wrote it down
};

/// A message that a producer put into a transaction, written down before the commit.
struct intention {
    outbox::message_id id{};
    std::string key{};         ///< empty: keyless
    std::int32_t producer{0};  ///< the process; another one after each restart
    std::int64_t number{0};    ///< rises within a producer's key in the order of its transactions
    std::uint64_t digest{0};
    ending end{ending::unknown};
    bool poisoned{false};  ///< made so that it can never be delivered
};

/// A message as the stream holds it.
struct delivery {
    outbox::message_id id{};
    std::string key{};
    std::uint64_t digest{0};
    std::uint64_t sequence{0};  ///< in the stream
    std::int32_t generation{0};
    moment at{0};
};

/// A worker was about to send this message; or was told that the stream refused it for its place
/// in a chain, hence stored nothing.
struct attempt {
    outbox::message_id id{};
    moment at{0};
    bool refused{false};
};

struct fault {
    std::string kind{};
    moment begin{0};
    moment end{0};
};

struct history {
    std::vector<intention> ledger{};
    std::vector<delivery> stream{};                  ///< in its own order
    std::optional<std::vector<attempt>> attempts{};  ///< nothing: nobody wrote them down
    std::vector<outbox::message_id> dead{};
    std::vector<outbox::message_id> pending{};   ///< not published and not dead at the end
    std::vector<outbox::message_id> requeued{};  ///< by an operator, once for each time
    /// Messages whose business row is in the database; nothing: nobody looked.
    std::optional<std::vector<outbox::message_id>> rows{};
    std::vector<fault> faults{};
    moment duplicate_window{120'000};  ///< of the stream
    /// How long after its end a fault may still be the cause of another send: a lease has to run
    /// out, a receipt is waited for, a breaker probes.
    moment aftermath{3'000};
};

/// FNV-1a over topic and payload, kept apart: enough to see a byte that changed.
[[nodiscard]] inline std::uint64_t digest_of(std::string_view topic, std::string_view payload) {
    std::uint64_t hash = 0xCBF29CE484222325U;
    auto const add = [&](std::string_view bytes) {
        for (char const c : bytes) {
            hash ^= static_cast<unsigned char>(c);
            hash *= 0x100000001B3U;
        }
    };
    add(topic);
    add(std::string_view{"\0", 1});
    add(payload);
    return hash;
}

}  // namespace chaos
