#include "net/base/failure.h"

#include <set>

#include <gtest/gtest.h>

namespace sluice {
namespace {

TEST(Failure, EachHasANameOfItsOwn) {
  std::set<std::string_view> names;
  for (unsigned i = 0; i < kFailures; ++i) names.insert(failure_name(static_cast<Failure>(i)));
  for (unsigned i = 0; i < kHealResults; ++i)
    EXPECT_FALSE(heal_result_name(static_cast<HealResult>(i)).empty());
  EXPECT_EQ(names.size(), kFailures);
  EXPECT_EQ(names.count(""), 0U);
}

TEST(Failure, EndingsOfUpstreamsHaveAClass) {
  EXPECT_EQ(failure_of(Ending::kUpstreamRefused, "ECONNREFUSED"), Failure::kRefused);
  EXPECT_EQ(failure_of(Ending::kUpstreamRefused, "EHOSTUNREACH"), Failure::kUnreachable);
  EXPECT_EQ(failure_of(Ending::kUpstreamRefused, "ENETUNREACH"), Failure::kUnreachable);
  EXPECT_EQ(failure_of(Ending::kUpstreamConnectTimeout, ""), Failure::kUnreachable);
  EXPECT_EQ(failure_of(Ending::kUpstreamFirstByteTimeout, ""), Failure::kIdle);
  EXPECT_EQ(failure_of(Ending::kUpstreamIdleTimeout, ""), Failure::kIdle);
  EXPECT_EQ(failure_of(Ending::kUpstreamTruncated, ""), Failure::kTruncated);
  EXPECT_EQ(failure_of(Ending::kUpstreamReset, ""), Failure::kReset);
  EXPECT_EQ(failure_of(Ending::kUpstreamTls, ""), Failure::kTls);
  EXPECT_EQ(failure_of(Ending::kUpstreamBadResponse, ""), Failure::kProtocol);
  EXPECT_EQ(failure_of(Ending::kUnavailable, ""), Failure::kOverload);
  EXPECT_EQ(failure_of(Ending::kComplete, ""), Failure::kEnded);
}

// Where we are short of memory or connections, more attempts make it worse.
TEST(Failure, OurOwnShortageIsNotPassedOn) {
  EXPECT_FALSE(fails_over(Failure::kOverload));
  EXPECT_TRUE(heals(Failure::kOverload));
  EXPECT_FALSE(fails_over(Failure::kEnded)) << "it has been answered";
}

TEST(Comeback, TheAnswerDecides) {
  EXPECT_EQ(comeback_of(200, true), Comeback::kResumed);
  EXPECT_EQ(comeback_of(200, false), Comeback::kNever);
  EXPECT_EQ(comeback_of(204, false), Comeback::kOver);
  for (int status : {408, 425, 429, 500, 502, 503, 504})
    EXPECT_EQ(comeback_of(status, false), Comeback::kNotYet) << status;
  for (int status : {201, 301, 400, 401, 403, 404, 410})
    EXPECT_EQ(comeback_of(status, true), Comeback::kNever) << status;
}

}  // namespace
}  // namespace sluice
