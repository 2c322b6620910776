// The data path allocates nothing once it is warm: a whole worker forwards event streams between
// real sockets, and this executable counts every operator new of the worker's thread.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "net/base/limits.h"
#include "net/filter/load_filters.h"
#include "net/gateway/worker.h"
#include "net/stream/streams.h"
#include "perf/allocations.h"
#include "tests/unit/gateway/net_testing.h"
#include "tests/unit/random_source.h"

namespace sluice {
namespace {

using perf::allocations_of_this_thread;
using test::RandomSource;
using test::TestWorker;
using test::Upstreams;
using test::Wire;

constexpr size_t kStreams = 8;
// Of each stream. A round has at most 8 * 25 * 2 chunks, which is below one block of chain nodes
// (512): how many of a round's chunks meet in one turn is up to the scheduler, and a new peak is
// what free lists grow at. Nothing else may depend on how many events there were.
constexpr size_t kEventsARound = 25;
constexpr uint64_t kEvents = 20'000;
constexpr uint64_t kWarmAt = 2'000;
constexpr uint64_t kCountedTo = 18'000;

// One stream from end to end: the test plays both the upstream and the client.
struct StreamPair {
  Wire client;
  Wire upstream;
};

constexpr std::string_view kGet =
    "GET /events HTTP/1.1\r\nhost: test\r\naccept: text/event-stream\r\n\r\n";
constexpr std::string_view kChat =
    "POST /v1/chat/completions HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n"
    "content-length: 15\r\n\r\n{\"stream\":true}";

StreamPair open_stream(const TestWorker& worker, const Upstreams& upstreams,
                       std::string_view request = kGet) {
  Wire client = worker.connect();
  client.send(request);
  Wire upstream = upstreams.accept();
  upstream.receive_through(request == kChat ? "\"include_usage\":true}}" : "\r\n\r\n");
  upstream.send(
      "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
      "transfer-encoding: chunked\r\n\r\n");
  client.receive_through("\r\n\r\n");
  return {std::move(client), std::move(upstream)};
}

std::string chunk(std::string_view bytes) {
  std::array<char, 16> line{};
  std::snprintf(line.data(), line.size(), "%zx\r\n", bytes.size());
  return line.data() + std::string(bytes) + "\r\n";
}

constexpr size_t kContentMax = 300;
std::string delta(size_t content) {
  return R"(data: {"choices":[{"delta":{"content":")" + std::string(content, 'x') +
         "\"}}],\"usage\":null}\n\n";
}

// Events in chunks of their own, and some chunks that hold halves of events.
std::string events_of_a_round(RandomSource& random) {
  std::string wire;
  for (size_t i = 0; i < kEventsARound; ++i) {
    std::string event = delta(random.between(1, kContentMax));
    size_t half = random.between(0, 3) == 0 ? random.between(1, event.size() - 1) : 0;
    if (half > 0) wire += chunk(std::string_view(event).substr(0, half));
    wire += chunk(std::string_view(event).substr(half));
  }
  return wire;
}

// Ends of events in a chunked response: a chunk ends with an event, and adds "\r\n" of its own.
size_t count_events(std::string_view bytes, char& previous) {
  size_t count = 0;
  for (char c : bytes) {
    if (c == '\n' && previous == '\n') ++count;
    previous = c;
  }
  return count;
}

struct Snapshot {
  uint64_t allocations;
  uint64_t events;
};

Snapshot look(TestWorker& worker) {
  return worker.ask([](Gateway& gateway) {
    return Snapshot{allocations_of_this_thread(), gateway.metrics().events};
  });
}

TEST(SteadyAllocation, TheCounterCounts) {
  uint64_t before = allocations_of_this_thread();
  { std::string text(100, 'x'); }
  EXPECT_EQ(allocations_of_this_thread(), before + 1);
  { std::vector<std::array<char, 64>> many(3); }
  EXPECT_EQ(allocations_of_this_thread(), before + 2);
  struct alignas(64) Aligned {
    char bytes[64];
  };
  { auto aligned = std::make_unique<Aligned[]>(2); }
  delete new (std::nothrow) int(1);
  EXPECT_EQ(allocations_of_this_thread(), before + 4);
}

// The longest event, in two reads: what an event is put together in is as large then as it will be.
void send_longest(TestWorker& worker, StreamPair& stream) {
  const std::string event = delta(kContentMax);
  stream.upstream.send(chunk(std::string_view(event).substr(0, event.size() / 2)));
  while (worker.ask([](Gateway& gateway) { return gateway.streams().staging().in_use(); }) == 0) {
  }
  stream.upstream.send(chunk(std::string_view(event).substr(event.size() / 2)));
  stream.client.receive_through("}\n\n");
}

// `config`: of the worker, whose upstream is that one.
void expect_none(Upstreams& upstreams, const Config& config, std::string_view request = kGet) {
  RandomSource random;
  SCOPED_TRACE(random.trace());
  TestWorker worker(config);
  std::vector<StreamPair> streams;
  for (size_t i = 0; i < kStreams; ++i) streams.push_back(open_stream(worker, upstreams, request));
  for (StreamPair& stream : streams) send_longest(worker, stream);

  Snapshot warm{};
  Snapshot end{};
  uint64_t forwarded = 0;
  std::vector<char> buffer(64 * 1024);
  while (forwarded < kEvents) {
    // All streams of a round are on their way at once, in pieces of any size.
    for (StreamPair& stream : streams) {
      std::string wire = events_of_a_round(random);
      for (std::string_view rest = wire; !rest.empty();) {
        std::string_view piece = rest.substr(0, random.between(1, 4096));
        stream.upstream.send(piece);
        rest.remove_prefix(piece.size());
      }
    }
    for (StreamPair& stream : streams) {
      char previous = 0;
      for (size_t events = 0; events < kEventsARound;) {
        size_t size = stream.client.receive(buffer);
        ASSERT_GT(size, 0U) << "a stream has ended after " << forwarded << " events";
        events += count_events({buffer.data(), size}, previous);
      }
      forwarded += kEventsARound;
    }
    if (forwarded == kWarmAt) warm = look(worker);
    if (forwarded == kCountedTo) end = look(worker);
  }
  ASSERT_EQ(warm.events, kStreams + kWarmAt);
  ASSERT_EQ(end.events, kStreams + kCountedTo);
  EXPECT_GT(warm.allocations, 0U) << "the worker's thread is not counted";
  uint64_t counted = end.allocations - warm.allocations;
  double events = static_cast<double>(end.events - warm.events);
  EXPECT_EQ(counted, 0U) << events / static_cast<double>(counted) << " events per allocation";
}

TEST(SteadyAllocation, EventsAreForwardedWithoutAny) {
  Upstreams upstreams;
  expect_none(upstreams, test::config_to(upstreams.port()));
}

TEST(SteadyAllocation, EventsAreFilteredWithoutAny) {
  Upstreams upstreams;
  Config config = test::config_to(upstreams.port());
  FilterRule rule;
  rule.name = "a";
  rule.actions.resize(2);
  rule.actions[0].kind = FilterAction::Kind::kRedact;
  rule.actions[0].text = "x{50}";
  rule.actions[0].with = "y";
  rule.actions[1].kind = FilterAction::Kind::kRenameEvent;
  rule.actions[1].text = "token";
  config.filters.push_back(rule);
  config.routes.front().filter_names = {"a"};
  std::vector<std::string> warnings;
  ASSERT_EQ(load_filters(config, warnings), "");
  expect_none(upstreams, config);
}

// Nothing outside of Lua's own memory; what is in it is bounded.
TEST(SteadyAllocation, EventsAreScriptedWithoutAny) {
  Upstreams upstreams;
  Config config = test::config_to(upstreams.port());
  FilterRule rule;
  rule.name = "a";
  rule.script = "a.lua";
  rule.code = R"(function on_event(event, mine)
    event.data = re.gsub(event.data, "x{50}", "y")
    if json.get(event.data, "") then event.type = "token" end
    count("events", "label")
  end)";
  config.filters.push_back(rule);
  config.routes.front().filter_names = {"a"};
  std::vector<std::string> warnings;
  ASSERT_EQ(load_filters(config, warnings), "");
  expect_none(upstreams, config);
}

