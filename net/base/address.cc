#include "net/base/address.h"

#include <algorithm>
#include <arpa/inet.h>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <iterator>
#include <memory>
#include <netdb.h>
#include <span>
#include <sys/un.h>
#include <unistd.h>

#include "core/text.h"

namespace sluice {
namespace {

const sockaddr_in& v4(const Address& address) {
  return reinterpret_cast<const sockaddr_in&>(address.storage);
}

const sockaddr_in6& v6(const Address& address) {
  return reinterpret_cast<const sockaddr_in6&>(address.storage);
}

Address from_v4(in_addr ip) {
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_addr = ip;
  Address address;
  std::memcpy(&address.storage, &in, sizeof in);
  address.size = sizeof in;
  return address;
}

Address from_v6(in6_addr ip) {
  sockaddr_in6 in{};
  in.sin6_family = AF_INET6;
  in.sin6_addr = ip;
  Address address;
  std::memcpy(&address.storage, &in, sizeof in);
  address.size = sizeof in;
  return address;
}

// A dual-stack listener sees IPv4 clients as ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2).
bool is_v4_mapped(const Address& address) {
  return address.storage.ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&v6(address).sin6_addr);
}

// The bytes that tell one host from another: those of an IPv4 address, even if it is mapped.
std::span<const uint8_t> ip_bytes(const Address& address) {
  if (address.storage.ss_family == AF_INET) {
    return {reinterpret_cast<const uint8_t*>(&v4(address).sin_addr), sizeof(in_addr)};
  }
  std::span<const uint8_t> bytes(v6(address).sin6_addr.s6_addr);
  return is_v4_mapped(address) ? bytes.last(sizeof(in_addr)) : bytes;
}

bool has_ipv6() {
  int fd = ::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  ::close(fd);
  return true;
}

// "::" with IPV6_V6ONLY off takes IPv4 too.
Address any_address() {
  return has_ipv6() ? from_v6(in6addr_any) : from_v4(in_addr{INADDR_ANY});
}

using AddressInfo = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

AddressInfo look_up(const std::string& host, int flags, int* status) {
  addrinfo hints{};
  hints.ai_flags = flags;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  *status = ::getaddrinfo(host.c_str(), nullptr, &hints, &found);
  return {*status == 0 ? found : nullptr, &::freeaddrinfo};
}

Address address_of(const addrinfo& info) {
  Address address;
  std::memcpy(&address.storage, info.ai_addr, info.ai_addrlen);
  address.size = info.ai_addrlen;
  return address;
}

// If a name has both kinds, IPv4: what shall reach "localhost" most often goes there.
std::optional<Address> resolve(const std::string& host, std::string* error) {
  int status = 0;
  AddressInfo list = look_up(host, 0, &status);
  if (!list) {
    const char* why = status == EAI_SYSTEM ? std::strerror(errno) : ::gai_strerror(status);
    *error = "cannot resolve '" + host + "': " + why;
    return std::nullopt;
  }
  for (const addrinfo* one = list.get(); one != nullptr; one = one->ai_next)
    if (one->ai_family == AF_INET) return address_of(*one);
  return address_of(*list);
}

}  // namespace

std::optional<Address> parse_ip(std::string_view text) {
  char terminated[INET6_ADDRSTRLEN] = {};
  if (text.size() >= sizeof terminated || text.find('\0') != text.npos) return std::nullopt;
  text.copy(terminated, text.size());
  in_addr ip4;
  if (::inet_pton(AF_INET, terminated, &ip4) == 1) return from_v4(ip4);
  in6_addr ip6;
  if (::inet_pton(AF_INET6, terminated, &ip6) == 1) return from_v6(ip6);
  return std::nullopt;
}

uint16_t Address::port() const {
  return ntohs(storage.ss_family == AF_INET ? v4(*this).sin_port : v6(*this).sin6_port);
}

void Address::set_port(uint16_t port) {
  if (storage.ss_family == AF_INET) {
    reinterpret_cast<sockaddr_in&>(storage).sin_port = htons(port);
  } else {
    reinterpret_cast<sockaddr_in6&>(storage).sin6_port = htons(port);
  }
}

