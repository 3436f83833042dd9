// SPDX-License-Identifier: MIT
//
// Places in the hand, first in, first out. Thousands of lines have one each, most of them empty or
// of one: an empty one owns no memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace outbox {

class slot_queue {
public:
    using slot = std::uint32_t;

    [[nodiscard]] bool empty() const {
        return first_ == all_.size();
    }
    [[nodiscard]] slot front() const {
        return all_[first_];
    }
    [[nodiscard]] slot back() const {
        return all_.back();
    }
    [[nodiscard]] auto begin() const {
        return all_.begin() + static_cast<std::ptrdiff_t>(first_);
    }
    [[nodiscard]] auto end() const {
        return all_.end();
    }
    void push_back(slot at) {
        all_.push_back(at);
    }
    void push_front(slot at) {
        if (first_ == 0) {
            all_.insert(all_.begin(), at);
        } else {
            all_[--first_] = at;
        }
    }
    void pop_front() {
        if (++first_ < all_.size() && first_ < sweep_at) return;
        all_.erase(all_.begin(), begin());
        first_ = 0;
    }

private:
    /// What was taken from the front is let go of now and then, so that a queue that never runs
    /// empty does not grow.
    static constexpr std::size_t sweep_at = 1'024;

    std::vector<slot> all_{};
    std::size_t first_{0};
};

}  // namespace outbox
