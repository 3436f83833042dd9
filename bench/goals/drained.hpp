// SPDX-License-Identifier: MIT
//
// Our relay at work on a backlog, as all families measure it.
#pragma once

#include <chrono>
#include <stdexcept>
#include <string>
#include <vector>

#include "goals/site.hpp"

namespace bench::goals {

/// A backlog of so many `keys`, drained by one worker while others are `idle`.
template <class Delete>
figures drained(servers& on, std::string const& name, load const& wanted, int keys, int idle) {
    site at{on, wanted};
    auto box = at.box<Delete>();
    at.fill(box, at.keys(keys));
    at.settle_down();
    std::vector<decltype(box.start_worker())> others;
    auto worker = box.make_worker();
    worker.step();
    for (int i = 0; i < idle; ++i) others.push_back(box.start_worker());
    bool empty = false;
    auto read =
        timed(on, name, wanted.messages, [&] { empty = worker.drain(std::chrono::hours{1}); });
    if (!empty) throw std::runtime_error{"the worker left messages behind"};
    return read;
}

}  // namespace bench::goals
