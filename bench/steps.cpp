// SPDX-License-Identifier: MIT
//
// What every message passes through in our own code, step by step: nanoseconds, by Google
// benchmark.
#include <benchmark/benchmark.h>

#include <string>
#include <string_view>

#include "outbox/broker/nats_validation.hpp"
#include "outbox/headers.hpp"
#include "outbox/message_id.hpp"
#include "outbox/validation.hpp"

namespace {

struct nats_grammar {
    static std::optional<outbox::problem> check_topic(std::string_view topic) {
        return outbox::nats_rules::check_topic(topic);
    }
    static std::optional<outbox::problem> check_header(std::string_view name,
                                                       std::string_view value) {
        return outbox::nats_rules::check_header(name, value);
    }
};

constexpr std::string_view traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

std::string two_headers() {
    std::string encoded;
    outbox::append_header(encoded, "Content-Type", "application/json");
    outbox::append_header(encoded, "traceparent", traceparent);
    return encoded;
}

void make_an_id(benchmark::State& state) {
    outbox::message_id_generator ids{1};
    for (auto _ : state) benchmark::DoNotOptimize(ids.next(1'700'000'000'000));
}
BENCHMARK(make_an_id);

void write_and_read_an_id(benchmark::State& state) {
    auto const id = outbox::message_id_generator{1}.next(1'700'000'000'000);
    for (auto _ : state) {
        benchmark::DoNotOptimize(outbox::parse_message_id(outbox::to_string(id)));
    }
}
BENCHMARK(write_and_read_an_id);

void encode_two_headers(benchmark::State& state) {
    for (auto _ : state) benchmark::DoNotOptimize(two_headers());
}
BENCHMARK(encode_two_headers);

void check_a_message(benchmark::State& state, std::string const& headers) {
    std::string const payload(256, 'x');
    outbox::options const limits{};
    for (auto _ : state) {
        benchmark::DoNotOptimize(outbox::check_message<nats_grammar>("order.created", "customer-17",
                                                                     headers, payload, limits));
    }
}
BENCHMARK_CAPTURE(check_a_message, plain, std::string{});
BENCHMARK_CAPTURE(check_a_message, two_headers, two_headers());

}  // namespace

BENCHMARK_MAIN();
