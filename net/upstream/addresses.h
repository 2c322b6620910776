// The addresses of one upstream, in the order in which its next connection tries them: each
// connection begins with another one, so that all are used, and those that failed a short while ago
// come last, so that a dead one is not what every connection waits for. Owned by its endpoint, used
// on its worker's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "net/base/address.h"

namespace sluice {

class Addresses {
 public:
  bool empty() const { return all_.empty(); }
  bool contains(const Ip& ip) const;
  // They are these from here on; what is known of those that stay is kept.
  void replace(const std::vector<Address>& addresses);
  // For a new connection: none where there are none, and at most limits::kConnectAddressesMax, IPv4
  // and IPv6 in turn as they came.
  std::vector<Address> in_order(uint64_t now_ms);
  void tried(const Address& address, bool connected, uint64_t now_ms);

 private:
  void append_in_turn(std::vector<Address>& order, bool failed, uint64_t now_ms, size_t turn) const;

  struct Entry {
    Address address;
    uint64_t failed_until_ms = 0;  // 0: it has not failed, or connected since
  };

  std::vector<Entry> all_;
  size_t turn_ = 0;  // connections so far
};

}  // namespace sluice
