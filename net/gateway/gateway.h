// One worker's rooms, wired together: its context, streams, clients and upstreams. Owned by the
// worker, used on its thread only. It makes the rooms and ends them; they do the work.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "core/log.h"
#include "core/loop.h"
#include "core/timer_wheel.h"
#include "net/context/worker_context.h"
#include "net/dns/resolver.h"
#include "net/gateway/clients.h"
#include "net/gateway/connector.h"
#include "net/gateway/upstream_router.h"
#include "net/hub/hubs.h"
#include "net/hub/sources.h"
#include "net/observe/stream_endings.h"
#include "net/observe/stream_list.h"
#include "net/probe/prober.h"
#include "net/stream/streams.h"
#include "net/transport/client_limit.h"
#include "net/upstream/endpoints.h"
#include "pool/chain.h"

namespace sluice {

class Gateway final : public TimerOwner, public TurnHook, public CloseWatcher {
 public:
  // `sockets` are owned from here on. `log` is the worker's queue, for messages and access lines.
  // `hub_process`: what it shares of hubs with other workers; null where there are none.
  Gateway(Loop& loop, Memory& memory, MemoryLimit& memory_limit,
          std::shared_ptr<const ConfigSnapshot> snapshot,
          const std::vector<ListeningSocket>& sockets, MessageLog& messages, LogQueue& log,
          ClientLimit& client_limit, Resolver& resolver, unsigned worker,
          HubProcess* hub_process = nullptr);
  ~Gateway();
  Gateway(const Gateway&) = delete;
  Gateway& operator=(const Gateway&) = delete;

  WorkerContext& context() { return context_; }
  const WorkerContext& context() const { return context_; }
  Loop& loop() { return context_.loop; }
  Metrics& metrics() { return context_.metrics; }
  Streams& streams() { return streams_; }
  Endpoints& upstreams() { return upstreams_; }
  // Other workers have sent something to its hubs, or have ended.
  void on_hub_news();
  const Prober& prober() const { return prober_; }

  // At this turn's end: what begins from then on follows that configuration, and what is under way
  // keeps the one that it began with. `sockets` are those of its new listeners, owned from here on;
  // `done` runs when it has happened.
  void reload(std::shared_ptr<const ConfigSnapshot> snapshot, std::vector<ListeningSocket> sockets,
              std::function<void()> done);
  // From now on answers say that their connection ends, so that few are idle when the drain begins.
  void say_close() { context_.drain_announced = true; }
  // Stops accepting, closes idle connections; the loop stops when the last client is gone and no
  // other worker needs this one's hubs.
  void drain();
  // Drains, and ends what is left, spread over kEndingMs.
  void end_all();
  // The same at once.
  void abort_all();

  // A copy of counters, whatever the number of streams.
  void snapshot(WorkerSnapshot& into) const;
  void list_streams(std::vector<StreamInfo>& into) const { sluice::list_streams(streams_, into); }

  void on_timer() override;
  void on_turn_end() override;
  void connection_closed() override;

 private:
  class EndpointsToProbe final : public ProbeTargets {
   public:
    EndpointsToProbe(Endpoints& upstreams, UpstreamConnector& connector)
        : upstreams_(upstreams), connector_(connector) {}
    std::optional<std::vector<Address>> addresses_to_probe(const Upstream& upstream) override {
      return upstreams_.addresses_to_probe(upstream);
    }
    std::unique_ptr<WireQueue> wire_to_probe(const Upstream& upstream) override {
      return connector_.wire(upstream.tls);
    }
    void probe_failed_at(const Upstream& upstream, const Address& address) override {
      upstreams_.probe_failed_at(upstream, address);
    }

   private:
    Endpoints& upstreams_;
    UpstreamConnector& connector_;
  };
  struct Reload {
    std::shared_ptr<const ConfigSnapshot> snapshot;
    std::vector<ListeningSocket> sockets;
    std::function<void()> done;
  };

  void apply(const Reload& reload);
  void end_some();

  WorkerContext context_;
  Timer timer_;  // once a second: housekeeping; in the end: end_some()
  UpstreamConnector connector_;
  Endpoints upstreams_;
  EndpointsToProbe probe_targets_;
  Prober prober_;
  Hubs hubs_;
  UpstreamRouter router_;
  StreamEndings endings_;
  Streams streams_;
  HubSources sources_;
  Clients clients_;
  std::vector<Reload> reloads_;  // asked for in this turn
  bool ending_ = false;
};

}  // namespace sluice
