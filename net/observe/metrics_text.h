// Renders snapshots of all workers for a scrape: Prometheus text 0.0.4, or OpenMetrics 1.0. Pure,
// any thread. Label sets are bounded: route, upstream, code, side, reason, phase, pool, worker.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "net/config/snapshot.h"
#include "net/context/metrics.h"

namespace sluice {

enum class MetricsFormat : uint8_t { kPrometheus, kOpenMetrics };

std::string_view metrics_content_type(MetricsFormat format);

// The figures of the process rather than of a worker.
struct ProcessFacts {
  std::string_view version;
  double uptime_seconds = 0;
  uint64_t now_ms = 0;  // of the monotonic clock
  uint64_t open_fds = 0;
  uint64_t resident_bytes = 0;
  uint64_t log_lines_dropped = 0;
  uint64_t log_write_errors = 0;
  uint64_t admin_drops = 0;
  uint64_t taps = 0;
  bool draining = false;
  uint64_t config_generation = 1;
  uint64_t reloads_ok = 0;
  uint64_t reloads_failed = 0;
};

std::string render_metrics(const ConfigSnapshot& snapshot,
                           const std::vector<WorkerSnapshot>& workers, const ProcessFacts& process,
                           MetricsFormat format);

}  // namespace sluice
