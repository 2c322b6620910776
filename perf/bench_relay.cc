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
#include <vector>

#include <benchmark/benchmark.h>

#include "core/check.h"
#include "core/log.h"
#include "net/gateway/gateway.h"
#include "perf/allocations.h"
#include "perf/memory_kernel.h"
#include "pool/chain.h"

namespace sluice::perf {
namespace {

// What a worker makes for itself (net/gateway/worker.cc), and open event streams.
class Relay {
 public:
  explicit Relay(size_t streams) {
    while (upstreams_.size() < streams) open_stream();
  }
  ~Relay() {
    gateway_.abort_all();
    while (loop_.operations() > 0) loop_.turn(false);
  }
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  // Our ends of the connections that events come in on.
  const std::vector<int>& upstreams() const { return upstreams_; }
  Loop& loop() { return loop_; }
  uint64_t events() { return gateway_.metrics().events; }
  uint64_t bytes_to_clients() const {
    uint64_t bytes = 0;
    for (int client : clients_) bytes += sent_bytes(client);
    return bytes;
  }

 private:
  static Config to_one_upstream() {
    std::string error;
    Address address = *parse_address("127.0.0.1:1", &error);
    Config config;
    config.routes.push_back({.path = "/",
                             .upstreams = {{"http://" + address.text(), address.text(), address}},
                             .settings = {}});
    return config;
  }
  static SlotPool::Options pool_options(const char* name, uint16_t group,
                                        const PoolSettings& settings) {
    return {name, group, static_cast<uint32_t>(settings.slot_bytes),
            static_cast<uint32_t>(settings.slots)};
  }

  void open_stream() {
    int client = connect_client(listener_);
    turn_until_receiving(client);
    arrive(client, "GET /events HTTP/1.1\r\nhost: bench\r\naccept: text/event-stream\r\n\r\n");
    loop_.turn(false);
    int upstream = latest_upstream();
    turn_until_receiving(upstream);
    arrive(upstream,
           "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
           "transfer-encoding: chunked\r\n\r\n");
    loop_.turn(false);
    turn_until_receiving(upstream);
    clients_.push_back(client);
    upstreams_.push_back(upstream);
  }
  void turn_until_receiving(int fd) {
    for (int turns = 0; !receiving(fd); ++turns) {
      SLUICE_CHECK(turns < 10);
      loop_.turn(false);
    }
  }

  std::string error_;
  std::unique_ptr<Ring> ring_ = Ring::create(Features{}, &error_);
  int listener_ = open_listener();
  Config config_ = to_one_upstream();
  Loop loop_{*ring_};
  MemoryLimit memory_limit_{.bytes_max = config_.pool_max};
  SlotPool sse_event_{loop_, memory_limit_, pool_options("sse_event", 0, config_.pool_sse_event)};
  SlotPool http_response_{loop_, memory_limit_,
                          pool_options("http_message", 1, config_.pool_http_message)};
  Memory memory_{sse_event_, http_response_, {}};
  LogQueue log_;
  MessageLog messages_{log_, LogLevel::kError};
  ClientLimit limit_{100'000};
  Gateway gateway_{loop_,
                   memory_,
                   memory_limit_,
                   std::make_shared<ConfigSnapshot>(config_),
                   {{"test", listener_}},
                   messages_,
                   log_,
                   limit_,
                   0};
  std::vector<int> clients_;
  std::vector<int> upstreams_;
};

// The event in its chunk, as an upstream writes it.
std::string chunk_of_event(size_t event_bytes) {
  std::array<char, 16> size_line{};
  std::snprintf(size_line.data(), size_line.size(), "%zx\r\n", event_bytes);
  return size_line.data() + ("data: " + std::string(event_bytes - 8, 'x')) + "\n\n\r\n";
}

void relay(benchmark::State& state) {
  using Clock = std::chrono::steady_clock;
  constexpr size_t kEventBytes = 220;
  const auto streams = static_cast<size_t>(state.range(0));
  const auto events_a_turn = static_cast<size_t>(state.range(1));
  Relay relay(streams);
  const std::string chunk = chunk_of_event(kEventBytes);
  size_t next = 0;
  auto turn = [&] {
    for (size_t i = 0; i < events_a_turn; ++i) {
      arrive(relay.upstreams()[next], chunk);
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

// Streams x events a turn: alone; a busy worker's turns, with everything in the cache and not. No
// turn has more than the slots that the kernel holds at first (limits::kRingSlotsMin).
BENCHMARK(relay)
    ->ArgNames({"streams", "events_a_turn"})
    ->ArgsProduct({{1}, {1}})
    ->ArgsProduct({{64, 1000, 8000}, {1, 8, 32}})
    ->UseManualTime();

}  // namespace
}  // namespace sluice::perf
