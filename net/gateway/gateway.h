// One worker's rooms, wired together: its context, streams, clients and upstreams. Owned by the
// worker, used on its thread only. It makes the rooms and ends them; they do the work.
#pragma once

#include <cstdint>
#include <vector>

#include "core/log.h"
#include "core/loop.h"
#include "core/timer_wheel.h"
#include "net/config/config.h"
#include "net/context/worker_context.h"
#include "net/gateway/clients.h"
#include "net/http1/upstream_conn.h"
#include "net/observe/access_log.h"
#include "net/observe/stream_endings.h"
#include "net/observe/stream_list.h"
#include "net/stream/streams.h"
#include "net/transport/client_limit.h"
#include "net/upstream/pool.h"
#include "pool/chain.h"

namespace sluice {

class Gateway final : public TimerOwner, public CloseWatcher {
 public:
  // `listeners` are listening fds, owned from here on.
  Gateway(Loop& loop, Memory& memory, MemoryLimit& memory_limit, const Config& config,
          const std::vector<int>& listeners, MessageLog& messages, AccessLog* access_log,
          ClientLimit& client_limit, unsigned worker);
  ~Gateway();
  Gateway(const Gateway&) = delete;
  Gateway& operator=(const Gateway&) = delete;

  WorkerContext& context() { return context_; }
  const WorkerContext& context() const { return context_; }
  Loop& loop() { return context_.loop; }
  Metrics& metrics() { return context_.metrics; }
  Streams& streams() { return streams_; }
  UpstreamPools& upstreams() { return upstreams_; }

  // From now on answers say that their connection ends, so that few are idle when the drain begins.
  void say_close() { context_.drain_announced = true; }
  // Stops accepting, closes idle connections; the loop stops when the last client is gone.
  void drain();
  // Drains, and ends what is left, spread over kEndingMs.
  void end_all();
  // The same at once.
  void abort_all();

  // A copy of counters, whatever the number of streams.
  void snapshot(WorkerSnapshot& into) const;
  void list_streams(std::vector<StreamInfo>& into) const { sluice::list_streams(streams_, into); }

  void on_timer() override;
  void connection_closed() override;

 private:
  void end_some();

  WorkerContext context_;
  Timer timer_;  // once a second: housekeeping; in the end: end_some()
  Http1Connector connector_;
  UpstreamPools upstreams_;
  StreamEndings endings_;
  Streams streams_;
  Clients clients_;
  bool ending_ = false;
};

}  // namespace sluice
