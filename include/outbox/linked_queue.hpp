// SPDX-License-Identifier: MIT
//
// Queues without memory of their own: each member holds its links, so that to queue it and to take
// it out costs two or three writes, and an empty queue is two null pointers. Thousands of lines
// have one each.
#pragma once

#include <utility>

namespace outbox {

/// First in, first out, over the member `next`. A member is in at most one of these at a time.
template <class Member>
class linked_queue {
public:
    /// While nobody enters or leaves.
    class iterator {
    public:
        explicit iterator(Member* at) : at_{at} {}
        Member& operator*() const {
            return *at_;
        }
        iterator& operator++() {
            at_ = at_->next;
            return *this;
        }
        bool operator==(iterator const&) const = default;

    private:
        Member* at_;
    };

    [[nodiscard]] bool empty() const {
        return first_ == nullptr;
    }
    [[nodiscard]] Member& front() const {
        return *first_;
    }
    [[nodiscard]] iterator begin() const {
        return iterator{first_};
    }
    [[nodiscard]] iterator end() const {
        return iterator{nullptr};
    }
    void push_back(Member& one) {
        one.next = nullptr;
        (first_ == nullptr ? first_ : last_->next) = &one;
        last_ = &one;
    }
    void push_front(Member& one) {
        one.next = first_;
        if (first_ == nullptr) last_ = &one;
        first_ = &one;
    }
    Member& pop_front() {
        return *std::exchange(first_, first_->next);
    }
    /// Empties it: who is visited is in no queue any more, and may be put into one.
    template <class Visit>
    void drain(Visit&& visit) {
        for (auto* one = std::exchange(first_, nullptr); one != nullptr;)
            visit(*std::exchange(one, one->next));
    }
    template <class Wanted>
    void remove_if(Wanted const& wanted) {
        drain([&](Member& one) {
            if (!wanted(one)) push_back(one);
        });
    }

private:
    Member* first_{nullptr};
    Member* last_{nullptr};  ///< means nothing while the queue is empty
};

/// In order, and whoever is in it may leave at any time: over the members `before` and `after`.
template <class Member>
class linked_list {
public:
    [[nodiscard]] Member* front() const {
        return first_;
    }
    void push_back(Member& one) {
        one.before = last_;
        one.after = nullptr;
        (last_ == nullptr ? first_ : last_->after) = &one;
        last_ = &one;
    }
    void push_front(Member& one) {
        one.before = nullptr;
        one.after = first_;
        (first_ == nullptr ? last_ : first_->before) = &one;
        first_ = &one;
    }
    void remove(Member& one) {
        (one.before == nullptr ? first_ : one.before->after) = one.after;
        (one.after == nullptr ? last_ : one.after->before) = one.before;
    }

private:
    Member* first_{nullptr};
    Member* last_{nullptr};
};

}  // namespace outbox
