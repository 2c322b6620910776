// The counters of one worker: plain integers that only its thread writes. Nobody else reads them
// in place: a scrape posts a message, and the worker hands out a copy (net/admin/admin.h).
#pragma once

#include <array>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "core/histogram.h"
#include "core/loop.h"
#include "core/ring.h"
#include "net/base/dialects.h"
#include "net/base/encoding_counts.h"
#include "net/base/ending.h"
#include "net/base/failure.h"
#include "net/base/filter_counts.h"
#include "net/base/http2.h"
#include "net/base/hub_counts.h"
#include "net/base/proxy_results.h"
#include "net/base/script_counts.h"
#include "net/base/tls_results.h"
#include "net/base/usage.h"
#include "net/http/parse_error.h"
#include "pool/slot_pool.h"

namespace sluice {

// The requests of one route that have ended.
struct RouteMetrics {
  struct Status {
    uint16_t code;
    uint64_t count;
  };

  std::vector<Status> by_status;  // few, so they are searched one by one
  uint64_t unanswered = 0;        // the client left before there was any answer

  uint64_t of(int code) const {
    for (const Status& status : by_status)
      if (status.code == code) return status.count;
    return 0;
  }
  void count(uint16_t code) {
    for (Status& status : by_status) {
      if (status.code != code) continue;
      ++status.count;
      return;
    }
    by_status.push_back({code, 1});
  }
};

// The attempts at one upstream.
struct UpstreamMetrics {
  uint64_t begun = 0;
  std::array<uint64_t, kEndings> ended{};

  uint64_t under_way() const {
    return begun - std::accumulate(ended.begin(), ended.end(), uint64_t{0});
  }
};

struct Metrics {
  static constexpr unsigned kParseErrors = static_cast<unsigned>(ParseError::kMethodTooLong) + 1;

  // By their numbers, as far as they have been used; of this worker.
  std::vector<RouteMetrics> routes;
  std::vector<UpstreamMetrics> upstreams;
  RouteMetrics no_route;
  std::vector<FilterCounts> filters;          // in a snapshot only: a worker's are its bench's
  std::array<uint64_t, 3> oversize_events{};  // that filters did not see: passed, dropped, ended
  ScriptMetrics scripts;                      // in a snapshot only
  UsageCounts usage;                          // of requests to models
  uint64_t unfiltered_streams = 0;            // passed on encoded, where there are filters
  std::array<uint64_t, kDialects> dialect_streams{};
  std::array<uint64_t, kDialects> error_events{};  // of ours, before an abort
  uint64_t late_events = 0;                        // behind a dialect's last one, dropped
  std::array<uint64_t, kGateOutcomeNames.size()> gates{};

  RouteMetrics& of_route(uint32_t id) { return at(routes, id); }
  UpstreamMetrics& of_upstream(uint32_t id) { return at(upstreams, id); }
  // Another route, or upstream, has got that number.
  void forget_route(uint32_t id) {
    of_route(id) = {};
    usage.forget(id);
  }
  void forget_upstream(uint32_t id) { of_upstream(id) = {}; }

  uint64_t client_connections = 0;  // accepted
  uint64_t client_connections_closed = 0;
  uint64_t http2_connections = 0;                                    // of those
  std::array<uint64_t, kHttp2CodeNames.size()> http2_resets{};       // by clients
  std::array<uint64_t, kHttp2CodeNames.size()> http2_resets_sent{};  // by us
  std::array<uint64_t, kHttp2CodeNames.size()> http2_goaways{};      // by us
  std::array<uint64_t, kHttp2FloodNames.size()> http2_floods{};      // connections ended for them
  uint64_t http2_no_place = 0;  // requests refused for want of file descriptors
  uint64_t http2_stalled = 0;   // streams and connections ended by --write-timeout
  uint64_t accept_pauses = 0;   // at the limit of clients, or after an error
  uint64_t accept_errors = 0;
  std::array<uint64_t, kProxyResults> proxy_headers{};
  std::array<uint64_t, 3> dns_answers{};  // found, none, failed: a look-up of one family each
  TlsCounters tls;                        // with clients
  TlsCounters upstream_tls;
  uint64_t upstream_connects = 0;  // attempts
  uint64_t upstream_connect_errors = 0;
  uint64_t upstream_reuses = 0;  // requests on a kept-alive connection
  uint64_t upstream_connections_closed = 0;
  uint64_t upstream_retries = 0;  // of stale connections

  std::array<uint64_t, kFailures> retries{};  // at another upstream, before content
  uint64_t retries_denied = 0;                // for want of budget
  std::array<uint64_t, kFailures> heal_attempts{};
  uint64_t heal_attempts_paced = 0;  // that --heal-rate put off
  std::array<uint64_t, kHealResults> heals{};
  std::array<uint64_t, kGaps> heal_gaps{};
  uint64_t duplicate_events = 0;  // that had been delivered, and were dropped

  uint64_t streams_started = 0;  // requests that began to arrive
  uint64_t streams_ended = 0;
  std::array<uint64_t, kEndings> endings{};
  std::array<uint64_t, kPhases> upstream_cancels{};  // because the client was gone, by phase
  uint64_t cancelled_before_first_byte = 0;          // whole answers saved
  std::array<uint64_t, kParseErrors> bad_requests{};
  std::array<uint64_t, kParseErrors> bad_responses{};
  std::array<uint64_t, kRefusals> refusals{};

  uint64_t event_streams = 0;  // framed responses
  uint64_t events = 0;
  uint64_t torn_events = 0;      // longer than --event-hold, cut through
  uint64_t discarded_bytes = 0;  // of events that the upstream never completed
  uint64_t heartbeats = 0;
  uint64_t bytes_from_clients = 0;
  uint64_t bytes_to_clients = 0;
  uint64_t bytes_from_upstreams = 0;
  uint64_t bytes_to_upstreams = 0;
  uint64_t tapped_bytes = 0;
  uint64_t tap_dropped_events = 0;
  EncodingMetrics encoding;  // in a snapshot only: a worker's are its encoders'
  DecodingMetrics decoding;  // the same, and its decoders'
  uint64_t stalls = 0;       // an upstream was stopped because its client was slow
  uint64_t stall_ns = 0;

  Histogram time_to_first_event;
  Histogram event_gap;
  Histogram residence;  // from the upstream's completion to the client's send completion

 private:
  template <typename Item>
  static Item& at(std::vector<Item>& all, uint32_t id) {
    if (all.size() <= id) all.resize(id + 1);
    return all[id];
  }
};

// One pool class at the moment of a snapshot.
struct PoolSnapshot {
  const char* name = "";
  uint64_t slot_bytes = 0;
  uint64_t slots = 0;
  uint64_t provided = 0;
  uint64_t free = 0;
  uint64_t leased = 0;
  uint64_t heap_blocks = 0;
  uint64_t high_water = 0;
  PoolCounters counters;
};

// Everything a worker tells a scrape.
struct WorkerSnapshot {
  Metrics metrics;
  RingCounters ring;
  LoopCounters loop;
  uint64_t operations = 0;  // in flight
  uint64_t client_connections = 0;
  uint64_t handshakes = 0;  // of clients, under way
  uint64_t upstream_connections = 0;
  uint64_t upstream_idle = 0;
  uint64_t streams = 0;
  uint64_t event_streams = 0;
  std::vector<PoolSnapshot> pools;
  std::vector<HubCounts> hubs;
  std::vector<HubSourceCounts> hub_sources;
};

}  // namespace sluice
