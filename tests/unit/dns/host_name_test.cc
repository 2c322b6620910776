#include "net/dns/host_name.h"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/base/limits.h"
#include "tests/unit/dns/fake_resolver.h"
#include "tests/unit/gateway/gateway_testing.h"

namespace sluice::test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using enum IpFamily;

constexpr uint64_t kTtlMinMs = 2'000;
constexpr uint64_t kTtlMaxMs = 60'000;

class HostNameTest : public ::testing::Test, public HostName::Watcher {
 protected:
  void on_looked_up(bool changed) override {
    ++looked_up_;
    changed_ += changed ? 1 : 0;
  }
  void on_answered(DnsAnswer::Status /*status*/) override { ++answered_; }

  std::vector<std::string> addresses() const {
    std::vector<std::string> ips;
    for (const Address& address : name_->addresses()) ips.push_back(address.ip());
    return ips;
  }
  void pass(uint64_t ms) {
    clock_ns += ms * 1'000'000;
    loop_.turn(false);
  }
  // It asks both families, and sooner by what chance may take off at most.
  void expect_asks_in(uint64_t ms) {
    ASSERT_TRUE(resolver_.questions.empty());
    uint64_t least_ms = ms - ms / limits::kDnsJitterPart;
    pass(least_ms - 1);
    EXPECT_TRUE(resolver_.questions.empty());
    pass(ms - least_ms + 1);
    EXPECT_EQ(resolver_.questions.size(), 2U);
  }

  std::unique_ptr<Ring> ring_ = make_ring();
  Loop loop_{*ring_};
  FakeResolver resolver_;
  unsigned looked_up_ = 0;
  unsigned changed_ = 0;
  unsigned answered_ = 0;
  std::unique_ptr<HostName> name_ = std::make_unique<HostName>(
      loop_, resolver_, "a.test", HostName::Ttl{kTtlMinMs, kTtlMaxMs}, *this, 1);
};

TEST_F(HostNameTest, ItIsLookedUpAtOnceInBothFamilies) {
  ASSERT_EQ(resolver_.questions.size(), 2U);
  EXPECT_EQ(resolver_.questions[0].name, "a.test");
  EXPECT_NE(resolver_.questions[0].family, resolver_.questions[1].family);
  EXPECT_TRUE(name_->looking());
  EXPECT_THAT(addresses(), IsEmpty());
}

TEST_F(HostNameTest, TheFamiliesComeInTurn) {
  resolver_.found(kV4, {"10.0.0.2", "10.0.0.1", "10.0.0.3"});
  resolver_.found(kV6, {"fd00::2", "fd00::1"});
  EXPECT_THAT(addresses(), ElementsAre("fd00::1", "10.0.0.1", "fd00::2", "10.0.0.2", "10.0.0.3"));
  EXPECT_FALSE(name_->looking());
  EXPECT_EQ(looked_up_, 1U);
  EXPECT_EQ(answered_, 2U);
}

// RFC 8305 section 3.
TEST_F(HostNameTest, TheFirstAnswerWaitsAMomentForTheOtherFamily) {
  resolver_.found(kV4, {"10.0.0.1"});
  EXPECT_EQ(looked_up_, 0U);
  pass(limits::kDnsOtherFamilyMs - 1);
  EXPECT_EQ(looked_up_, 0U);
  pass(1);
  EXPECT_EQ(looked_up_, 1U);
  EXPECT_THAT(addresses(), ElementsAre("10.0.0.1"));
  EXPECT_TRUE(name_->looking());
  resolver_.found(kV6, {"fd00::1"});
  EXPECT_EQ(changed_, 2U);
  EXPECT_THAT(addresses(), ElementsAre("fd00::1", "10.0.0.1"));
}

TEST_F(HostNameTest, AnAnswerOfNoneIsNotWaitedUpon) {
  resolver_.none(kV6);
  EXPECT_EQ(looked_up_, 0U) << "the other one may have some";
  resolver_.found(kV4, {"10.0.0.1"});
  EXPECT_THAT(addresses(), ElementsAre("10.0.0.1"));
}

