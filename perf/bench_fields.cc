// What looking at events costs a stream that has stages: walking the events of a run, reading the
// fields of each, and the last id of a run; by shape of event and size of run, with every scanner
// of this CPU, beside a reader that looks at one byte after the other. It comes on top of the
// framer (bench_framer). ns_per_event is the figure to watch.
#include <array>
#include <string>
#include <string_view>

#include <benchmark/benchmark.h>

#include "perf/bench_cost.h"
#include "sse/events.h"
#include "sse/fields.h"
#include "sse/scanner.h"

namespace sluice {
namespace {

// What was found, so that nothing is optimised away: bytes of values, and events.
struct Found {
  uint64_t bytes = 0;
  uint64_t events = 0;
};

void add_fields(Pieces event, Found& found) {
  Field field;
  for (FieldReader fields(event); fields.next(field);) found.bytes += field.value.size();
}

Found read_events(Pieces run) {
  Found found;
  Pieces event;
  for (EventReader events(run); events.next(event); ++found.events) found.bytes += event.size();
  return found;
}

Found read_fields(Pieces run) {
  Found found;
  Pieces event;
  for (EventReader events(run); events.next(event); ++found.events) add_fields(event, found);
  return found;
}

// One pass over the run, for a caller that needs no events.
Found read_run(Pieces run) {
  Found found;
  add_fields(run, found);
  return found;
}

// The text-book loop, over one piece.
Found read_naively(Pieces run) {
  Found found;
  std::string_view text = run.first();
  size_t line_begin = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '\n' && text[at] != '\r') continue;
    std::string_view line = text.substr(line_begin, at - line_begin);
    if (text[at] == '\r' && at + 1 < text.size() && text[at + 1] == '\n') ++at;
    line_begin = at + 1;
    if (line.empty()) {
      ++found.events;
      continue;
    }
    size_t colon = 0;
    while (colon < line.size() && line[colon] != ':') ++colon;
    std::string_view name = line.substr(0, colon);
    std::string_view value = line.substr(std::min(colon + 1, line.size()));
    if (value.starts_with(' ')) value.remove_prefix(1);
    if (name == "data" || name == "event" || name == "id") found.bytes += value.size();
  }
  return found;
}

std::string event_of(std::string_view opening, size_t size) {
  return std::string(opening) + "data: " + std::string(size - opening.size() - 8, 'x') + "\n\n";
}

void read_runs(benchmark::State& state, const char* scanner, Found (*read)(Pieces),
               const std::string& event, size_t run_bytes, size_t pieces_count) {
  select_scanner(scanner);
  std::string run = event;
  uint64_t events_a_run = 1;
  for (; run.size() + event.size() <= run_bytes; ++events_a_run) run += event;
  std::array<std::string_view, 2> pieces{std::string_view(run).substr(0, run.size() / 2),
                                         std::string_view(run).substr(run.size() / 2)};
  uint64_t bytes = 0;
  const perf::CostCounter cost;
  for (auto _ : state) {
    Pieces in_order = pieces_count == 1 ? Pieces(run) : Pieces(pieces);
    benchmark::DoNotOptimize(in_order);
    Found found = read(in_order);
    benchmark::DoNotOptimize(found);
    bytes += found.bytes;
  }
  cost.report(state, "ns_per_event", state.iterations() * events_a_run);
  if (bytes < state.iterations() * (run.size() - events_a_run * 24))
    state.SkipWithError("fields were missed");
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * run.size()));
}

void register_all(const std::string& name, const char* scanner, Found (*read)(Pieces),
                  bool across_pieces) {
  struct Shape {
    const char* name;
    std::string_view opening;
    size_t event_bytes;
    size_t run_bytes;
  };
  constexpr std::string_view kNamed = "id: 1234567\nevent: u\n";
  constexpr Shape kShapes[] = {{"token", "", 50, 50},        {"data", "", 220, 220},
                               {"named", kNamed, 220, 220},  {"large", "", 16384, 16384},
                               {"tokens", "", 50, 16384},    {"data", "", 220, 16384},
                               {"named", kNamed, 220, 16384}};
  for (const Shape& shape : kShapes) {
    std::string event = event_of(shape.opening, shape.event_bytes);
    for (size_t pieces = 1; pieces <= (across_pieces ? 2U : 1U); ++pieces) {
      std::string full_name = name + "/" + shape.name + ":" + std::to_string(shape.event_bytes) +
                              "/run:" + std::to_string(shape.run_bytes) +
                              "/pieces:" + std::to_string(pieces);
      benchmark::RegisterBenchmark(full_name.c_str(), read_runs, scanner, read, event,
                                   shape.run_bytes, pieces);
    }
  }
}

[[maybe_unused]] const bool registered = [] {
  for (const Scanner& scanner : scanners()) {
    if (!scanner.supported()) continue;
    register_all(std::string("events/") + scanner.name, scanner.name, read_events, true);
    register_all(std::string("fields/") + scanner.name, scanner.name, read_fields, true);
  }
  register_all("run/auto", "auto", read_run, false);
  register_all("naive", "auto", read_naively, false);
  return true;
}();

}  // namespace
}  // namespace sluice
