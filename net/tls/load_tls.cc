#include "net/tls/load_tls.h"

#include <map>
#include <utility>

#include "core/clock.h"
#include "net/tls/tls_client.h"
#include "net/tls/tls_server.h"

namespace sluice {

namespace {

std::string load_server(Config& config, const std::shared_ptr<TicketKeys>& ticket_keys,
                        std::vector<std::string>& warnings) {
  std::vector<Credentials> all;
  for (TlsKeyPair& pair : config.tls_keys) {
    Credentials& one = all.emplace_back();
    std::string wrong = read_credentials(pair.cert, pair.key, &one);
    if (!wrong.empty()) return "tls-cert: " + wrong;
    pair.expires_s = one.expires_s;
    if (one.expires_s <= static_cast<int64_t>(wall_clock_ms() / 1000))
      warnings.push_back("tls-cert: " + pair.cert + " has expired; clients will refuse it");
  }
  if (all.empty()) return "";
  std::string wrong;
  config.tls_server =
      TlsServer::make(std::move(all), ticket_keys, config.http2, config.tls_lean_records, &wrong);
  return wrong.empty() ? "" : "tls-cert: " + wrong;
}

// One for each url: what an upstream is trusted by is a part of that.
std::string load_clients(Config& config, std::vector<std::string>& warnings) {
  TrustStores stores;
  std::map<std::string, std::shared_ptr<const TlsClient>> clients;
  for (Route& route : config.routes) {
    for (Upstream& upstream : route.upstreams) {
      if (!upstream.tls_settings) continue;
      std::shared_ptr<const TlsClient>& client = clients[upstream.url];
      if (!client) {
        std::string wrong;
        client = TlsClient::make(upstream, stores, &wrong);
        if (!client) return "upstream " + upstream.url + ": " + wrong;
        if (upstream.tls_settings->insecure)
          warnings.push_back("upstream " + upstream.url +
                             " is not verified (insecure=on): anybody between may read and change "
                             "what is said");
      }
      upstream.tls = client;
    }
  }
  return "";
}

}  // namespace

std::string load_tls(Config& config, const std::shared_ptr<TicketKeys>& ticket_keys,
                     std::vector<std::string>& warnings) {
  std::string wrong = load_server(config, ticket_keys, warnings);
  return wrong.empty() ? load_clients(config, warnings) : wrong;
}

}  // namespace sluice
