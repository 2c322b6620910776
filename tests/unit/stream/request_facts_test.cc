#include "net/stream/request_facts.h"

#include <string>

#include <gtest/gtest.h>

#include "net/base/limits.h"

namespace sluice {
namespace {

TEST(RequestFacts, AreEmptyUntilTheyAreKept) {
  RequestFacts facts;
  EXPECT_EQ(facts.method(), "");
  EXPECT_EQ(facts.user_agent(), "");
}

TEST(RequestFacts, AreKeptEachByItself) {
  RequestFacts facts;
  {
    std::string id = "an id that ends before the facts do";
    facts.keep({.method = "GET", .target = "/a", .client = "::1", .id = id, .user_agent = "u"});
  }
  EXPECT_EQ(facts.method(), "GET");
  EXPECT_EQ(facts.target(), "/a");
  EXPECT_EQ(facts.client(), "::1");
  EXPECT_EQ(facts.id(), "an id that ends before the facts do");
  EXPECT_EQ(facts.host(), "");
  EXPECT_EQ(facts.user_agent(), "u");
}

TEST(RequestFacts, AreCutWhereTheyAreLong) {
  RequestFacts facts;
  std::string much(100'000, 'x');
  facts.keep({.method = much,
              .target = much,
              .client = much,
              .id = much,
              .host = much,
              .user_agent = much});
  EXPECT_EQ(facts.method().size(), limits::kLoggedFieldBytes);
  EXPECT_EQ(facts.target().size(), limits::kLoggedTargetBytes);
  EXPECT_EQ(facts.user_agent(), much.substr(0, limits::kLoggedFieldBytes));
}

}  // namespace
}  // namespace sluice
