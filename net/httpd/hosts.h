// The hosts that a Httpd answers for, as a request's Host names them. An attacker can make a
// browser take any name of his for this machine (DNS rebinding); the browser then lets the
// attacker's page read the answers of that name's server. But the Host that it sends is still that
// name. So only hosts that no stranger can own get answers: loopback, the address that the client
// has connected to, and the operator's names. Immutable, any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "net/base/address.h"
#include "net/http/head.h"

namespace sluice {

class HttpdHosts {
 public:
  // Host names and IP addresses, without port.
  explicit HttpdHosts(const std::vector<std::string>& names);

  // Whether the request is for one of them; `local` is the address that its client connected to.
  // Ports do not count: a tunnel or a container's host may use another one, and no attack needs
  // one.
  bool include(const Head& request, const Address& local) const;

 private:
  std::vector<std::string> names_;
};

}  // namespace sluice
