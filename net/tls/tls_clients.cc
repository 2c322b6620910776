#include "net/tls/tls_clients.h"

#include <utility>

namespace sluice {

std::string TlsClients::load(Config& config, std::vector<std::string>& warnings) {
  ByUrl clients;
  stores_.look_again();
  for (Route& route : config.routes) {
    for (Upstream& upstream : route.upstreams) {
      if (!upstream.tls_settings) continue;
      auto [place, is_new] = clients.try_emplace(upstream.url);
      if (is_new) {
        std::string wrong;
        place->second = find(upstream, &wrong);
        if (!wrong.empty()) return "upstream " + upstream.url + ": " + wrong;
        if (upstream.tls_settings->insecure)
          warnings.push_back("upstream " + upstream.url +
                             " is not verified (insecure=on): anybody between may read and change "
                             "what is said");
      }
      upstream.tls = place->second.client;
    }
  }
  stores_.drop_others();
  clients_ = std::move(clients);
  return "";
}

TlsClients::Kept TlsClients::find(const Upstream& upstream, std::string* wrong) {
  const UpstreamTls& settings = *upstream.tls_settings;
  x509_store_st* trusted = settings.insecure ? nullptr : stores_.find(settings.ca, wrong);
  if (!wrong->empty()) return {};
  Kept now{.own = {}, .trusted = trusted, .client = nullptr};
  if (!settings.cert.empty()) now.own = stamps_of({settings.cert, settings.key});
  auto before = clients_.find(upstream.url);
  bool same = before != clients_.end() && before->second.own == now.own &&
              before->second.trusted == trusted;
  now.client = same ? before->second.client : TlsClient::make(upstream, trusted, wrong);
  return now;
}

}  // namespace sluice
