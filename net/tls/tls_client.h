// What TLS needs towards one upstream: whom to trust, the name that its certificate must carry, a
// certificate of our own where it wants one, and the sessions to resume. Made of a configuration
// and shared by all workers. Immutable but for the sessions, which lie behind a lock: a handshake
// is rare, and what one worker has learnt serves all. A reload makes another one, so no session
// outlives the trust that it came from.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "net/base/tls_results.h"
#include "net/config/config.h"
#include "net/tls/handles.h"
#include "net/transport/transform.h"

namespace sluice {

// Certificates of CAs, each file read once for all upstreams that name it; they are large.
class TrustStores {
 public:
  // Of the system where `file` is empty. Null, and *wrong says why.
  x509_store_st* find(const std::string& file, std::string* wrong);

 private:
  std::map<std::string, Handle<x509_store_st>> stores_;
};

class TlsClient {
 public:
  // Null, and *wrong says why.
  static std::shared_ptr<const TlsClient> make(const Upstream& upstream, TrustStores& stores,
                                               std::string* wrong);
  ~TlsClient();
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;

 private:
  friend std::unique_ptr<Transform> connect_tls(std::shared_ptr<const TlsClient> client,
                                                TlsCounters& counters);

  TlsClient() = default;
  std::string set_up(const UpstreamTls& settings, TrustStores& stores);
  bool keep(ssl_session_st* session) const;
  Handle<ssl_session_st> take_session() const;

  std::string name_;  // that its certificate must carry
  bool is_ip_ = false;
  Handle<ssl_ctx_st> context_;
  mutable std::mutex lock_;
  mutable std::vector<Handle<ssl_session_st>> sessions_;  // the newest is the last
};

// The transform of a connection to that upstream.
std::unique_ptr<Transform> connect_tls(std::shared_ptr<const TlsClient> client,
                                       TlsCounters& counters);

}  // namespace sluice