TEST(SteadyAllocation, UsageIsCountedWithoutAny) {
  Upstreams upstreams;
  Config config = test::config_to(upstreams.port());
  config.routes.front().settings.usage = true;
  expect_none(upstreams, config, kChat);
}

// An event of each stream is unfinished at a time, and staged.
TEST(SteadyAllocation, EventsInTwoReadsAreForwardedWithoutAny) {
  constexpr int kRounds = 300;
  // A stream that has had no id by then keeps its request's head no longer: one allocation, once.
  constexpr int kWarmRound = static_cast<int>(limits::kEventsWithoutIdMax) + 10;
  RandomSource random;
  SCOPED_TRACE(random.trace());
  Upstreams upstreams;
  TestWorker worker(test::config_to(upstreams.port()));
  std::vector<StreamPair> streams;
  for (size_t i = 0; i < kStreams; ++i) streams.push_back(open_stream(worker, upstreams));
  auto staged = [&worker] {
    return worker.ask([](Gateway& gateway) { return gateway.streams().staging().in_use(); });
  };

  Snapshot warm{};
  std::vector<char> buffer(64 * 1024);
  for (int round = 0; round < kRounds; ++round) {
    if (round == kWarmRound) warm = look(worker);
    const std::string event = "data: " + std::string(random.between(1, 6000), 'x') + "\n\n";
    const std::string wire = chunk(event);
    // The whole chunk but for the last two bytes of its event, at most.
    const size_t first = wire.find('\n') + 1 + random.between(1, event.size() - 2);
    for (StreamPair& stream : streams)
      stream.upstream.send(std::string_view(wire).substr(0, first));
    while (staged() < kStreams) {
    }
    for (StreamPair& stream : streams) stream.upstream.send(std::string_view(wire).substr(first));
    for (StreamPair& stream : streams) {
      char previous = 0;
      for (size_t events = 0; events < 1;) {
        size_t size = stream.client.receive(buffer);
        ASSERT_GT(size, 0U) << "a stream has ended in round " << round;
        events += count_events({buffer.data(), size}, previous);
      }
    }
    ASSERT_EQ(staged(), 0U);
  }
  Snapshot end = look(worker);
  EXPECT_EQ(end.events - warm.events, kStreams * (kRounds - kWarmRound));
  EXPECT_EQ(end.allocations - warm.allocations, 0U);
}

}  // namespace
}  // namespace sluice
