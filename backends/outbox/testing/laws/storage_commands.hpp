// SPDX-License-Identifier: MIT
//
// The commands of a random sequence, and the words in which a difference is told.
#pragma once

#include <rapidcheck.h>

#include <array>
#include <sstream>

#include "outbox/testing/laws/storage_case.hpp"

namespace outbox::testing::laws {

enum class verb : std::uint8_t {
    begin,
    enqueue,
    enqueue_three,
    commit,
    roll_back,
    acquire,
    read,
    read_due,
    settle,
    round,
    release,
    restart,
    elapse,
    expire,
    list_dead,
    requeue,
    discard,
    replay,
    purge_published,
    purge_dead,
    figures,
};

/// Numbers mean the simplest when they are 0, so that a failing sequence shrinks to a simple one.
struct command {
    verb what{verb::begin};
    int who{0};
    std::array<int, 3> with{};
};

inline rc::Gen<command> any_command() {
    using enum verb;
    auto const what = rc::gen::weightedElement<verb>(
        {{6, begin},          {14, enqueue}, {5, enqueue_three}, {3, commit},     {2, roll_back},
         {12, acquire},       {10, read},    {10, read_due},     {14, settle},    {10, round},
         {3, release},        {1, restart},  {3, elapse},        {3, expire},     {3, list_dead},
         {3, requeue},        {2, discard},  {3, replay},        {1, purge_dead}, {6, figures},
         {1, purge_published}});
    // Otherwise the first sequences, which are short, would have small numbers alone.
    auto const below = [](int end) {
        return rc::gen::resize(rc::kNominalSize, rc::gen::inRange(0, end));
    };
    return rc::gen::apply(
        [](verb chosen, int who, int first, int second, int third) {
            return command{chosen, who, {first, second, third}};
        },
        what, below(3), below(12), below(12), below(12));
}

/// Where the storage and the reference part.
struct difference {
    std::string words{};
};

template <class Value>
std::string words_of(Value const& value) {
    std::ostringstream words;
    if constexpr (requires { value.begin(); } && !std::is_convertible_v<Value, std::string_view>) {
        char const* between = "";
        for (auto const& one : value) {
            words << between << words_of(one);
            between = " ";
        }
    } else {
        words << value;
    }
    return words.str();
}
template <class Said, class Expected>
void same(std::string_view what, Said const& said, Expected const& expected) {
    if (said == expected) return;
    throw difference{std::string{what} + ": the storage says [" + words_of(said) +
                     "], the reference [" + words_of(expected) + "]"};
}
inline void require(std::string_view what, bool holds) {
    if (!holds) throw difference{std::string{what}};
}
/// Real storages take real time, which is short beside every duration of a story.
inline void near(std::string_view what, outbox::duration said, outbox::duration expected) {
    auto const apart = said > expected ? said - expected : expected - said;
    if (apart < 10min) return;
    same(what, std::chrono::duration_cast<std::chrono::seconds>(said).count(),
         std::chrono::duration_cast<std::chrono::seconds>(expected).count());
}

}  // namespace outbox::testing::laws
