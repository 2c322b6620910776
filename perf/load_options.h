// What the load generator was told to do: its flags, read once at the start of main and only read
// from then on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "core/clock.h"
#include "perf/stream_spec.h"

namespace sluice::perf {

enum class Mode : uint8_t { kStream, kChurn, kIdle, kSlow, kVanish };

struct Options {
  std::string connect;
  std::string mode_name = "stream";
  Mode mode = Mode::kStream;
  std::string target;
  StreamSpec spec;
  size_t connections = 100;
  uint64_t requests = 0;
  uint64_t duration_ns = 60 * kNsPerS;
  uint64_t warmup_ns = 0;
  double ramp = 2000;
  bool new_connections = false;
  uint64_t read_rate = 2000;
  uint64_t leave_after_ns = 500 * kNsPerMs;
  int64_t post_bytes = -1;
  bool whole = false;
  std::string accept_encoding;
  uint64_t seed = 0;
  uint64_t stall_min_ns = UINT64_MAX;
  std::string json;
  bool quiet = false;

  bool repeats() const { return mode == Mode::kChurn || mode == Mode::kVanish; }
};

// Exits with status 2 and one line on a mistake, with 0 after --help.
Options read_options(int argc, char** argv);

}  // namespace sluice::perf
