// What TLS needs towards all https upstreams, kept from one reading of the configuration to the
// next: an upstream whose url and files are the same keeps its TlsClient, and with it connections
// and sessions. Others get a new one, so that no session outlives the trust that it came from: a
// resumed session is not verified again. A reading may come to nothing; so what a configuration
// that runs has is kept, too. Owned by whoever reads configurations, and used there.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/file_stamps.h"
#include "net/config/config.h"
#include "net/tls/tls_client.h"
#include "net/tls/trust_stores.h"

namespace sluice {

class TlsClients {
 public:
  // Gives each https upstream of the configuration its TlsClient. "" or what is wrong, in a line.
  std::string load(Config& config, std::vector<std::string>& warnings);

 private:
  struct Kept {
    FileStamps own;  // of the certificate that is shown and its key, from before they were read
    x509_store_st* trusted = nullptr;  // the client's as well, so no other is in its place
    std::shared_ptr<const TlsClient> client;
  };

  std::shared_ptr<const TlsClient> find(const Upstream& upstream, std::string* wrong);
  void drop_unused();

  TrustStores stores_;
  // By url: how an upstream is trusted is a part of that. Several, where its files have changed.
  std::multimap<std::string, Kept> clients_;
};

}  // namespace sluice
