#include "net/upstream/addresses.h"

#include <algorithm>
#include <array>
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
  if (all_.size() == 1) return {all_[0].address};
  std::vector<Address> order;
  size_t turn = turn_++;
  append_in_turn(order, /*failed=*/false, now_ms, turn);
  append_in_turn(order, /*failed=*/true, now_ms, turn);
  if (order.size() > limits::kConnectAddressesMax) order.resize(limits::kConnectAddressesMax);
  return order;
}

// One of each family in turn. Another family comes first each time, and another address of it.
void Addresses::append_in_turn(std::vector<Address>& order, bool failed, uint64_t now_ms,
                               size_t turn) const {
  std::array<std::vector<const Address*>, 2> families;
  for (const Entry& entry : all_) {
    if ((entry.failed_until_ms > now_ms) != failed) continue;
    bool v6 = entry.address.storage.ss_family == AF_INET6;
    families[v6 == (turn % 2 == 0) ? 0 : 1].push_back(&entry.address);
  }
  bool both = !families[0].empty() && !families[1].empty();
  for (size_t i = 0; i < std::max(families[0].size(), families[1].size()); ++i)
    for (const auto& family : families)
      if (i < family.size())
        order.push_back(*family[((both ? turn / 2 : turn) + i) % family.size()]);
}

void Addresses::tried(const Address& address, bool connected, uint64_t now_ms) {
  auto known = std::ranges::find(all_, address, &Entry::address);
  if (known != all_.end())
    known->failed_until_ms = connected ? 0 : now_ms + limits::kAddressFailedMs;
}

}  // namespace sluice
