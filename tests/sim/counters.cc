#include "tests/sim/counters.h"

#include <numeric>
#include <string>

namespace sluice::sim {

namespace {

void equal(const char* what, uint64_t counted, uint64_t seen) {
  if (counted != seen)
    violation(std::string("counted ") + what + ": " + std::to_string(counted) + ", there were " +
              std::to_string(seen));
}

void at_least(const char* what, uint64_t counted, uint64_t seen) {
  if (counted < seen)
    violation(std::string("counted ") + what + ": " + std::to_string(counted) +
              ", there were at least " + std::to_string(seen));
}

uint64_t sum(const RouteMetrics& route) {
  uint64_t total = route.unanswered;
  for (const RouteMetrics::Status& status : route.by_status) total += status.count;
  return total;
}

uint64_t by_status(const Metrics& metrics, const std::pair<size_t, int>& route_and_status) {
  const auto& [route, status] = route_and_status;
  return route < metrics.routes.size() ? metrics.routes[route].of(status) : 0;
}

}  // namespace

void check_counters(const Metrics& metrics, const Kernel& kernel, const Seen& seen) {
  equal("ends of streams", metrics.streams_ended, metrics.streams_started);
  equal("endings", std::accumulate(metrics.endings.begin(), metrics.endings.end(), uint64_t{0}),
        metrics.streams_ended);
  uint64_t by_route = sum(metrics.no_route);
  for (const RouteMetrics& route : metrics.routes) by_route += sum(route);
  equal("streams of routes", by_route, metrics.streams_ended);
  equal("ends of clients", metrics.client_connections_closed, metrics.client_connections);
  // Whom a listener accepts that is about to close it closes at once.
  at_least("accepted clients", kernel.accepted(), metrics.client_connections);
  if (!seen.probed)
    at_least("connects", metrics.upstream_connects - metrics.upstream_connect_errors,
             kernel.connected());
  at_least("requests on connections", metrics.upstream_connects + metrics.upstream_reuses,
           seen.reached);
  at_least("bytes received", kernel.received_bytes(),
           metrics.bytes_from_clients + metrics.bytes_from_upstreams);
  at_least("bytes sent", kernel.sent_bytes(),
           metrics.bytes_to_clients + metrics.bytes_to_upstreams);
  // Who closes as soon as it has all may be heard of before the last send is, and so may the end of
  // the process.
  uint64_t shut = metrics.endings[static_cast<unsigned>(Ending::kShutdown)];
  uint64_t left = metrics.endings[static_cast<unsigned>(Ending::kClientLeft)];
  uint64_t complete = metrics.endings[static_cast<unsigned>(Ending::kComplete)];
  uint64_t stalled =
      seen.stood_still ? metrics.endings[static_cast<unsigned>(Ending::kClientStalled)] : 0;
  at_least("complete answers", complete + left + stalled + shut, seen.complete);
  for (const auto& [of, answers] : seen.answers)
    at_least("answers of a status", by_status(metrics, of), answers);
  if (!seen.all) return;
  equal("requests", metrics.streams_started, seen.requests);
  if (complete > seen.complete) equal("complete answers", complete, seen.complete);
  if (left == 0) at_least("bytes to clients", metrics.bytes_to_clients, seen.body_bytes);
  for (const auto& [of, answers] : seen.answers)
    equal("answers of a status", by_status(metrics, of), answers);
}

}  // namespace sluice::sim