Ip Ip::of(const Address& address) {
  Ip ip;
  if (address.storage.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address.storage);
    std::memcpy(ip.bytes.data(), &v6.sin6_addr, ip.bytes.size());
  } else if (address.storage.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address.storage);
    ip.bytes[10] = ip.bytes[11] = 0xff;
    std::memcpy(ip.bytes.data() + 12, &v4.sin_addr, 4);
  }
  return ip;
}

Address Ip::address() const {
  Address address;
  auto& v6 = reinterpret_cast<sockaddr_in6&>(address.storage);
  v6.sin6_family = AF_INET6;
  std::memcpy(&v6.sin6_addr, bytes.data(), bytes.size());
  address.size = sizeof(v6);
  return address;
}

std::string Address::ip() const {
  std::span<const uint8_t> bytes = ip_bytes(*this);
  char text[INET6_ADDRSTRLEN];
  if (bytes.size() != sizeof(in_addr)) {
    ::inet_ntop(AF_INET6, bytes.data(), text, sizeof text);
    return text;
  }
  // Not by inet_ntop(), which takes a tenth of a short request's time: it prints with a format.
  char* end = text;
  for (uint8_t byte : bytes) {
    if (end != text) *end++ = '.';
    end = std::to_chars(end, std::end(text), byte).ptr;
  }
  return {text, end};
}

std::string Address::text() const {
  std::string host = ip();
  if (host.find(':') != std::string::npos) host = "[" + host + "]";
  return host + ":" + std::to_string(port());
}

bool Address::same_ip(const Address& other) const {
  std::span<const uint8_t> ours = ip_bytes(*this);
  if (!std::ranges::equal(ours, ip_bytes(other))) return false;
  // A link-local address names another host on each link.
  return ours.size() == sizeof(in_addr) || v6(*this).sin6_scope_id == v6(other).sin6_scope_id;
}

bool Address::is_wildcard() const {
  return std::ranges::all_of(ip_bytes(*this), [](uint8_t byte) { return byte == 0; });
}

bool Address::is_loopback() const {
  std::span<const uint8_t> bytes = ip_bytes(*this);
  if (bytes.size() == sizeof(in_addr)) return bytes[0] == IN_LOOPBACKNET;
  return IN6_IS_ADDR_LOOPBACK(&v6(*this).sin6_addr);
}

bool Address::includes(const Address& other) const {
  // "::" with IPV6_V6ONLY off takes IPv4, too.
  return is_wildcard() && ip_bytes(*this).size() >= ip_bytes(other).size();
}

std::optional<HostPort> parse_host_port(std::string_view text, std::string* error) {
  // The resolver would not see the bytes behind a zero byte.
  if (text.find('\0') != text.npos) {
    *error = "an address has no zero bytes";
    return std::nullopt;
  }
  HostPort parsed;
  parsed.bracketed = text.starts_with('[');
  size_t host_end = parsed.bracketed ? text.find(']') : text.rfind(':');
  size_t colon = parsed.bracketed && host_end != text.npos ? host_end + 1 : host_end;
  if (colon >= text.size() || text[colon] != ':') {
    *error = "'" + std::string(text) + "' has no port (HOST:PORT)";
    bool digits = !text.empty() && text.find_first_not_of("0123456789") == text.npos;
    if (digits) *error += "; did you mean :" + std::string(text) + "?";
    return std::nullopt;
  }
  parsed.host = text.substr(parsed.bracketed, host_end - parsed.bracketed);
  if (!parsed.bracketed && parsed.host.find(':') != std::string::npos) {
    *error =
        "an IPv6 address needs brackets: [" + parsed.host + "]" + std::string(text.substr(colon));
    return std::nullopt;
  }
  auto port = parse_decimal(text.substr(colon + 1), UINT16_MAX);
  if (!port) {
    *error = "'" + std::string(text.substr(colon + 1)) + "' is not a port (0 to 65535)";
    return std::nullopt;
  }
  parsed.port = static_cast<uint16_t>(*port);
  bool is_v6 = parsed.bracketed && parsed.host.find(':') != std::string::npos;
  if (parsed.bracketed && !(is_v6 && numeric_address(parsed.host))) {
    *error = "'[" + parsed.host + "]' is not an IPv6 address";
    return std::nullopt;
  }
  return parsed;
}

