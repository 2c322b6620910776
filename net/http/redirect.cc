#include "net/http/redirect.h"

#include <algorithm>
#include <string_view>

#include "net/http/target.h"

namespace sluice {

namespace {

constexpr uint16_t kHttpsPort = 443;
constexpr size_t kHostBytesMax = 255;

bool is_alnum(char c) {
  char lower = static_cast<char>(c | 0x20);
  return (c >= '0' && c <= '9') || (lower >= 'a' && lower <= 'z');
}

// Stricter than RFC 3986's reg-name, as this stands in a url of ours: a name, an address, or an
// IPv6 address in brackets.
bool is_plain_host(std::string_view host) {
  if (host.starts_with('[')) {
    return host.size() > 2 && host.ends_with(']') &&
           std::ranges::all_of(host.substr(1, host.size() - 2),
                               [](char c) { return is_alnum(c) || c == ':' || c == '.'; });
  }
  return !host.empty() && std::ranges::all_of(host, [](char c) {
    return is_alnum(c) || c == '.' || c == '-' || c == '_';
  });
}

std::string_view without_port(std::string_view authority) {
  size_t bracket = authority.rfind(']');
  size_t colon = authority.find(':', bracket == authority.npos ? 0 : bracket);
  return authority.substr(0, colon);
}

// A url is visible ASCII. A head's target holds no blanks or controls, but maybe bytes beyond.
void append_visible(std::string_view text, std::string& out) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  for (char c : text) {
    auto byte = static_cast<uint8_t>(c);
    if (byte > 0x20 && byte < 0x7f)
      out += c;
    else
      ((out += '%') += kHex[byte >> 4]) += kHex[byte & 15];
  }
}

}  // namespace

std::optional<std::string> https_location(const Head& request, uint16_t port) {
  Target target = split_target(request.target());
  std::string_view authority =
      target.form == TargetForm::kAbsolute ? target.authority : request.find("host").value_or("");
  std::string_view host = without_port(authority);
  if (host.size() > kHostBytesMax || !is_plain_host(host) ||
      !is_authority(authority, Port::kOptional))
    return std::nullopt;
  std::string location = "https://" + std::string(host);
  if (port != kHttpsPort) location += ':' + std::to_string(port);
  bool has_path = target.form != TargetForm::kAsterisk && !target.path.empty();
  append_visible(has_path ? target.path : "/", location);
  append_visible(target.query, location);
  return location;
}

}  // namespace sluice
