// What a hub costs in user space: a publisher's request, from the completion that brought it to its
// answer, and each delivery, down to the description of its send and that send's completion. Real
// loop, connections, parser, hub and streams, on a kernel made of memory (perf/memory_kernel.h).
// One request with so many events of 220 bytes is timed from its arrival until all has left and the
// next one could come. What publishing costs without a reader is measured first and taken off, so
// that the rest is the deliveries' own. Of what leaves compressed `ratio` is bytes out per byte in;
// its events are a language model's deltas, and a form that is made once is a part of the
// deliveries. For comparison: a poke of seed 003 took 141 ns and 1 allocation, from its event to a
// channel of one subscriber, without a request, a socket or a history.
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>

#include "core/clock.h"
#include "perf/allocations.h"
#include "perf/memory_kernel.h"
#include "perf/relay_rig.h"

namespace sluice::perf {
namespace {

constexpr size_t kDataBytes = 212;  // 220 with "data: " and the blank line
constexpr size_t kStreams = 100;
constexpr uint64_t kHistoryEvents = 1000;  // so each event that comes evicts one
constexpr unsigned kBareRequests = 2000;

Config to_a_hub() {
  Route route{.path = "/hub",
              .upstreams = {{.url = "hub:main", .host = "main", .address = {}}},
              .settings = {}};
  route.hub = "main";
  route.settings.heal = Heal::kOff;
  route.settings.dialect = DialectChoice::kNone;
  route.settings.hub_history_events = kHistoryEvents;
  route.settings.compress = {ContentCoding::kGzip, ContentCoding::kZstd, ContentCoding::kBrotli};
  Config config;
  config.routes.push_back(std::move(route));
  return config;
}

std::string request_of(size_t stream, std::string_view body) {
  std::string request = "POST /hub/streams/account-" + std::to_string(stream) +
                        " HTTP/1.1\r\nhost: bench\r\ncontent-type: application/x-ndjson\r\n"
                        "content-length: " +
                        std::to_string(body.size()) + "\r\n\r\n";
  return request.append(body);
}

// Requests to publish, each to another stream.
std::vector<std::string> publishes(size_t events) {
  std::string event = R"({"type":"Deposited","data":")";
  event.append(kDataBytes - 2, 'x') += "\"}\n";
  std::string body;
  for (size_t i = 0; i < events; ++i) body += event;
  std::vector<std::string> requests;
  for (size_t i = 0; i < kStreams; ++i) requests.push_back(request_of(i, body));
  return requests;
}

// Chunks of OpenAI's, 217 bytes of JSON but for the word, all to one stream.
std::vector<std::string> deltas(size_t events) {
  std::vector<std::string> requests;
  for (size_t i = 0; i < 1000;) {
    std::string body;
    for (size_t end = i + events; i < end; ++i)
      body +=
          R"({"data":{"id":"chatcmpl-AbCdEfGhIjKlMnOpQrStUvWx","object":"chat.completion.chunk",)"
          R"("created":1732000000,"model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,)"
          R"("delta":{"content":" word)" +
          std::to_string(i * 7919 % 1000) + R"("},"logprobs":null,"finish_reason":null}]}})" + '\n';
    requests.push_back(request_of(0, body));
  }
  return requests;
}

struct Cost {
  uint64_t ns = 0;  // of the thread's time, so that a neighbour disturbs it less
  uint64_t allocations = 0;
};

class HubRig {
 public:
  explicit HubRig(std::vector<std::string> requests) : requests_(std::move(requests)) {}

  void subscribe(const std::string& target, ContentCoding coding) {
    arrive(relay_.connect(), "GET /hub/" + target +
                                 " HTTP/1.1\r\nhost: bench\r\naccept: text/event-stream\r\n"
                                 "accept-encoding: " +
                                 std::string(coding_name(coding)) + "\r\n\r\n");
    relay_.loop().turn(false);
    relay_.loop().turn(false);
  }
  // One request, and what follows from it.
  Cost publish() {
    arrive(publisher_, requests_[next_++ % requests_.size()]);
    Cost cost{.allocations = allocations_of_this_thread()};
    uint64_t before_ns = thread_cpu_ns();
    relay_.loop().turn(false);
    relay_.turn_until_receiving(publisher_);
    relay_.loop().turn(false);  // and knows that its sends have left
    cost.ns = thread_cpu_ns() - before_ns;
    cost.allocations = allocations_of_this_thread() - cost.allocations;
    return cost;
  }
  uint64_t delivered() { return relay_.events(); }
  EncodingCounts encoded(ContentCoding coding) {
    WorkerSnapshot now;
    relay_.gateway().snapshot(now);
    return now.metrics.encoding.of(coding);
  }

