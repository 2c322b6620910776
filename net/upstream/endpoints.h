// All upstreams of one worker, by their numbers, and the choice within a route's group. An endpoint
// is made when it is first asked for, and goes when no route names it any more and its last
// connection has closed: a stream of an older configuration that asks once more just has it made
// anew. Owned by the gateway, used on its worker's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "net/upstream/endpoint.h"

namespace sluice {

class Endpoints final : public UpstreamSource {
 public:
  Endpoints(WorkerContext& context, Connector& connector, CloseWatcher& watcher)
      : shared_{context, connector, watcher} {}

  // UpstreamSource
  bool choose(Stream& stream, uint64_t tried) override;
  void acquire(Stream& stream, bool fresh) override;
  void forget(Stream& stream) override;
  void attempt_ended(const Stream& stream, const AttemptOutcome& outcome) override;
  const RequestWriter& writer(const Stream&) const override { return shared_.connector.writer(); }

  // The configuration is another one from here on.
  void reload();
  // Once a second: deletes what is no longer used.
  void housekeep();
  void close_idle();
  size_t connections() const { return shared_.counts.connections; }
  size_t idle() const { return shared_.counts.idle; }

 private:
  Endpoint& endpoint(const Upstream& upstream);
  std::vector<std::optional<uint64_t>> limits() const;

  PoolContext shared_;
  std::vector<std::unique_ptr<Endpoint>> endpoints_;  // by their numbers; null where there is none
  std::vector<uint32_t> turns_;                       // of each route, by its number: round robin
};

}  // namespace sluice
