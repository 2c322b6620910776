// What a script costs an event, by what it does, as bench_filter has it for rules and with the same
// event. ns_per_event is the figure to watch; it includes the collection of garbage, which a
// gateway does at the end of each turn, here after 16 events. lua_allocations are blocks that Lua
// asks for, per event.
#include <string>
#include <string_view>
#include <vector>

#include <benchmark/benchmark.h>

#include "core/clock.h"
#include "net/filter/filters.h"
#include "net/script/script_state.h"

namespace sluice {
namespace {

constexpr unsigned kEventsATurn = 16;

class OneStream final : public StreamScripts {
 public:
  explicit OneStream(ScriptState& state) : state_(state) { state_.open(0, {}, own_); }

  Result on_event(size_t place, FilterBench& bench) override {
    return state_.on_event(place, own_, bench);
  }
  void on_end(std::string_view /*ending*/) override {}

 private:
  ScriptState& state_;
  int own_ = 0;
};

std::string delta() {
  std::string json =
      R"({"id":"chatcmpl-AbCdEfGhIjKlMnOpQrStUvWx","object":"chat.completion.chunk","created":1732000000,)"
      R"("model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,"delta":{"content":" streaming"},)"
      R"("logprobs":null,"finish_reason":null}]})";
  return "data: " + json + "\n\n";
}

void run(benchmark::State& state, std::string_view body) {
  Config config;
  config.filters.push_back({.name = "bench", .where = ""});
  config.filters.front().script = "bench.lua";
  config.filters.front().code = "function on_event(event, mine)\n" + std::string(body) + "\nend";
  std::string wrong;
  Filters filters(config.filters, {&config.filters.front()}, 1, wrong);
  SilentScriptHost host;
  ScriptState scripts(config, 1, host);
  OneStream stream(scripts);
  FilterBench bench(0, 65536, thread_cpu_ns);
  bench.rules = config.filters;
  bench.scripts = &stream;
  std::string text = delta();
  std::string padded = text + std::string(JsonCheck::kPadding, ' ');
  std::string_view event = std::string_view(padded).substr(0, text.size());
  char* id = padded.data() + padded.find("AbCdEfGh");
  uint64_t bytes = 0;
  unsigned events = 0;
  uint64_t allocations = scripts.allocations();
  for (auto _ : state) {
    // No event is like another, or Lua would have its text already.
    for (unsigned i = 0; i < 8; ++i) id[i] = static_cast<char>('A' + (events >> (4 * i)) % 16);
    Filters::Result result =
        filters.run(bench, filters.choose_all(), event, false, /*padded=*/true, OnUnseen::kPass);
    bytes += result.changed ? result.text.size() : event.size();
    if (++events % kEventsATurn == 0) scripts.collect();
    if (result.failure != ScriptFailure::kNone) state.SkipWithError("the script has failed");
  }
  benchmark::DoNotOptimize(bytes);
  auto count = static_cast<double>(state.iterations());
  state.counters["ns_per_event"] =
      benchmark::Counter(count / 1e9, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
  state.counters["lua_allocations"] =
      static_cast<double>(scripts.allocations() - allocations) / count;
  state.counters["state_bytes"] = static_cast<double>(scripts.memory_bytes());
}

void identity_by_type(benchmark::State& state) {
  run(state, "if event.type == 'ping' then event:drop() end");
}
BENCHMARK(identity_by_type);

void identity_of_data(benchmark::State& state) {
  run(state, "local data = event.data");
}
BENCHMARK(identity_of_data);

void set_data(benchmark::State& state) {
  run(state, "event.data = event.data .. ' '");
}
BENCHMARK(set_data);

void json_get(benchmark::State& state) {
  run(state, "local content = json.get(event.data, '/choices/0/delta/content')");
}
BENCHMARK(json_get);

void json_set(benchmark::State& state) {
  run(state, "event.data = json.set(event.data, '/model', 'ours')");
}
BENCHMARK(json_set);

void redact(benchmark::State& state) {
  run(state, "event.data = re.gsub(event.data, '[\\\\w.]+@[\\\\w.]+', '[mail]')");
}
BENCHMARK(redact);

void count_by_label(benchmark::State& state) {
  run(state, "count('events', 'user')");
}
BENCHMARK(count_by_label);

}  // namespace
}  // namespace sluice
