// SPDX-License-Identifier: MIT
//
// What the policies cost, in instructions: the memory doubles through the outbox beside a plain
// loop over the same concrete types. Valgrind counts them, the same number every time, in a program
// of its own (bench/doubles.cpp).
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>

#include "goals/goal.hpp"
#include "support/process.hpp"

namespace bench::goals {

namespace {

constexpr int batch = 100;  // messages a round of the program
constexpr int few = 50;
constexpr int many = 150;

double instructions(std::string const& what, std::string const& way, int rounds) {
    auto const command = "valgrind --tool=callgrind --callgrind-out-file=/dev/null '" +
                         (support::program_folder() / "doubles").string() + "' " + what + ' ' +
                         way + ' ' + std::to_string(rounds) + " 2>&1";
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> said{::popen(command.c_str(), "r"), ::pclose};
    std::string all;
    for (int c = 0; said && (c = std::fgetc(said.get())) != EOF;) all += static_cast<char>(c);
    std::string const word{"Collected : "};
    auto const at = all.find(word);
    if (!said || ::pclose(said.release()) != 0 || at == std::string::npos)
        throw std::runtime_error{command + " failed:\n" + all};
    return std::stod(all.substr(at + word.size()));
}

/// The difference of two runs leaves out what comes before the first message and after the last.
double a_message(std::string const& what, std::string const& way) {
    return (instructions(what, way, many) - instructions(what, way, few)) / (many - few) / batch;
}

/// A round of `deliver` has enqueued first.
figures counted(std::string const& way) {
    auto const enqueue = a_message("enqueue", way);
    auto const both = a_message("deliver", way);
    return {{"doubles " + way, both},
            {"doubles " + way + ", enqueue", enqueue},
            {"doubles " + way + ", deliver", both - enqueue}};
}

}  // namespace

family doubles_family() {
    family all{.name = "doubles"};
    using enum goal::kind;
    all.goals = {
        {"doubles", "instructions a message, memory doubles, against a plain loop",
         "doubles outbox", "doubles hand", at_most, 1.05},
        {"doubles_enqueue", "of it, to enqueue", "doubles outbox, enqueue", "doubles hand, enqueue",
         shown, 0},
        {"doubles_deliver", "of it, to deliver", "doubles outbox, deliver", "doubles hand, deliver",
         shown, 0},
        {"doubles_bare", "against a loop with neither checks nor order", "doubles outbox",
         "doubles bare", shown, 0},
    };
    for (std::string const way : {"bare", "hand", "outbox"})
        all.measurements.push_back({"doubles " + way, [=] { return counted(way); }, true});
    return all;
}

}  // namespace bench::goals
