// What TLS needs towards one upstream: whom to trust, the name that its certificate must carry, a
// certificate of our own where it wants one, and the sessions to resume. Made of a configuration
// and shared by all workers. Immutable but for the sessions, which lie behind a lock: a handshake
// is rare, and what one worker has learnt serves all. Kept over reloads while it is made of the
// same (net/tls/tls_clients.h).
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "net/base/tls_results.h"
#include "net/config/config.h"
#include "net/tls/handles.h"
#include "net/tls/record_sizes.h"
#include "net/transport/transform.h"

namespace sluice {

class TlsClient {
 public:
  // `trusted`: the CAs, where it is not insecure. Null, and *wrong says why.
  static std::shared_ptr<const TlsClient> make(const Upstream& upstream, x509_store_st* trusted,
                                               std::string* wrong);
  ~TlsClient();
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;

 private:
  friend std::unique_ptr<Transform> connect_tls(std::shared_ptr<const TlsClient> client,
                                                TlsCounters& counters, uint64_t records_per_key);

  TlsClient() = default;
  std::string set_up(const UpstreamTls& settings, x509_store_st* trusted);
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
                                       TlsCounters& counters,
                                       uint64_t records_per_key = kRecordsPerKey);

}  // namespace sluice