TEST_F(HostNameTest, WhatHasExpiredIsLookedUpAgainWithinBounds) {
  resolver_.found(kV4, {"10.0.0.1"}, 30'000);
  resolver_.found(kV6, {"fd00::1"}, 5'000);
  expect_asks_in(5'000);
  resolver_.found(kV4, {"10.0.0.1"}, 0);
  resolver_.found(kV6, {"fd00::1"}, 5'000);
  expect_asks_in(kTtlMinMs);
  resolver_.found(kV4, {"10.0.0.1"}, 3'600'000);
  resolver_.none(kV6);
  expect_asks_in(kTtlMaxMs);
}

TEST_F(HostNameTest, TheOrderOfAnAnswerChangesNothing) {
  resolver_.found(kV4, {"10.0.0.1", "10.0.0.2"}, 5'000);
  resolver_.none(kV6);
  pass(5'000);
  resolver_.found(kV4, {"10.0.0.2", "10.0.0.1", "10.0.0.2"}, 5'000);
  resolver_.none(kV6);
  EXPECT_EQ(looked_up_, 2U);
  EXPECT_EQ(changed_, 1U);
}

TEST_F(HostNameTest, AnOldAnswerIsKeptWhileAResolverFails) {
  resolver_.found(kV4, {"10.0.0.1"}, 5'000);
  resolver_.found(kV6, {"fd00::1"}, 5'000);
  pass(5'000);
  resolver_.failed(kV4);
  resolver_.failed(kV6);
  EXPECT_EQ(changed_, 1U);
  EXPECT_THAT(addresses(), ElementsAre("fd00::1", "10.0.0.1"));
  expect_asks_in(kTtlMinMs);
  resolver_.found(kV4, {"10.0.0.9"}, 5'000);
  resolver_.failed(kV6);
  EXPECT_THAT(addresses(), ElementsAre("fd00::1", "10.0.0.9")) << "each family for itself";
}

// The one that is silent may take seconds.
TEST_F(HostNameTest, NewsOfOneFamilyDoesNotWaitForTheOther) {
  resolver_.found(kV4, {"10.0.0.1"}, 5'000);
  resolver_.none(kV6);
  pass(5'000);
  resolver_.found(kV4, {"10.0.0.9"}, 5'000);
  EXPECT_THAT(addresses(), ElementsAre("10.0.0.1"));
  pass(limits::kDnsOtherFamilyMs);
  EXPECT_THAT(addresses(), ElementsAre("10.0.0.9"));
}

TEST_F(HostNameTest, AFamilyThatFailedIsAskedAgainSoon) {
  resolver_.failed(kV4);
  resolver_.found(kV6, {"fd00::1"}, 50'000);
  EXPECT_TRUE(name_->failing());
  expect_asks_in(kTtlMinMs);
  resolver_.found(kV4, {"10.0.0.1"}, 50'000);
  resolver_.found(kV6, {"fd00::1"}, 50'000);
  EXPECT_FALSE(name_->failing());
}

TEST_F(HostNameTest, AnewMeansBehindALookUpThatIsUnderWay) {
  resolver_.found(kV4, {"10.0.0.1"});
  name_->look_up_anew();
  EXPECT_EQ(resolver_.questions.size(), 1U);
  resolver_.none(kV6);
  EXPECT_EQ(resolver_.questions.size(), 2U) << "also of the family that had been answered";
  resolver_.found(kV4, {"10.0.0.2"});
  resolver_.none(kV6);
  EXPECT_TRUE(resolver_.questions.empty());
  name_->look_up_anew();
  EXPECT_EQ(resolver_.questions.size(), 2U) << "however little time has passed";
}

TEST_F(HostNameTest, AnAnswerThatThereIsNoneTakesTheOldOneAway) {
  resolver_.found(kV4, {"10.0.0.1"}, 5'000);
  resolver_.none(kV6);
  pass(5'000);
  resolver_.none(kV4);
  resolver_.none(kV6);
  EXPECT_THAT(addresses(), IsEmpty());
  EXPECT_EQ(changed_, 2U);
  EXPECT_STREQ(name_->reason(), "no_such_name");
  expect_asks_in(kTtlMinMs);
}

TEST_F(HostNameTest, ADoubtIsLookedUpSoonButNotAllTheTime) {
  resolver_.found(kV4, {"10.0.0.1"});
  resolver_.none(kV6);
  name_->doubt();
  EXPECT_TRUE(resolver_.questions.empty()) << "it has just been looked up";
  pass(limits::kDnsRetryMs);
  name_->doubt();
  name_->doubt();
  EXPECT_EQ(resolver_.questions.size(), 2U);
}

TEST_F(HostNameTest, ManyAddressesAreTooMany) {
  DnsAnswer many{.status = DnsAnswer::Status::kFound, .ttl_ms = 1000};
  for (int i = 0; i < 1000; ++i)
    many.addresses.push_back(ip("10.1." + std::to_string(i / 250) + "." + std::to_string(i % 250)));
  resolver_.none(kV6);
  resolver_.answer(kV4, many);
  EXPECT_EQ(name_->addresses().size(), limits::kNameAddressesMax);
}

TEST_F(HostNameTest, OneThatNobodyNamesAnyMoreIsLeftAlone) {
  resolver_.found(kV4, {"10.0.0.1"}, 5'000);
  resolver_.none(kV6);
  name_->keep_fresh(false);
  pass(100'000);
  EXPECT_TRUE(resolver_.questions.empty());
  name_->keep_fresh(true);
  pass(5'000);
  EXPECT_EQ(resolver_.questions.size(), 2U);
}

TEST_F(HostNameTest, NothingComesBackToOneThatIsGone) {
  resolver_.found(kV4, {"10.0.0.1"});
  name_.reset();
  EXPECT_TRUE(resolver_.questions.empty());
  pass(1000);
}

}  // namespace
}  // namespace sluice::test
