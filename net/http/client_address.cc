#include "net/http/client_address.h"

#include <algorithm>
#include <optional>

#include "net/http/text.h"

namespace sluice {

namespace {

// "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:80".
std::optional<Address> hop_address(std::string_view text) {
  if (text.starts_with('[')) return parse_ip(text.substr(1, text.find(']') - 1));
  size_t colon = text.find(':');
  bool has_port = colon != text.npos && text.find(':', colon + 1) == text.npos;
  return parse_ip(has_port ? text.substr(0, colon) : text);
}

}  // namespace

bool in_any(const std::vector<AddressRange>& ranges, const Address& address) {
  return std::ranges::any_of(
      ranges, [&address](const AddressRange& range) { return range.contains(address); });
}

std::string forwarded_client(const Head& request, std::string_view peer,
                             const std::vector<AddressRange>& trusted) {
  std::string client(peer);
  for (size_t i = request.field_count(); i-- > 0;) {
    const Head::Field field = request.field(i);
    if (!equals_ignoring_case(field.name, "x-forwarded-for")) continue;
    std::string_view list = field.value;
    while (!list.empty()) {
      size_t comma = list.rfind(',');
      std::string_view hop = trim_blanks(comma == list.npos ? list : list.substr(comma + 1));
      list = comma == list.npos ? std::string_view() : list.substr(0, comma);
      if (hop.empty()) continue;
      std::optional<Address> address = hop_address(hop);
      if (!address) return client;
      client = address->ip();
      if (!in_any(trusted, *address)) return client;
    }
  }
  return client;
}

}  // namespace sluice
