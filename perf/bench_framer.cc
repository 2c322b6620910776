// How fast the framer finds event ends: every scanner of this CPU, by size of event and of read,
// beside a framer that looks at one byte after the other and beside memchr for LF, which is about
// what any framer must at least do. ns_per_event is the figure to watch; GB/s is bytes_per_second.
#include <cstring>
#include <string>
#include <string_view>

#include <benchmark/benchmark.h>

#include "perf/bench_cost.h"
#include "sse/framer.h"
#include "sse/scanner.h"

namespace sluice {
namespace {

// The text-book state machine, with the framer's interface; no byte order mark, and comments wait
// for their empty line.
class NaiveFramer {
 public:
  Framer::Result feed(std::string_view bytes) {
    Framer::Result result;
    for (size_t i = 0; i < bytes.size(); ++i) {
      char byte = bytes[i];
      bool crlf = byte == '\n' && after_cr_;
      after_cr_ = byte == '\r';
      if (byte != '\n' && byte != '\r') {
        if (line_empty_ && byte != ':') has_field_ = true;
        line_empty_ = false;
        closed_ = false;
      } else if (crlf) {
        if (closed_) result.whole = i + 1;
      } else {
        closed_ = line_empty_;
        if (closed_) {
          result.whole = i + 1;
          result.events += has_field_;
          has_field_ = false;
        }
        line_empty_ = true;
      }
    }
    return result;
  }

 private:
  bool line_empty_ = true;
  bool after_cr_ = false;
  bool closed_ = false;
  bool has_field_ = false;
};

class MemchrFramer {
 public:
  Framer::Result feed(std::string_view bytes) {
    Framer::Result result;
    for (size_t at = 0; at < bytes.size(); at = result.whole) {
      const void* lf = std::memchr(bytes.data() + at, '\n', bytes.size() - at);
      if (!lf) break;
      result.whole = static_cast<size_t>(static_cast<const char*>(lf) - bytes.data()) + 1;
      if (result.whole - at == 1) ++result.events;
    }
    return result;
  }
};

std::string stream_of(size_t event_bytes, size_t read_bytes) {
  std::string event = "data: " + std::string(event_bytes - 8, 'x') + "\n\n";
  std::string stream = event;
  while (stream.size() + event.size() <= read_bytes) stream += event;
  return stream;
}

template <typename AnyFramer>
void feed_reads(benchmark::State& state, const char* scanner, size_t event_bytes,
                size_t read_bytes) {
  select_scanner(scanner);
  const std::string read = stream_of(event_bytes, read_bytes);
  AnyFramer framer;
  uint64_t events = 0;
  const perf::CostCounter cost;
  for (auto _ : state) {
    Framer::Result result = framer.feed(read);
    benchmark::DoNotOptimize(result);
    events += result.events;
  }
  cost.report(state, "ns_per_event", events);
  if (events != state.iterations() * (read.size() / event_bytes)) {
    state.SkipWithError("events were missed");
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * read.size()));
}

void register_all(const std::string& name, const char* scanner,
                  void (*feed)(benchmark::State&, const char*, size_t, size_t)) {
  struct Shape {
    size_t event_bytes;
    size_t read_bytes;
  };
  // One event a read, as streams of tokens arrive, then reads full of small events.
  constexpr Shape kShapes[] = {{50, 50},       {220, 220},  {1024, 1024}, {16384, 16384},
                               {65536, 65536}, {50, 16384}, {220, 16384}};
  for (Shape shape : kShapes) {
    std::string full_name = name + "/event:" + std::to_string(shape.event_bytes) +
                            "/read:" + std::to_string(shape.read_bytes);
    benchmark::RegisterBenchmark(full_name.c_str(), feed, scanner, shape.event_bytes,
                                 shape.read_bytes);
  }
}

[[maybe_unused]] const bool registered = [] {
  for (const Scanner& scanner : scanners()) {
    if (scanner.supported()) {
      register_all(std::string("framer/") + scanner.name, scanner.name, feed_reads<Framer>);
    }
  }
  register_all("naive", "auto", feed_reads<NaiveFramer>);
  register_all("memchr", "auto", feed_reads<MemchrFramer>);
  return true;
}();

}  // namespace
}  // namespace sluice
