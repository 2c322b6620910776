#include "net/tls/tls_clients.h"

#include <set>
#include <utility>

namespace sluice {

std::string TlsClients::load(Config& config, std::vector<std::string>& warnings) {
  std::map<std::string, std::shared_ptr<const TlsClient>> read;
  drop_unused();
  stores_.look_again();
  for (Route& route : config.routes) {
    for (Upstream& upstream : route.upstreams) {
      if (!upstream.tls_settings) continue;
      auto [place, is_new] = read.try_emplace(upstream.url);
      if (is_new) {
        std::string wrong;
        place->second = find(upstream, &wrong);
        if (!wrong.empty()) return "upstream " + upstream.url + ": " + wrong;
        if (upstream.tls_settings->insecure)
          warnings.push_back("upstream " + upstream.url +
                             " is not verified (insecure=on): anybody between may read and change "
                             "what is said");
      }
      upstream.tls = place->second;
    }
  }
  return "";
}

std::shared_ptr<const TlsClient> TlsClients::find(const Upstream& upstream, std::string* wrong) {
  const UpstreamTls& settings = *upstream.tls_settings;
  Kept now;
  if (!settings.insecure) now.trusted = stores_.find(settings.ca, wrong);
  if (!wrong->empty()) return nullptr;
  if (!settings.cert.empty()) now.own = stamps_of({settings.cert, settings.key});
  auto [first, end] = clients_.equal_range(upstream.url);
  for (; first != end; ++first)
    if (first->second.own == now.own && first->second.trusted == now.trusted)
      return first->second.client;
  now.client = TlsClient::make(upstream, now.trusted, wrong);
  if (!now.client) return nullptr;
  return clients_.emplace(upstream.url, std::move(now))->second.client;
}

// Nobody but this has it, so nobody can get it from elsewhere at this moment.
void TlsClients::drop_unused() {
  std::erase_if(clients_, [](const auto& entry) { return entry.second.client.use_count() == 1; });
  std::set<const x509_store_st*> used;
  for (const auto& [url, kept] : clients_) used.insert(kept.trusted);
  stores_.drop_others(used);
}

}  // namespace sluice
