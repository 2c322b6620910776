// What an event costs in user space: the whole relay step, from the completion that brought its
// bytes to the description of its send, and the send's completion, with the real loop, connections,
// parser, framer, stream and pool, on a kernel made of memory (perf/memory_kernel.h). Each timed
// turn finds one 220-byte event, a chunk of its own, on so many of the open streams, and the sends
// of the turn before. The kernel's share is what perf/compare measures and bench_relay_tcp shows.
// For comparison: seed 003, which has no upstream, took 141 ns and 1 allocation for an event.
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>

#include "perf/allocations.h"
#include "perf/memory_kernel.h"
#include "perf/relay_rig.h"

namespace sluice::perf {
namespace {

constexpr size_t kEventBytes = 220;

std::string chunk_of(const std::string& event) {
  std::array<char, 16> size_line{};
  std::snprintf(size_line.data(), size_line.size(), "%zx\r\n", event.size());
  return size_line.data() + event + "\r\n";
}

// A chunk of OpenAI's, 244 bytes.
std::string delta() {
  return R"(data: {"id":"chatcmpl-AbCdEfGhIjKlMnOpQrStUvWx","object":"chat.completion.chunk",)"
         R"("created":1732000000,"model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,"delta":)"
         R"({"content":" streaming"},"logprobs":null,"finish_reason":null}],"usage":null})"
         "\n\n";
}

// The event in its chunk, as an upstream writes it.
std::string chunk_of_event(size_t event_bytes, const std::string& id = "") {
  std::array<char, 16> size_line{};
  std::snprintf(size_line.data(), size_line.size(), "%zx\r\n", event_bytes);
  std::string event = id + "data: ";
  event.resize(event_bytes - 2, 'x');
  return size_line.data() + event + "\n\n\r\n";
}

// Each event has another id: a number, as many as there are until they repeat themselves.
std::vector<std::string> chunks_with_ids(size_t event_bytes) {
  std::vector<std::string> chunks;
  for (int i = 100'000; i < 110'000; ++i)
    chunks.push_back(chunk_of_event(event_bytes, "id: " + std::to_string(i) + "\n"));
  return chunks;
}

// `open` opens one stream.
template <typename Open>
void relay_of(benchmark::State& state, Config config, const std::vector<std::string>& chunks,
              Open open) {
  using Clock = std::chrono::steady_clock;
  const auto streams = static_cast<size_t>(state.range(0));
  const auto events_a_turn = static_cast<size_t>(state.range(1));
  Relay relay(std::move(config));
  while (relay.upstreams().size() < streams) open(relay);
  size_t next = 0;
  size_t sent = 0;
  auto turn = [&] {
    for (size_t i = 0; i < events_a_turn; ++i) {
      arrive(relay.upstreams()[next], chunks[sent++ / streams % chunks.size()]);
      // 7 is prime to all the numbers of streams: neighbours in memory are no neighbours in time.
      next = (next + 7) % streams;
    }
    auto before = Clock::now();
    relay.loop().turn(false);
    return Clock::now() - before;
  };
  // What grows on first use has grown.
  for (size_t i = 0; i < 4 * streams / events_a_turn + 100; ++i) turn();

  uint64_t events = relay.events();
  const uint64_t bytes = relay.bytes_to_clients();
  uint64_t allocations = allocations_of_this_thread();
  Clock::duration spent{};
  for (auto _ : state) {
    Clock::duration one = turn();
    state.SetIterationTime(std::chrono::duration<double>(one).count());
    spent += one;
  }
  allocations = allocations_of_this_thread() - allocations;
  events = relay.events() - events;
  if (events != static_cast<uint64_t>(state.iterations()) * events_a_turn ||
      relay.bytes_to_clients() - bytes < events * kEventBytes) {
    state.SkipWithError("events were lost");
  }
  const double count = static_cast<double>(events);
  state.counters["ns_per_event"] = std::chrono::duration<double, std::nano>(spent).count() / count;
  state.counters["allocs_per_event"] = static_cast<double>(allocations) / count;
}

void relay_of(benchmark::State& state, Heal heal, const std::vector<std::string>& chunks) {
  relay_of(state, to_one_upstream(heal), chunks,
           [](Relay& relay) { relay.open_stream("/events"); });
}

void relay(benchmark::State& state) {
  relay_of(state, Heal::kOff, {chunk_of_event(kEventBytes)});
}
void relay_ids(benchmark::State& state) {
  relay_of(state, Heal::kOff, chunks_with_ids(kEventBytes));
}
void relay_ids_healed(benchmark::State& state) {
  relay_of(state, Heal::kOn, chunks_with_ids(kEventBytes));
}
// An event without one is looked at in vain.
void relay_healed(benchmark::State& state) {
  relay_of(state, Heal::kOn, {chunk_of_event(kEventBytes)});
}

// Chats, whose events are deltas: passed on as they come, looked at for their dialect (which is
// what happens unless a route says otherwise), and counted as well.
void relay_chats(benchmark::State& state, DialectChoice dialect, bool usage) {
  Config config = to_one_upstream();
  config.routes[0].settings.dialect = dialect;
  config.routes[0].settings.usage = usage;
  relay_of(state, std::move(config), {chunk_of(delta())}, [](Relay& relay) { relay.open_chat(); });
}
void relay_chat(benchmark::State& state) {
  relay_chats(state, DialectChoice::kNone, false);
}
void relay_chat_dialect(benchmark::State& state) {
  relay_chats(state, DialectChoice::kAuto, false);
}
void relay_chat_usage(benchmark::State& state) {
  relay_chats(state, DialectChoice::kAuto, true);
}

// The same chats, passed on as they come but for one filter.
void relay_filtered(benchmark::State& state, FilterRule rule) {
  Config config = to_one_upstream();
  Route& route = config.routes[0];
  route.settings.dialect = DialectChoice::kNone;
  rule.name = "bench";
  config.filters.push_back(std::move(rule));
  std::string wrong;
  route.filters = std::make_shared<Filters>(
      config.filters, std::vector<const FilterRule*>{&config.filters[0]}, 1, wrong);
  relay_of(state, std::move(config), {chunk_of(delta())}, [](Relay& relay) { relay.open_chat(); });
}
void relay_filtered(benchmark::State& state, FilterAction action) {
  FilterRule rule;
  rule.actions.push_back(std::move(action));
  relay_filtered(state, std::move(rule));
}
void relay_scripted(benchmark::State& state, const char* body) {
  FilterRule rule;
  rule.script = "bench.lua";
  rule.code = std::string("function on_event(event)\n") + body + "\nend";
  relay_filtered(state, std::move(rule));
}
// It does not match.
void relay_chat_type(benchmark::State& state) {
  FilterRule rule;
  rule.events = {"ping"};
  rule.actions.push_back({FilterAction::Kind::kDrop, {}, "", "", {}, ""});
  relay_filtered(state, std::move(rule));
}
void relay_chat_set(benchmark::State& state) {
  relay_filtered(state, {FilterAction::Kind::kSet, "/model", "\"ours\"", "", {}, ""});
}
void relay_chat_redact(benchmark::State& state) {
  relay_filtered(state,
                 {FilterAction::Kind::kRedact, std::nullopt, "[\\w.]+@[\\w.]+", "[mail]", {}, ""});
}
void relay_chat_lua(benchmark::State& state) {
  relay_scripted(state, "local data = event.data");
}
void relay_chat_lua_set(benchmark::State& state) {
  relay_scripted(state, "event.data = event.data .. ' '");
}

// Streams x events a turn: alone; a busy worker's turns, with everything in the cache and not. No
// turn has more than the slots that the kernel holds at first (limits::kRingSlotsMin).
void one_size(::benchmark::internal::Benchmark* filter) {
  filter->ArgNames({"streams", "events_a_turn"})->Args({64, 32})->UseManualTime();
}

BENCHMARK(relay)
    ->ArgNames({"streams", "events_a_turn"})
    ->ArgsProduct({{1}, {1}})
    ->ArgsProduct({{64, 1000, 8000}, {1, 8, 32}})
    ->UseManualTime();
BENCHMARK(relay_ids)
    ->ArgNames({"streams", "events_a_turn"})
    ->ArgsProduct({{64, 1000}, {32}})
    ->UseManualTime();
BENCHMARK(relay_ids_healed)
    ->ArgNames({"streams", "events_a_turn"})
    ->ArgsProduct({{64, 1000}, {32}})
    ->UseManualTime();
BENCHMARK(relay_healed)
    ->ArgNames({"streams", "events_a_turn"})
    ->ArgsProduct({{64, 1000}, {32}})
    ->UseManualTime();
BENCHMARK(relay_chat)
    ->ArgNames({"streams", "events_a_turn"})
    ->ArgsProduct({{64, 1000}, {32}})
    ->UseManualTime();
BENCHMARK(relay_chat_dialect)
    ->ArgNames({"streams", "events_a_turn"})
    ->ArgsProduct({{64, 1000}, {32}})
    ->UseManualTime();
BENCHMARK(relay_chat_usage)
    ->ArgNames({"streams", "events_a_turn"})
    ->ArgsProduct({{64, 1000}, {32}})
    ->UseManualTime();
BENCHMARK(relay_chat_type)->Apply(one_size);
BENCHMARK(relay_chat_set)->Apply(one_size);
BENCHMARK(relay_chat_redact)->Apply(one_size);
BENCHMARK(relay_chat_lua)->Apply(one_size);
BENCHMARK(relay_chat_lua_set)->Apply(one_size);

}  // namespace
}  // namespace sluice::perf
