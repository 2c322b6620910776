#include "net/base/ending.h"

#include <set>
#include <string_view>

#include <gtest/gtest.h>

namespace sluice {
namespace {

// Labels of metrics and words of the access log: lower case and underscores.
void expect_label(std::string_view name) {
  EXPECT_FALSE(name.empty());
  EXPECT_EQ(name.find_first_not_of("abcdefghijklmnopqrstuvwxyz_"), std::string_view::npos) << name;
}

TEST(Ending, NamesAreUniqueLabels) {
  std::set<std::string_view> names;
  for (unsigned i = 0; i < kEndings; ++i) {
    expect_label(ending_name(static_cast<Ending>(i)));
    names.insert(ending_name(static_cast<Ending>(i)));
  }
  EXPECT_EQ(names.size(), kEndings);
}

TEST(Ending, TheNameTellsTheSide) {
  for (unsigned i = 0; i < kEndings; ++i) {
    auto ending = static_cast<Ending>(i);
    std::string_view name = ending_name(ending);
    EXPECT_EQ(name.starts_with("upstream_"), ending_side(ending) == Side::kUpstream) << name;
    EXPECT_TRUE(!name.starts_with("client_") || ending_side(ending) == Side::kClient) << name;
    expect_label(side_name(ending_side(ending)));
  }
  EXPECT_EQ(ending_side(Ending::kComplete), Side::kNone);
  EXPECT_EQ(ending_side(Ending::kShutdown), Side::kSelf);
}

TEST(Ending, TheNameIsThatOfTheEnumerator) {
  EXPECT_EQ(ending_name(Ending::kComplete), "complete");
  EXPECT_EQ(ending_name(Ending::kClientStalled), "client_stalled");
  EXPECT_EQ(ending_name(Ending::kUpstreamIdleTimeout), "upstream_idle_timeout");
  EXPECT_EQ(ending_name(Ending::kUpstreamBadResponse), "upstream_bad_response");
  EXPECT_EQ(ending_name(Ending::kShutdown), "shutdown");
  EXPECT_EQ(phase_name(Phase::kRequest), "request");
  EXPECT_EQ(phase_name(Phase::kDraining), "draining");
  EXPECT_STREQ(refusal_name(Refusal::kHeaderTimeout), "header_timeout");
  EXPECT_STREQ(refusal_name(Refusal::kMaxForwards), "max_forwards");
}

TEST(Ending, AnUpstreamsFailureIsAnsweredAsSuch) {
  for (unsigned i = 0; i < kEndings; ++i) {
    auto ending = static_cast<Ending>(i);
    int status = ending_status(ending);
    switch (ending_side(ending)) {
      case Side::kUpstream: {
        bool late = ending_name(ending).ends_with("timeout");
        EXPECT_EQ(status, late ? 504 : 502) << ending_name(ending);
        EXPECT_TRUE(ending_detail(ending).ends_with('.')) << ending_name(ending);
        break;
      }
      case Side::kSelf:
        EXPECT_EQ(status, 503) << ending_name(ending);
        EXPECT_TRUE(ending_detail(ending).ends_with('.')) << ending_name(ending);
        break;
      case Side::kClient:
        EXPECT_EQ(status / 100, 4) << ending_name(ending);
        break;
      case Side::kNone:
        EXPECT_EQ(status, 200);
    }
  }
}

TEST(Phase, NamesAreUniqueLabels) {
  std::set<std::string_view> names;
  for (unsigned i = 0; i < kPhases; ++i) {
    expect_label(phase_name(static_cast<Phase>(i)));
    names.insert(phase_name(static_cast<Phase>(i)));
  }
  EXPECT_EQ(names.size(), kPhases);
}

TEST(Refusal, NamesAreUniqueLabels) {
  std::set<std::string_view> names;
  for (unsigned i = 0; i < kRefusals; ++i) {
    expect_label(refusal_name(static_cast<Refusal>(i)));
    names.insert(refusal_name(static_cast<Refusal>(i)));
  }
  EXPECT_EQ(names.size(), kRefusals);
}

}  // namespace
}  // namespace sluice
