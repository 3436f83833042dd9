// SPDX-License-Identifier: MIT
//
// What was sent and has no answer yet, each under a number that ends its reply subject. A number
// comes again, since a subject that the server saw lately costs it less than a new one; but for
// another message only, and only after an acknowledgement of what it stood for: that is the last
// that the server has to say of it, and the same one over again is none. So no answer that is late
// is taken for that of another message.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "outbox/settlement.hpp"

namespace outbox::nats_rules {

class sent_messages {
public:
    struct message {
        attempt_token token{0};
        std::string topic{};
    };

    /// Returns the number. `most`: with so many open ones, half of them, the oldest, get no answer
    /// any more; the relay gave them up long ago.
    std::uint64_t add(attempt_token token, record const& of, std::size_t most) {
        if (open_ >= most) forget_old(most / 2);
        if (free_.empty()) {
            free_.push_back(places_.size());
            places_.push_back({.number = places_.size()});
        }
        auto& at = places_[free_.back()];
        free_.pop_back();
        // Sent again, it is acknowledged by the same sequence as before.
        if (at.id == of.id) renew(at);
        at.id = of.id;
        at.what.token = token;
        at.what.topic.assign(of.topic);
        at.open = true;
        ++open_;
        return at.number;
    }
    [[nodiscard]] std::size_t open() const {
        return open_;
    }
    /// What was sent under this number, if it has no answer yet.
    [[nodiscard]] message const* find(std::uint64_t number) const {
        auto const at = number & place_mask;
        if (at >= places_.size() || places_[at].number != number || !places_[at].open)
            return nullptr;
        return &places_[at].what;
    }
    /// The server acknowledged it so. An acknowledgement that the number had before says nothing of
    /// what it stands for now: false, and that has no answer yet.
    [[nodiscard]] bool acknowledge(std::uint64_t number, std::string const& stream,
                                   std::uint64_t sequence) {
        auto& at = places_[number & place_mask];
        if (sequence == at.last_sequence && stream == at.last_stream) return false;
        at.last_sequence = sequence;
        at.last_stream = stream;
        close(at);
        return true;
    }
    /// It has its answer, of a kind that others may follow: the number does not come again.
    void retire(std::uint64_t number) {
        retire(places_[number & place_mask]);
    }
    /// Retires all whose topic is so, and shows their tokens in the order of sending.
    template <class Match, class Visit>
    void retire_all(Match&& match, Visit&& visit) {
        std::vector<attempt_token> found;
        for (auto& at : places_) {
            if (!at.open || !match(std::string_view{at.what.topic})) continue;
            found.push_back(at.what.token);
            retire(at);
        }
        std::ranges::sort(found);
        for (auto const token : found) visit(token);
    }

private:
    static constexpr unsigned place_bits = 24;
    static constexpr std::uint64_t place_mask = (std::uint64_t{1} << place_bits) - 1;

    struct place {
        std::uint64_t number{0};  ///< its index, and above that how often it was retired
        message_id id{};
        message what{};
        bool open{false};
        std::uint64_t last_sequence{0};
        std::string last_stream{};
    };

    void close(place& at) {
        at.open = false;
        --open_;
        free_.push_back(at.number & place_mask);
    }
    void retire(place& at) {
        close(at);
        renew(at);
    }
    static void renew(place& at) {
        at.number += place_mask + 1;
        at.last_sequence = 0;
    }
    void forget_old(std::size_t keep) {
        std::vector<attempt_token> all;
        for (auto const& at : places_) {
            if (at.open) all.push_back(at.what.token);
        }
        if (all.size() <= keep) return;
        auto const first_kept = all.end() - static_cast<std::ptrdiff_t>(keep);
        std::ranges::nth_element(all, first_kept);
        for (auto& at : places_) {
            if (at.open && at.what.token < *first_kept) retire(at);
        }
    }

    std::vector<place> places_{};
    std::vector<std::uint64_t> free_{};  ///< the last one that was freed comes first
    std::size_t open_{0};
};

}  // namespace outbox::nats_rules
