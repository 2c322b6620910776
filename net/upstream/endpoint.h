// One upstream as a worker knows it while it runs: what requests to it are counted, its breaker,
// and its pools of connections. All routes that name its url share it, and it outlives reloads that
// keep it. Connections are made as the route says (socket buffers, keep-alive, limits), so there is
// a pool for each kind of them: most often one. Owned by Endpoints, used on its worker's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "net/upstream/breaker.h"
#include "net/upstream/pool.h"

namespace sluice {

class Endpoint {
 public:
  Endpoint(PoolContext& shared, const Upstream& upstream)
      : shared_(shared),
        upstream_(upstream),
        breaker_(board().health(upstream.id), shared.context.number) {}

  uint32_t id() const { return upstream_.id; }

  // The pool for connections of that kind.
  UpstreamPool& pool(const ConnectionSettings& settings);
  // Null: there is none.
  UpstreamPool* find_pool(const ConnectionSettings& settings);

  // A stream begins an attempt here; every one ends once.
  void attempt_begun();
  void attempt_ended(const AttemptOutcome& outcome);
  Breaker& breaker() { return breaker_; }
  const std::string& url() const { return upstream_.url; }

  // For a change of the configuration: all its pools are retired first, then those that a route
  // uses are taken back, and then those that are left keep no idle connection.
  void retire_pools();
  void close_retired();
  // Deletes retired pools that are empty; true where none is left.
  bool shrink();
  void close_idle();

 private:
  UpstreamBoard& board() const { return shared_.context.snapshot->board(); }
  UpstreamMetrics& metrics() { return shared_.context.metrics.of_upstream(id()); }

  PoolContext& shared_;
  const Upstream upstream_;
  Breaker breaker_;
  std::vector<std::unique_ptr<UpstreamPool>> pools_;
};

}  // namespace sluice
