// The hosts that a Httpd answers for, as a request's Host names them. A browser can be made to
// take any name of an attacker's for this machine (DNS rebinding) and then lets the attacker's page
// read what the name's server answers; but the Host that it sends is still that name. So only what
// no stranger can own is answered: loopback, the address that the client has connected to, and
// names that the operator gave. Immutable, any thread.
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
  // Ports do not count: a tunnel or a container's host may use another one, and no attack needs to.
  bool include(const Head& request, const Address& local) const;

 private:
  std::vector<std::string> names_;
};

}  // namespace sluice