 private:
  Relay relay_{to_a_hub()};
  int publisher_ = relay_.connect();
  std::vector<std::string> requests_;
  size_t next_ = 0;
};

void deliver(benchmark::State& state, const std::string& target,
             std::vector<std::string> (*requests_of)(size_t) = publishes,
             ContentCoding coding = ContentCoding::kIdentity) {
  auto readers = static_cast<size_t>(state.range(0));
  auto events_a_request = static_cast<size_t>(state.range(1));
  HubRig rig(requests_of(events_a_request));
  Cost bare;
  for (unsigned i = 0; i < 2 * kBareRequests; ++i) {
    Cost one = rig.publish();
    if (i < kBareRequests) continue;  // what grows on first use has grown
    bare.ns += one.ns;
    bare.allocations += one.allocations;
  }
  for (size_t i = 0; i < readers; ++i) rig.subscribe(target, coding);
  for (unsigned i = 0; i < 100; ++i) rig.publish();

  uint64_t deliveries = rig.delivered();
  EncodingCounts before = rig.encoded(coding);
  Cost all;
  for (auto _ : state) {
    Cost one = rig.publish();
    state.SetIterationTime(static_cast<double>(one.ns) / 1e9);
    all.ns += one.ns;
    all.allocations += one.allocations;
  }
  deliveries = rig.delivered() - deliveries;
  auto requests = static_cast<double>(state.iterations());
  auto events = requests * static_cast<double>(events_a_request);
  double share = requests / kBareRequests;
  state.counters["ns_per_event"] = static_cast<double>(all.ns) / events;
  state.counters["allocs_per_event"] = static_cast<double>(all.allocations) / events;
  if (readers == 0) return;
  bool shared = target.find("size=") != std::string::npos;  // by the members of a group
  if (!shared && static_cast<double>(deliveries) != events * static_cast<double>(readers))
    state.SkipWithError("events were lost");
  EncodingCounts encoded = rig.encoded(coding);
  if (coding != ContentCoding::kIdentity)
    state.counters["ratio"] = static_cast<double>(encoded.packed_bytes - before.packed_bytes) /
                              static_cast<double>(encoded.plain_bytes - before.plain_bytes);
  auto count = static_cast<double>(deliveries);
  state.counters["ns_per_delivery"] =
      (static_cast<double>(all.ns) - share * static_cast<double>(bare.ns)) / count;
  state.counters["allocs_per_delivery"] =
      (static_cast<double>(all.allocations) - share * static_cast<double>(bare.allocations)) /
      count;
}

void poke(benchmark::State& state) {
  deliver(state, "categories/account?mode=poke");
}
void poke_of_a_group(benchmark::State& state) {
  deliver(state, "categories/account?mode=poke&member=1&size=8");
}
void message(benchmark::State& state) {
  deliver(state, "categories/account");
}
void delta(benchmark::State& state, ContentCoding coding) {
  deliver(state, "streams/account-0", deltas, coding);
}

// Readers x events of one request.
BENCHMARK(poke)
    ->ArgNames({"readers", "events"})
    ->ArgsProduct({{0, 1, 100, 1000}, {1, 8}})
    ->UseManualTime();
BENCHMARK(poke_of_a_group)
    ->ArgNames({"readers", "events"})
    ->ArgsProduct({{100}, {1, 8}})
    ->UseManualTime();
BENCHMARK(message)
    ->ArgNames({"readers", "events"})
    ->ArgsProduct({{1, 100, 1000}, {1, 8}})
    ->UseManualTime();

void readers_and_events(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"readers", "events"})
      ->ArgsProduct({{1, 100, 1000}, {1, 8}})
      ->UseManualTime();
}
BENCHMARK_CAPTURE(delta, plain, ContentCoding::kIdentity)->Apply(readers_and_events);
BENCHMARK_CAPTURE(delta, gzip, ContentCoding::kGzip)->Apply(readers_and_events);
BENCHMARK_CAPTURE(delta, zstd, ContentCoding::kZstd)->Apply(readers_and_events);

}  // namespace
}  // namespace sluice::perf
