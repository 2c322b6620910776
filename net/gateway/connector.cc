#include "net/gateway/connector.h"

#include "net/http1/upstream_conn.h"
#include "net/http1/writer.h"
#include "net/tls/tls_client.h"

namespace sluice {

// It deletes itself when it has closed.
PooledConn& UpstreamConnector::connect(UpstreamPool& pool) {
  return *new UpstreamConn(pool, wire(pool.tls()));
}

const RequestWriter& UpstreamConnector::writer() const {
  return http1_request_writer();
}

std::unique_ptr<WireQueue> UpstreamConnector::wire(const std::shared_ptr<const TlsClient>& tls) {
  if (!tls) return nullptr;
  return std::make_unique<WireQueue>(context_.memory,
                                     connect_tls(tls, context_.metrics.upstream_tls));
}

}  // namespace sluice
