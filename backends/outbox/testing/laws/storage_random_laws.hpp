// SPDX-License-Identifier: MIT
//
// Random sequences of commands, told to a storage and to the reference, which must agree after each
// of them. A sequence that fails is cut down to a short one and told as a story, one command a
// line. RC_PARAMS="max_success=N" runs another number of them, "seed=N" tells the same ones again.
#pragma once

#include "outbox/testing/laws/storage_story.hpp"

namespace outbox::testing::laws {

/// Nothing when the storage and the reference agree from the first command to the last.
template <class Model>
std::optional<std::string> parted(std::vector<command> const& commands, bool block) {
    story<Model> one{block};
    try {
        for (auto const& next : commands) one.tell(next);
        one.end();
    } catch (difference const& here) {
        return one.words() + here.words;
    } catch (outbox::error const& failure) {
        return one.words() + "it threw: " + failure.what();
    }
    return std::nullopt;
}

}  // namespace outbox::testing::laws

namespace {

TEST_CASE("storage: a random sequence of commands does what the reference says") {
    auto parameters = rc::detail::configuration().testParams;
    if (parameters.maxSuccess == rc::detail::TestParams{}.maxSuccess) {
        parameters.maxSuccess = model::random_sequences;
    }
    parameters.maxSize = 100;
    std::string shortest;
    auto const result = rc::detail::checkTestable(
        [&] {
            bool const block = *rc::gen::arbitrary<bool>();
            auto const commands =
                *rc::gen::container<std::vector<laws::command>>(laws::any_command());
            if (auto told = laws::parted<model>(commands, block)) {
                shortest = std::move(*told);
                RC_FAIL("they part");
            }
        },
        rc::detail::TestMetadata{}, parameters);
    if (result.is<rc::detail::SuccessResult>()) {
        CHECK(result.get<rc::detail::SuccessResult>().numSuccess == parameters.maxSuccess);
        return;
    }
    std::ostringstream why;
    if (result.is<rc::detail::FailureResult>()) {
        why << "after " << result.get<rc::detail::FailureResult>().numSuccess
            << " sequences that went well:\n\n"
            << shortest << "\n";
    } else {
        rc::detail::printResultMessage(result, why);
    }
    FAIL(why.str() << "\nagain by RC_PARAMS=\"seed=" << parameters.seed
                   << " max_success=" << parameters.maxSuccess << '"');
}

}  // namespace
