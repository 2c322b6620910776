// The address of a stream socket (IPv4, IPv6 or unix) as a value, and how addresses are written.
// The names of listeners are resolved when the configuration is read (getaddrinfo, which blocks, on
// no thread that serves); those of upstreams while it runs (net/dns).
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <netinet/in.h>
#include <optional>
#include <string>
#include <string_view>
#include <sys/socket.h>

namespace sluice {

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;

  const sockaddr* sa() const { return reinterpret_cast<const sockaddr*>(&storage); }
  sockaddr* sa() { return reinterpret_cast<sockaddr*>(&storage); }
  bool operator==(const Address& other) const {
    return size == other.size && std::memcmp(&storage, &other.storage, size) == 0;
  }
  bool is_unix() const { return storage.ss_family == AF_UNIX; }
  // Only a TCP address has a port and an IP address.
  uint16_t port() const;
  void set_port(uint16_t port);
  // "127.0.0.1" or "::1"; a mapped IPv4 address is written as IPv4.
  std::string ip() const;
  // "127.0.0.1:80" or "[::1]:80".
  std::string text() const;
  // Compares IP addresses without their ports; a mapped IPv4 address equals the one that it maps.
  bool same_ip(const Address& other) const;
  bool is_wildcard() const;
  bool is_loopback() const;
  // This is a wildcard, and a listener on it gets connections to the other address, too.
  bool includes(const Address& other) const;
};

// An IP address alone, in the least room: an IPv4 address as the IPv6 address that it maps to. All
// zeros: not known, or of a unix socket.
struct Ip {
  static Ip of(const Address& address);
  bool operator==(const Ip&) const = default;
  bool known() const { return bytes != decltype(bytes){}; }
  // With port 0.
  Address address() const;

  std::array<uint8_t, 16> bytes{};
};

// "127.0.0.1:8080", "[::1]:8080", "localhost:8080", ":8080" (all addresses: [::], which takes IPv4
// too while IPV6_V6ONLY is off). A name with both kinds gives its IPv4 address. On failure nullopt,
// and *error says why in a few words.
std::optional<Address> parse_address(std::string_view text, std::string* error);

// "HOST:PORT" taken apart: a name or an IPv4 address, an IPv6 address in brackets, or nothing.
struct HostPort {
  std::string host;  // without the brackets
  bool bracketed = false;
  uint16_t port = 0;
};
std::optional<HostPort> parse_host_port(std::string_view text, std::string* error);

// An IP address in any form that the system takes ("127.1", "fe80::1%eth0"), with port 0; nullopt:
// a name. Asks no resolver.
std::optional<Address> numeric_address(const std::string& host);

// Whether DNS can have such a name: labels of letters, digits, hyphens and underscores, the last of
// them no number (RFC 1123 section 2.1); a final dot keeps the resolver from adding search domains.
bool is_host_name(std::string_view name);
// The name as it is compared: in lower case, without a final dot.
std::string host_name_key(std::string_view name);

// "127.0.0.1" or "::1", with port 0; asks no resolver.
std::optional<Address> parse_ip(std::string_view text);

// The address of a unix socket: an absolute path, or "@name" for one in the abstract namespace
// (unix(7)).
std::optional<Address> unix_address(std::string_view path, std::string* error);

// Address ranges in CIDR form ("10.0.0.0/8", "::1", "127.0.0.1"). An IPv4 range also holds its
// addresses mapped into IPv6.
struct AddressRange {
  Address base;
  int prefix_bits = 0;
  bool contains(const Address& address) const;
};
std::optional<AddressRange> parse_address_range(std::string_view text, std::string* error);

}  // namespace sluice
