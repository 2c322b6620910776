#include "net/upstream/addresses.h"

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/base/limits.h"

namespace sluice {
namespace {

using testing::ElementsAre;

std::vector<Address> all(const std::vector<std::string>& ips) {
  std::vector<Address> addresses;
  for (const std::string& ip : ips) addresses.push_back(*parse_ip(ip));
  return addresses;
}

std::vector<std::string> order(Addresses& addresses, uint64_t now_ms = 0) {
  std::vector<std::string> ips;
  for (const Address& address : addresses.in_order(now_ms)) ips.push_back(address.ip());
  return ips;
}

TEST(Addresses, EachConnectionBeginsWithTheNextOne) {
  Addresses addresses;
  EXPECT_TRUE(addresses.empty());
  addresses.replace(all({"10.0.0.1", "10.0.0.2", "10.0.0.3"}));
  EXPECT_FALSE(addresses.empty());
  EXPECT_THAT(order(addresses), ElementsAre("10.0.0.1", "10.0.0.2", "10.0.0.3"));
  EXPECT_THAT(order(addresses), ElementsAre("10.0.0.2", "10.0.0.3", "10.0.0.1"));
  EXPECT_THAT(order(addresses), ElementsAre("10.0.0.3", "10.0.0.1", "10.0.0.2"));
}

TEST(Addresses, FamiliesAreInTurnFromEveryStart) {
  Addresses addresses;
  addresses.replace(all({"fd00::1", "10.0.0.1", "fd00::2", "fd00::3"}));
  EXPECT_THAT(order(addresses), ElementsAre("fd00::1", "10.0.0.1", "fd00::2", "fd00::3"));
  EXPECT_THAT(order(addresses), ElementsAre("10.0.0.1", "fd00::1", "fd00::2", "fd00::3"));
  EXPECT_THAT(order(addresses), ElementsAre("fd00::2", "10.0.0.1", "fd00::3", "fd00::1"));
  EXPECT_THAT(order(addresses), ElementsAre("10.0.0.1", "fd00::2", "fd00::3", "fd00::1"));
}

TEST(Addresses, OneThatFailedComesLastForAWhile) {
  Addresses addresses;
  std::vector<Address> both = all({"::1", "127.0.0.1"});
  addresses.replace(both);
  addresses.tried(both[0], false, 1000);
  EXPECT_THAT(order(addresses, 1000), ElementsAre("127.0.0.1", "::1"));
  EXPECT_THAT(order(addresses, 1000), ElementsAre("127.0.0.1", "::1"));
  EXPECT_THAT(order(addresses, 1000 + limits::kAddressFailedMs), ElementsAre("::1", "127.0.0.1"));
  addresses.tried(both[1], false, 50'000);
  EXPECT_THAT(order(addresses, 50'000), ElementsAre("::1", "127.0.0.1"));
  addresses.tried(both[1], true, 50'001);
  EXPECT_THAT(order(addresses, 50'001), ElementsAre("::1", "127.0.0.1"));
  EXPECT_THAT(order(addresses, 50'001), ElementsAre("127.0.0.1", "::1"));
}

TEST(Addresses, WhereAllHaveFailedAllAreTried) {
  Addresses addresses;
  std::vector<Address> both = all({"10.0.0.1", "10.0.0.2"});
  addresses.replace(both);
  for (const Address& address : both) addresses.tried(address, false, 0);
  EXPECT_EQ(addresses.in_order(1).size(), 2U);
}

TEST(Addresses, OfManyAConnectionTriesSomeAndConnectionsTryAll) {
  std::vector<std::string> ips;
  for (int i = 0; i < 100; ++i) ips.push_back("10.0.1." + std::to_string(i));
  Addresses addresses;
  addresses.replace(all(ips));
  std::set<std::string> first;
  for (int i = 0; i < 100; ++i) {
    std::vector<std::string> tried = order(addresses);
    EXPECT_EQ(tried.size(), limits::kConnectAddressesMax);
    first.insert(tried.front());
  }
  EXPECT_EQ(first.size(), 100U);
}

TEST(Addresses, WhatIsKnownOfThoseThatStayIsKept) {
  Addresses addresses;
  std::vector<Address> three = all({"10.0.0.1", "10.0.0.2", "10.0.0.3"});
  addresses.replace(three);
  addresses.tried(three[1], false, 0);
  addresses.replace(all({"10.0.0.2", "10.0.0.4"}));
  EXPECT_THAT(order(addresses, 1), ElementsAre("10.0.0.4", "10.0.0.2"));
  EXPECT_TRUE(addresses.contains(Ip::of(three[1])));
  EXPECT_FALSE(addresses.contains(Ip::of(three[0])));
  addresses.tried(three[0], false, 1);  // of a connect that was under way
}

}  // namespace
}  // namespace sluice
