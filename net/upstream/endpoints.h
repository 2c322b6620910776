// All upstreams of one worker, by their numbers, and the choice within a route's group: which of
// its upstreams may have a request (the board and the breakers say), and which of those gets it
// (the balancer says). An endpoint with a name is made with the configuration, so that its name is
// looked up by the time of the first request; any other is made when it is first asked for. It goes
// when no route names it any more and its last connection has closed: a stream of an older
// configuration that asks once more just has it made anew. Owned by the gateway, used on its
// worker's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "net/upstream/balance.h"
#include "net/upstream/endpoint.h"

namespace sluice {

class Endpoints final : public UpstreamSource {
 public:
  Endpoints(WorkerContext& context, Resolver& resolver, Connector& connector,
            CloseWatcher& watcher);

  // UpstreamSource
  void on_request_head(const Stream& stream, const Head& head) override;
  bool choose(Stream& stream, uint64_t tried) override;
  bool stands(const Stream& stream) override;
  void acquire(Stream& stream, bool fresh) override;
  void forget(Stream& stream) override;
  void attempt_answered(const Stream& stream, int status) override;
  void attempt_ended(const Stream& stream, const AttemptOutcome& outcome) override;
  const RequestWriter& writer(const Stream&) const override { return shared_.connector.writer(); }

  // For probes, whose connections are beside the pools. nullopt: it is being looked up.
  std::optional<std::vector<Address>> addresses_to_probe(const Upstream& upstream);
  void probe_failed_at(const Upstream& upstream, const Address& address);

  // The configuration is another one from here on.
  void reload();
  // Once a second: deletes what is no longer used.
  void housekeep();
  void close_idle();
  // Those that have been asked for and are not gone.
  size_t count() const;
  size_t connections() const { return shared_.counts.connections; }
  size_t idle() const { return shared_.counts.idle; }

 private:
  // How willingly a group's requests are given to an upstream: the lowest rank that there is has
  // them all.
  enum class Rank : uint8_t { kServes, kBacksUp, kFull, kEjected, kDrained, kTried };

  Endpoint& endpoint(const Upstream& upstream);
  Rank rank_of(const Upstream& upstream, const StreamSettings& settings) const;
  bool without_address(const Upstream& upstream) const;
  bool begins_trial_if_due(const Stream& stream, const Upstream& upstream);
  void drop_trial_not_begun();
  void tell_breaker(const Stream& stream, std::optional<EjectReason> failure);
  bool others_left(uint32_t id) const;
  uint64_t now_ms() const { return shared_.context.loop.now_ms(); }
  UpstreamBoard& board() const { return shared_.context.snapshot->board(); }
  void look_names_up();
  std::vector<std::optional<uint64_t>> limits() const;

  PoolContext shared_;
  std::vector<std::unique_ptr<Endpoint>> endpoints_;  // by their numbers; null where there is none
  Balancer balancer_;
  // Of the stream whose head came last: what of it is hashed.
  uint64_t keyed_stream_ = UINT64_MAX;
  std::optional<uint64_t> key_;
  // Chosen for a trial by a stream that has not asked for it yet, and may never do.
  Endpoint* trial_not_begun_ = nullptr;
};

}  // namespace sluice
