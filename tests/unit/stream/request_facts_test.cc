#include "net/stream/request_facts.h"

#include <string>

#include <gtest/gtest.h>

#include "net/base/limits.h"
#include "net/http/head_builder.h"

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

void expect_same(const Head& head, const Head& other) {
  EXPECT_EQ(head.method(), other.method());
  EXPECT_EQ(head.target(), other.target());
  ASSERT_EQ(head.field_count(), other.field_count());
  for (size_t i = 0; i < head.field_count(); ++i) {
    EXPECT_EQ(head.field(i).name, other.field(i).name);
    EXPECT_EQ(head.field(i).value, other.field(i).value);
  }
}

TEST(RequestFacts, KeepAHeadAsItCame) {
  Head head;
  HeadBuilder builder(head, "GET", "/a?key=1");
  builder.field("Host", "[::1]:80");
  builder.field("x-empty", "");
  builder.field("Cookie", "a=b; c=d:e");
  RequestFacts facts;
  facts.keep({.method = "GET", .target = "/a?***", .protocol = "HTTP/1.1"});
  EXPECT_FALSE(facts.has_head());
  ASSERT_TRUE(facts.keep_head(head));
  EXPECT_TRUE(facts.has_head());
  Head again;
  facts.restore_head(again);
  expect_same(again, head);
  EXPECT_EQ(facts.target(), "/a?***");
  facts.drop_head();
  EXPECT_FALSE(facts.has_head());
  EXPECT_EQ(facts.protocol(), "HTTP/1.1");
}

TEST(RequestFacts, KeepAHeadWithoutFields) {
  Head head;
  HeadBuilder(head, "GET", "/");
  RequestFacts facts;
  facts.keep({.method = "GET", .target = "/"});
  ASSERT_TRUE(facts.keep_head(head));
  Head again;
  facts.restore_head(again);
  expect_same(again, head);
}

TEST(RequestFacts, KeepNoHeadThatIsTooLong) {
  Head head;
  HeadBuilder(head, "GET", "/").field("x", std::string(70'000, 'x'));
  RequestFacts facts;
  facts.keep({.method = "GET", .target = "/"});
  EXPECT_FALSE(facts.keep_head(head));
  EXPECT_FALSE(facts.has_head());
  EXPECT_EQ(facts.target(), "/");
}

}  // namespace
}  // namespace sluice
