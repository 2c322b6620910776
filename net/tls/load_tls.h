// Reads the certificates and keys that a configuration names, and makes of them what its workers
// need. Runs where the configuration is read: at the start, with --check, and at each reload, on a
// thread that serves nobody. Where anything is wrong the configuration is not used.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "net/config/config.h"
#include "net/tls/ticket_keys.h"
#include "net/tls/tls_clients.h"

namespace sluice {

// The part towards clients: that of their listeners. Notes what its files were like before.
std::string load_tls_server(Config& config, const std::shared_ptr<TicketKeys>& ticket_keys,
                            std::vector<std::string>& warnings);

// "" or what is wrong, in a line: where, what, what would be right. Keys of tickets and clients
// live from one configuration to the next.
std::string load_tls(Config& config, const std::shared_ptr<TicketKeys>& ticket_keys,
                     TlsClients& clients, std::vector<std::string>& warnings);

}  // namespace sluice
