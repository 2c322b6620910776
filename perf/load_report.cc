#include "perf/load_report.h"

#include <cinttypes>
#include <sys/resource.h>

#include "core/clock.h"

namespace sluice::perf {
namespace {

struct CpuTime {
  double user_us;
  double system_us;
};

CpuTime own_cpu_per_event(const Report& report) {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto us = [&](const timeval& time) {
    const double total = static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_usec);
    return report.events.events == 0 ? 0 : total / static_cast<double>(report.events.events);
  };
  return {us(usage.ru_utime), us(usage.ru_stime)};
}

double to_ms(uint64_t ns) {
  return static_cast<double>(ns) / 1e6;
}

void print_times(const char* name, const Histogram& times, std::FILE* out) {
  if (times.count() == 0) return;
  std::fprintf(out, "  %-15s %9.3f %9.3f %9.3f %9.3f %9.3f\n", name, to_ms(times.quantile(0.5)),
               to_ms(times.quantile(0.9)), to_ms(times.quantile(0.99)),
               to_ms(times.quantile(0.999)), to_ms(times.max()));
}

void print_json_times(const char* name, const Histogram& times, std::FILE* out) {
  std::fprintf(out,
               "  \"%s_ns\": {\"count\": %" PRIu64 ", \"mean\": %.0f, \"p50\": %" PRIu64
               ", \"p90\": %" PRIu64 ", \"p99\": %" PRIu64 ", \"p999\": %" PRIu64
               ", \"max\": %" PRIu64 "},\n",
               name, times.count(), times.mean(), times.quantile(0.5), times.quantile(0.9),
               times.quantile(0.99), times.quantile(0.999), times.max());
}

// Of each: the stream's id, its last event before and its first one behind (CLOCK_MONOTONIC).
void print_json_stalls(const std::vector<Stall>& stalls, std::FILE* out) {
  std::fprintf(out, "  \"stalls\": [");
  const char* separator = "";
  for (const Stall& stall : stalls) {
    std::fprintf(out, "%s[%" PRIu32 ", %" PRIu64 ", %" PRIu64 "]", separator, stall.id,
                 stall.begun_ns, stall.ended_ns);
    separator = ", ";
  }
  std::fprintf(out, "],\n");
}

std::string json_escaped(const std::string& text) {
  std::string out;
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) >= 0x20) out += c;
  }
  return out;
}

}  // namespace

double Report::measured_s() const {
  if (ended_ns <= measured_from_ns) return 0;
  return static_cast<double>(ended_ns - measured_from_ns) / static_cast<double>(kNsPerS);
}

double Report::events_per_s() const {
  const double seconds = measured_s();
  return seconds <= 0 ? 0 : static_cast<double>(events.events - warmup_events) / seconds;
}

bool Report::passed() const {
  return events.events > 0 && events.wrong() == 0 && streams.wrong() == 0 &&
         (!whole_only || events.split == 0);
}

void print_table(const Report& report, std::FILE* out) {
  const StreamCounts& streams = report.streams;
  const EventCounts& events = report.events;
  const CpuTime cpu = own_cpu_per_event(report);
  std::fprintf(out, "%s: %" PRIu64 " connections, %.1f s, %s\n", report.mode.c_str(),
               report.connections, report.measured_s(), report.target.c_str());
  std::fprintf(out,
               "  streams         %" PRIu64 " started, %" PRIu64 " clean, %" PRIu64
               " aborted, %" PRIu64 " aborted rightly, %" PRIu64
               " ended wrongly\n"
               "                  %" PRIu64 " refused, %" PRIu64 " left, %" PRIu64
               " unfinished; %" PRIu64 " connections, %" PRIu64 " failed\n",
               streams.started, streams.clean, streams.aborted, streams.aborted_rightly,
               streams.ended_wrongly, streams.refused, streams.left, streams.unfinished,
               streams.connections, streams.connect_failures);
  std::fprintf(out,
               "  events          %" PRIu64 " (%.0f/s), %" PRIu64 " bytes, %" PRIu64
               " heartbeats\n"
               "  wrong           %" PRIu64 " lost, %" PRIu64 " duplicated, %" PRIu64
               " reordered, %" PRIu64 " torn, %" PRIu64 " bad; %" PRIu64 " split\n",
               events.events, report.events_per_s(), events.bytes, events.comments, events.lost,
               events.duplicated, events.reordered, events.torn, events.bad, events.split);
  std::fprintf(out, "  %-15s %9s %9s %9s %9s %9s\n", "ms", "p50", "p90", "p99", "p99.9", "max");
  print_times("latency", report.times.latency, out);
  print_times("first event", report.times.first_event, out);
  print_times("gap", report.times.gap, out);
  print_times("gap at origin", report.times.origin_gap, out);
  print_times("request", report.request, out);
  std::fprintf(out, "  own cpu         %.2f us/event user, %.2f system\n", cpu.user_us,
               cpu.system_us);
  std::fprintf(out, "%s\n", report.passed() ? "passed" : "FAILED");
}

void print_json(const Report& report, std::FILE* out) {
  const auto field = [&](const char* name, uint64_t value) {
    std::fprintf(out, "  \"%s\": %" PRIu64 ",\n", name, value);
  };
  const CpuTime cpu = own_cpu_per_event(report);
  std::fprintf(out, "{\n  \"mode\": \"%s\",\n  \"target\": \"%s\",\n", report.mode.c_str(),
               json_escaped(report.target).c_str());
  field("connections", report.connections);
  std::fprintf(out, "  \"measured_s\": %.3f,\n  \"events_per_s\": %.1f,\n", report.measured_s(),
               report.events_per_s());
  field("streams_started", report.streams.started);
  field("streams_clean", report.streams.clean);
  field("streams_aborted", report.streams.aborted);
  field("streams_aborted_rightly", report.streams.aborted_rightly);
  field("streams_ended_wrongly", report.streams.ended_wrongly);
  field("streams_refused", report.streams.refused);
  field("streams_plain", report.streams.plain);
  field("streams_left", report.streams.left);
  field("streams_unfinished", report.streams.unfinished);
  field("connections_opened", report.streams.connections);
  field("connect_failures", report.streams.connect_failures);
  field("events", report.events.events);
  field("event_bytes", report.events.bytes);
  field("body_bytes", report.body_bytes);
  field("heartbeats", report.events.comments);
  field("lost", report.events.lost);
  field("duplicated", report.events.duplicated);
  field("reordered", report.events.reordered);
  field("torn", report.events.torn);
  field("bad", report.events.bad);
  field("split", report.events.split);
  print_json_times("latency", report.times.latency, out);
  print_json_times("first_event", report.times.first_event, out);
  print_json_times("gap", report.times.gap, out);
  print_json_times("origin_gap", report.times.origin_gap, out);
  print_json_times("request", report.request, out);
  if (report.times.stall_min_ns != UINT64_MAX) print_json_stalls(report.times.stalls, out);
  std::fprintf(out,
               "  \"own_cpu_us_per_event\": {\"user\": %.3f, \"system\": %.3f},\n"
               "  \"passed\": %s\n}\n",
               cpu.user_us, cpu.system_us, report.passed() ? "true" : "false");
}

}  // namespace sluice::perf
