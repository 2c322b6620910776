// What a configuration of many routes costs: finding a request's route among them, and a reload
// under a live stream on each, from the message to the end of the turn that has switched to it.
#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "core/clock.h"
#include "net/config/snapshot.h"
#include "perf/relay_rig.h"

namespace sluice::perf {
namespace {

// Routes "/tenant-N/v1", each with an upstream of its own, and a default route. Every tenth of them
// is another one in every other generation.
Config with_routes(size_t count, size_t generation) {
  Config config = to_one_upstream();
  for (size_t i = 0; i < count; ++i) {
    size_t number = i % 10 == 0 ? i + generation % 2 * count : i;
    std::string error;
    std::string authority = "127.0.0.1:" + std::to_string(1000 + number);
    Route route{
        .path = "/tenant-" + std::to_string(number) + "/v1", .upstreams = {}, .settings = {}};
    route.upstreams.push_back(
        {"http://" + authority, authority, *parse_address(authority, &error)});
    config.routes.push_back(std::move(route));
  }
  return config;
}

void find_route(benchmark::State& state) {
  auto count = static_cast<size_t>(state.range(0));
  ConfigSnapshot snapshot(with_routes(count, 0));
  std::vector<std::string> targets;
  for (const Route& route : snapshot.routes())
    targets.push_back(route.path + "/chat/completions?x=1");
  std::shuffle(targets.begin(), targets.end(), std::mt19937(1));
  size_t next = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(snapshot.find_route(targets[next]));
    next = next + 1 == targets.size() ? 0 : next + 1;
  }
}
BENCHMARK(find_route)->Arg(1)->Arg(10)->Arg(100)->Arg(1000)->Arg(10'000);

// The slowest of all counts, so each is shown as well as their mean.
void reload(benchmark::State& state) {
  auto count = static_cast<size_t>(state.range(0));
  Relay relay(with_routes(count, 0));
  for (const Route& route : relay.snapshot()->routes()) relay.open_stream(route.path + "/events");
  std::shared_ptr<const ConfigSnapshot> running = relay.snapshot();
  size_t generation = 0;
  double longest_ms = 0;
  for (auto _ : state) {
    auto next = std::make_shared<ConfigSnapshot>(with_routes(count, ++generation), running.get());
    running = next;
    bool switched = false;
    uint64_t before_ns = thread_cpu_ns();
    relay.gateway().reload(std::move(next), {}, [&switched] { switched = true; });
    relay.loop().turn(false);
    double spent_s = static_cast<double>(thread_cpu_ns() - before_ns) / 1e9;
    if (!switched) state.SkipWithError("it did not switch");
    state.SetIterationTime(spent_s);
    longest_ms = std::max(longest_ms, spent_s * 1e3);
  }
  state.counters["longest_ms"] = longest_ms;
}
BENCHMARK(reload)
    ->Arg(1)
    ->Arg(1000)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond)
    ->Iterations(500);

}  // namespace
}  // namespace sluice::perf
