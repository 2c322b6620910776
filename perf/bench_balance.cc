// What the choice of an upstream costs a request: by method, size of the group, and workers whose
// counts it adds up. Here nobody else writes them; where others do, each line read is one that
// another core may just have changed.
#include <cstdint>
#include <vector>

#include <benchmark/benchmark.h>

#include "core/text.h"
#include "net/upstream/balance.h"

namespace sluice::perf {
namespace {

void choose(benchmark::State& state, Balance::Method method) {
  auto upstreams = static_cast<uint32_t>(state.range(0));
  auto workers = static_cast<unsigned>(state.range(1));
  Route route;
  route.settings.balance.method = method;
  route.upstreams.resize(upstreams);
  UpstreamBoard board;
  board.reserve(upstreams);
  std::vector<Candidate> candidates;
  for (uint32_t i = 0; i < upstreams; ++i) {
    candidates.push_back({.index = i, .id = i, .weight = 1, .url_hash = mix(i)});
    for (unsigned worker = 0; worker < workers; ++worker) board.attempt_begun(worker, i);
  }
  Balancer balancer(0);
  uint64_t key = 0;
  for (auto _ : state) {
    uint32_t id = balancer.pick(route, candidates, mix(++key), board).id;
    board.attempt_begun(0, id);
    board.attempt_ended(0, id);
  }
}

void shapes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"upstreams", "workers"});
  for (int64_t upstreams : {2, 8, 64})
    for (int64_t workers : {1, 8, 64}) benchmark->Args({upstreams, workers});
}

BENCHMARK_CAPTURE(choose, least, Balance::Method::kLeast)->Apply(shapes);
BENCHMARK_CAPTURE(choose, round_robin, Balance::Method::kRoundRobin)->Apply(shapes);
BENCHMARK_CAPTURE(choose, random_two, Balance::Method::kRandomTwo)->Apply(shapes);
BENCHMARK_CAPTURE(choose, hash, Balance::Method::kHash)->Apply(shapes);

}  // namespace
}  // namespace sluice::perf
