// Makes a worker's connections to upstreams: HTTP/1, over TLS where the upstream is an https one.
// Owned by the gateway, used on its worker's thread.
#pragma once

#include <memory>

#include "net/context/worker_context.h"
#include "net/transport/wire_queue.h"
#include "net/upstream/pool.h"

namespace sluice {

class UpstreamConnector final : public Connector {
 public:
  explicit UpstreamConnector(WorkerContext& context) : context_(context) {}

  // Connector
  PooledConn& connect(UpstreamPool& pool) override;
  const RequestWriter& writer() const override;

  // What a connection to such an upstream begins with; null: plain.
  std::unique_ptr<WireQueue> wire(const std::shared_ptr<const TlsClient>& tls);

 private:
  WorkerContext& context_;
};

}  // namespace sluice
