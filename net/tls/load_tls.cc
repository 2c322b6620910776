#include "net/tls/load_tls.h"

#include <utility>

#include "core/clock.h"
#include "net/tls/ocsp.h"
#include "net/tls/tls_server.h"

namespace sluice {

namespace {

std::string load_ocsp(Config& config, std::vector<Credentials>& all,
                      std::vector<std::string>& warnings) {
  for (const std::string& file : config.tls_ocsp_files) {
    size_t which = 0;
    std::string wrong = read_ocsp(file, all, &which);
    if (!wrong.empty()) return "tls-ocsp: " + wrong;
    config.tls_keys[which].ocsp_expires_s = all[which].ocsp_expires_s;
    if (all[which].ocsp_expires_s <= static_cast<int64_t>(wall_clock_ms() / 1000))
      warnings.push_back("tls-ocsp: " + file + " has expired and is not sent");
  }
  return "";
}

std::vector<std::string> files_towards_clients(const Config& config) {
  std::vector<std::string> files = config.tls_ocsp_files;
  for (const TlsKeyPair& pair : config.tls_keys) files.insert(files.end(), {pair.cert, pair.key});
  for (const std::string& file : {config.tls_ticket_keys_file, config.tls_client_ca_file})
    if (!file.empty()) files.push_back(file);
  return files;
}

}  // namespace

std::string load_tls_server(Config& config, const std::shared_ptr<TicketKeys>& ticket_keys,
                            std::vector<std::string>& warnings) {
  config.tls_server_files = stamps_of(files_towards_clients(config));
  std::vector<Credentials> all;
  for (TlsKeyPair& pair : config.tls_keys) {
    Credentials& one = all.emplace_back();
    std::string wrong = read_credentials(pair.cert, pair.key, &one);
    if (!wrong.empty()) return "tls-cert: " + wrong;
    pair.expires_s = one.expires_s;
    pair.ocsp_expires_s = 0;
    if (one.expires_s <= static_cast<int64_t>(wall_clock_ms() / 1000))
      warnings.push_back("tls-cert: " + pair.cert + " has expired; clients will refuse it");
  }
  if (all.empty()) return "";
  if (std::string wrong = load_ocsp(config, all, warnings); !wrong.empty()) return wrong;
  std::shared_ptr<TicketKeys> keys = ticket_keys;
  if (!config.tls_ticket_keys_file.empty()) {
    std::vector<TicketKeys::Key> given;
    std::string wrong = read_ticket_keys(config.tls_ticket_keys_file, &given);
    if (!wrong.empty()) return "tls-ticket-keys: " + wrong;
    keys = std::make_shared<TicketKeys>(std::move(given));
  }
  std::string wrong;
  config.tls_server = TlsServer::make(
      std::move(all), std::move(keys), config.http2, config.tls_lean_records, &wrong,
      {.ca_file = config.tls_client_ca_file,
       .required = config.tls_client_auth == ClientAuth::kRequired});
  return wrong.empty() ? "" : "tls-cert: " + wrong;
}

std::string load_tls(Config& config, const std::shared_ptr<TicketKeys>& ticket_keys,
                     TlsClients& clients, std::vector<std::string>& warnings) {
  std::string wrong = load_tls_server(config, ticket_keys, warnings);
  return wrong.empty() ? clients.load(config, warnings) : wrong;
}

}  // namespace sluice
