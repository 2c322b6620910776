// What a load run has measured, and its two forms: a table for people and JSON for scripts.
// Filled by the load's one thread; times are CLOCK_MONOTONIC nanoseconds.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>

#include "perf/event_check.h"
#include "perf/histogram.h"

namespace sluice::perf {

struct StreamCounts {
  uint64_t started = 0;          // requests sent
  uint64_t clean = 0;            // complete, as the origin meant them to be
  uint64_t aborted = 0;          // cut, though the origin ended them cleanly
  uint64_t aborted_rightly = 0;  // cut, as the origin cut them
  uint64_t ended_wrongly = 0;    // complete at the client, though the origin cut them
  uint64_t refused = 0;          // a status other than 200, or no HTTP
  uint64_t plain = 0;            // not packed, though that was asked for
  uint64_t left = 0;             // left by this client (vanish)
  uint64_t unfinished = 0;       // still open when the time was up
  uint64_t connections = 0;      // established
  uint64_t connect_failures = 0;

  uint64_t wrong() const { return aborted + ended_wrongly + refused + plain + connect_failures; }
};

struct Report {
  std::string mode;
  std::string target;
  uint64_t connections = 0;
  bool whole_only = false;  // split events count as wrong
  uint64_t begun_ns = 0;
  uint64_t measured_from_ns = 0;  // after the warm-up
  uint64_t ended_ns = 0;
  EventCounts events;
  uint64_t warmup_events = 0;
  uint64_t body_bytes = 0;  // as they came: packed, where they are
  StreamCounts streams;
  EventTimes times;
  Histogram request;  // from the request to the clean end of its stream

  double measured_s() const;
  double events_per_s() const;
  // A run that checked nothing has not passed.
  bool passed() const;
};

void print_table(const Report& report, std::FILE* out);
void print_json(const Report& report, std::FILE* out);

}  // namespace sluice::perf
