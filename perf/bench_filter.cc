// What a filter costs an event, by what it does; it comes on top of the framer and of walking the
// events of a run (bench_fields). The event is a chunk of OpenAI's, with 217 bytes of JSON.
// ns_per_event is the figure to watch.
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <benchmark/benchmark.h>

#include "core/clock.h"
#include "net/filter/filters.h"

namespace sluice {
namespace {

using Kind = FilterAction::Kind;

std::string delta() {
  std::string json =
      R"({"id":"chatcmpl-AbCdEfGhIjKlMnOpQrStUvWx","object":"chat.completion.chunk","created":1732000000,)"
      R"("model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,"delta":{"content":" streaming"},)"
      R"("logprobs":null,"finish_reason":null}]})";
  return "data: " + json + "\n\n";
}

FilterAction action(Kind kind, std::optional<std::string> pointer, std::string text,
                    std::string with = "") {
  return {kind, std::move(pointer), std::move(text), std::move(with), {}, ""};
}

void run(benchmark::State& state, FilterRule rule) {
  std::vector<FilterRule> rules = {std::move(rule)};
  std::string wrong;
  Filters filters(rules, {&rules.front()}, 1, wrong);
  FilterBench bench(0, 65536, thread_cpu_ns);
  bench.rules = rules;
  std::string text = delta();
  std::string padded = text + std::string(JsonCheck::kPadding, ' ');
  std::string_view event = std::string_view(padded).substr(0, text.size());
  uint64_t bytes = 0;
  for (auto _ : state) {
    Filters::Result result =
        filters.run(bench, filters.choose_all(), event, false, /*padded=*/true, OnUnseen::kPass);
    bytes += result.changed ? result.text.size() : event.size();
  }
  benchmark::DoNotOptimize(bytes);
  state.counters["ns_per_event"] =
      benchmark::Counter(static_cast<double>(state.iterations()) / 1e9,
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void type_match(benchmark::State& state) {
  FilterRule rule;
  rule.events = {"ping"};
  rule.actions = {action(Kind::kDrop, {}, "")};
  run(state, std::move(rule));
}
BENCHMARK(type_match);

void excluded_by_name(benchmark::State& state) {
  FilterRule rule;
  rule.actions = {action(Kind::kRemove, "/usage", "")};
  run(state, std::move(rule));
}
BENCHMARK(excluded_by_name);

void json_equals(benchmark::State& state) {
  FilterRule rule;
  rule.json = {{"/choices/0/finish_reason", FilterTest::Kind::kEquals, "\"stop\"", ""}};
  rule.actions = {action(Kind::kDrop, {}, "")};
  run(state, std::move(rule));
}
BENCHMARK(json_equals);

void json_set(benchmark::State& state) {
  FilterRule rule;
  rule.actions = {action(Kind::kSet, "/model", "\"ours\"")};
  run(state, std::move(rule));
}
BENCHMARK(json_set);

void redact_one_place(benchmark::State& state) {
  FilterRule rule;
  rule.actions = {action(Kind::kRedact, "/choices/0/delta/content", "[\\w.]+@[\\w.]+", "[mail]")};
  run(state, std::move(rule));
}
BENCHMARK(redact_one_place);

void redact_all_strings(benchmark::State& state) {
  FilterRule rule;
  rule.actions = {action(Kind::kRedact, {}, "[\\w.]+@[\\w.]+", "[mail]")};
  run(state, std::move(rule));
}
BENCHMARK(redact_all_strings);

void redact_with_matches(benchmark::State& state) {
  FilterRule rule;
  rule.actions = {action(Kind::kRedact, {}, "stream\\w+", "[x]")};
  run(state, std::move(rule));
}
BENCHMARK(redact_with_matches);

}  // namespace
}  // namespace sluice