std::optional<Address> numeric_address(const std::string& host) {
  int status = 0;
  AddressInfo found = look_up(host, AI_NUMERICHOST, &status);
  return found ? std::optional(address_of(*found)) : std::nullopt;
}

bool is_host_name(std::string_view name) {
  constexpr size_t kNameMax = 253;
  constexpr size_t kLabelMax = 63;
  constexpr std::string_view kLabelBytes =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
  if (name.ends_with('.')) name.remove_suffix(1);
  if (name.size() > kNameMax) return false;
  std::string_view label;
  for (bool more = true; more;) {
    size_t dot = name.find('.');
    label = name.substr(0, dot);
    more = dot != name.npos;
    if (more) name.remove_prefix(dot + 1);
    if (label.empty() || label.size() > kLabelMax) return false;
    if (label.find_first_not_of(kLabelBytes) != label.npos) return false;
  }
  return label.find_first_not_of("0123456789") != label.npos;
}

std::string host_name_key(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  return lower_case(name);
}

std::optional<Address> parse_address(std::string_view text, std::string* error) {
  auto parsed = parse_host_port(text, error);
  if (!parsed) return std::nullopt;
  std::optional<Address> address =
      parsed->host.empty() ? any_address() : resolve(parsed->host, error);
  if (address) address->set_port(parsed->port);
  return address;
}

std::optional<Address> unix_address(std::string_view path, std::string* error) {
  sockaddr_un un{};
  if (path.size() < 2 || (path[0] != '/' && path[0] != '@')) {
    *error = "a unix socket is named by an absolute path (unix:/run/app.sock) or as @NAME";
    return std::nullopt;
  }
  if (path.find('\0') != path.npos) {
    *error = "the path of a unix socket has no zero bytes";
    return std::nullopt;
  }
  // A path ends in a zero byte; an abstract name begins with one and ends with the address.
  if (path.size() >= sizeof un.sun_path) {
    *error = "the path of a unix socket has at most " + std::to_string(sizeof un.sun_path - 1) +
             " bytes";
    return std::nullopt;
  }
  un.sun_family = AF_UNIX;
  path.copy(un.sun_path, path.size());
  bool abstract = path[0] == '@';
  if (abstract) un.sun_path[0] = '\0';
  Address address;
  std::memcpy(&address.storage, &un, sizeof un);
  address.size =
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + (abstract ? 0 : 1));
  return address;
}

bool AddressRange::contains(const Address& address) const {
  std::span<const uint8_t> ours = ip_bytes(base);
  std::span<const uint8_t> theirs = ip_bytes(address);
  if (ours.size() != theirs.size()) return false;
  size_t whole = static_cast<size_t>(prefix_bits) / 8;
  int rest = prefix_bits % 8;
  if (!std::equal(ours.begin(), ours.begin() + static_cast<ptrdiff_t>(whole), theirs.begin())) {
    return false;
  }
  return rest == 0 || ((ours[whole] ^ theirs[whole]) >> (8 - rest)) == 0;
}

std::optional<AddressRange> parse_address_range(std::string_view text, std::string* error) {
  size_t slash = text.find('/');
  auto base = parse_ip(text.substr(0, slash));
  if (!base || text.find('\0') != text.npos) {
    *error = "'" + std::string(text) + "' is not an address range (10.0.0.0/8, ::1, 127.0.0.1)";
    return std::nullopt;
  }
  // A mapped base counts its prefix from the whole 128 bits. It is kept as the IPv4 range that it
  // means.
  int mapped_bits = is_v4_mapped(*base) ? 96 : 0;
  int most = static_cast<int>(ip_bytes(*base).size()) * 8 + mapped_bits;
  int bits = most;
  if (slash != text.npos) {
    auto number = parse_decimal(text.substr(slash + 1), static_cast<uint64_t>(most));
    bits = number ? static_cast<int>(*number) : -1;
    if (bits < mapped_bits) {
      *error = "the prefix of '" + std::string(text) + "' must be " + std::to_string(mapped_bits) +
               " to " + std::to_string(most);
      return std::nullopt;
    }
  }
  return AddressRange{*base, bits - mapped_bits};
}

}  // namespace sluice
