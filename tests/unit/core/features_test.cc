#include "core/features.h"

#include <set>
#include <string>

#include <gtest/gtest.h>

namespace sluice {
namespace {

// Names of the features that are on.
std::set<std::string> on(const Features& features) {
  std::set<std::string> names;
  for (const FeatureName& feature : kFeatureNames)
    if (features.*feature.member) names.insert(feature.name);
  return names;
}

TEST(Features, AllAreOnAndNamedOnce) {
  EXPECT_EQ(on(Features{}).size(), kFeatureNames.size());
  EXPECT_EQ(on(features_without("")), on(Features{}));
  // Each is a bool of the struct: none is without a name.
  EXPECT_EQ(sizeof(Features), kFeatureNames.size());
}

TEST(Features, EachIsTurnedOffByItsName) {
  for (const FeatureName& feature : kFeatureNames) {
    std::set<std::string> rest = on(Features{});
    rest.erase(feature.name);
    EXPECT_EQ(on(features_without(feature.name)), rest);
  }
}

TEST(Features, AListTurnsOffAllOfItsNames) {
  Features features = features_without("recv-budget,huge-pages,defer-taskrun");
  EXPECT_FALSE(features.recv_budget);
  EXPECT_FALSE(features.huge_pages);
  EXPECT_FALSE(features.defer_taskrun);
  EXPECT_EQ(on(features).size(), kFeatureNames.size() - 3);
}

TEST(Features, OtherWordsTurnNothingOff) {
  for (const char* text : {",", ",,", "recv", "recv-budget2", "RECV-BUDGET", " recv-budget"})
    EXPECT_EQ(on(features_without(text)), on(Features{})) << "'" << text << "'";
  EXPECT_FALSE(features_without("nothing,recv-budget,").recv_budget);
}

}  // namespace
}  // namespace sluice
