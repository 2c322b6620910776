#include "net/upstream/addresses.h"

#include <algorithm>
#include <utility>

#include "net/base/limits.h"

namespace sluice {

bool Addresses::contains(const Ip& ip) const {
  return std::ranges::any_of(all_, [&](const Entry& one) { return Ip::of(one.address) == ip; });
}

void Addresses::replace(const std::vector<Address>& addresses) {
  std::vector<Entry> before = std::exchange(all_, {});
  for (const Address& address : addresses) {
    auto known = std::ranges::find(before, address, &Entry::address);
    all_.push_back(known != before.end() ? *known : Entry{address});
  }
}

std::vector<Address> Addresses::in_order(uint64_t now_ms) {
  std::vector<Address> order;
  if (all_.empty()) return order;
  size_t count = all_.size();
  size_t first = next_++ % count;
  for (bool failed : {false, true}) {
    for (size_t i = 0; i < count && order.size() < limits::kConnectAddressesMax; ++i) {
      const Entry& entry = all_[(first + i) % count];
      if ((entry.failed_until_ms > now_ms) == failed) order.push_back(entry.address);
    }
  }
  return order;
}

void Addresses::tried(const Address& address, bool connected, uint64_t now_ms) {
  auto known = std::ranges::find(all_, address, &Entry::address);
  if (known != all_.end())
    known->failed_until_ms = connected ? 0 : now_ms + limits::kAddressFailedMs;
}

}  // namespace sluice
