#include "net/httpd/hosts.h"

#include <algorithm>
#include <optional>

#include "net/http/target.h"
#include "net/http/text.h"

namespace sluice {
namespace {

std::string_view host_of(std::string_view authority) {
  if (authority.starts_with('[')) return authority.substr(1, authority.find(']') - 1);
  return authority.substr(0, authority.find(':'));
}

// One spelling for each host: an address as the system writes it; a name in lower case, without the
// dot of the root.
std::string canonical(std::string_view host) {
  if (std::optional<Address> address = parse_ip(host)) return address->ip();
  std::string name(host);
  std::ranges::transform(name, name.begin(), ascii_lower);
  if (name.ends_with('.')) name.pop_back();
  return name;
}

bool is_loopback(const std::string& host) {
  return host == "localhost" || host == "::1" || (host.starts_with("127.") && parse_ip(host));
}

}  // namespace

HttpdHosts::HttpdHosts(const std::vector<std::string>& names) {
  for (const std::string& name : names) names_.push_back(canonical(name));
}

bool HttpdHosts::include(const Head& request, const Address& local) const {
  Target target = split_target(request.target());
  bool names_host = target.form == TargetForm::kAbsolute || target.form == TargetForm::kAuthority;
  std::optional<std::string_view> authority = request.find("host");
  if (names_host) authority = target.authority;
  // Only HTTP/1.0 may leave it out. No browser does, so no stranger's page is behind it; the health
  // checks of load balancers do.
  if (!authority) return true;
  std::string host = canonical(host_of(*authority));
  return is_loopback(host) || host == local.ip() || std::ranges::find(names_, host) != names_.end();
}

}  // namespace sluice
