// What TLS needs towards clients: certificates with their keys, chosen by the name that the client
// asks for (SNI), the protocols that are offered to it (ALPN), and the keys of session tickets.
// Made of a configuration and immutable; shared by all workers, and kept by handshakes that began
// under it. The first certificate is for clients that ask for no name, or for one that none has.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "net/base/tls_results.h"
#include "net/tls/client_trust.h"
#include "net/tls/credentials.h"
#include "net/tls/record_sizes.h"
#include "net/tls/ticket_keys.h"
#include "net/transport/transform.h"

namespace sluice {

class TlsServer {
 public:
  // `certificates`: at least one. `http2`: is offered, too. `lean`: --tls-records. Null, and *wrong
  // says why, where OpenSSL takes one for too weak, or `trust` cannot be read.
  static std::shared_ptr<const TlsServer> make(std::vector<Credentials> certificates,
                                               std::shared_ptr<TicketKeys> ticket_keys, bool http2,
                                               bool lean, std::string* wrong,
                                               const ClientTrust& trust = {});

  // Which of the certificates a client that asks for that name gets.
  size_t choose(std::string_view name) const;

 private:
  friend std::unique_ptr<Transform> accept_tls(std::shared_ptr<const TlsServer> server,
                                               TlsCounters& counters, uint64_t records_per_key);

  TlsServer(std::vector<Credentials> certificates, std::shared_ptr<TicketKeys> ticket_keys,
            bool http2);
  std::string set_up();
  int use_certificate(ssl_st* ssl) const;
  int staple(ssl_st* ssl) const;

  const std::vector<Credentials> certificates_;
  const std::shared_ptr<TicketKeys> ticket_keys_;
  std::string_view protocols_;                           // what is offered by ALPN
  std::unordered_map<std::string, size_t> by_name_;      // "www.example.com"
  std::unordered_map<std::string, size_t> by_wildcard_;  // "example.com", of "*.example.com"
  Handle<ssl_ctx_st> context_;
};

// The transform of a client's connection.
std::unique_ptr<Transform> accept_tls(std::shared_ptr<const TlsServer> server,
                                      TlsCounters& counters,
                                      uint64_t records_per_key = kRecordsPerKey);

}  // namespace sluice
