// Head's look-ups, its reuse, and the pool that recycles it.
#include "net/http/head.h"

#include <memory>
#include <utility>

#include <gtest/gtest.h>

#include "net/http/target.h"
#include "net/http/text.h"
#include "tests/unit/http1/http1_cases.h"
#include "tests/unit/http1/http1_testing.h"

namespace sluice::test {
namespace {

TEST(Head, FindsTheFirstFieldOfAName) {
  Head head;
  parse_head(Role::kRequest, get("X-A: 1\r\nx-a: 2\r\nX-B:\r\n"), head);
  EXPECT_EQ(head.find("x-A"), "1");
  EXPECT_EQ(head.find("X-B"), "");
  EXPECT_EQ(head.find("X"), std::nullopt);
  EXPECT_EQ(head.find("HOST"), "a");
}

TEST(Head, ListsTokensOfAllLines) {
  Head head;
  parse_head(Role::kRequest,
             get("Accept: text/html;q=0.5 , TEXT/event-stream;x=\"y\"\r\nAccept: a/b,,c/d\r\n"),
             head);
  EXPECT_TRUE(head.lists_token("accept", "text/event-stream"));
  EXPECT_TRUE(head.lists_token("Accept", "text/html"));
  EXPECT_TRUE(head.lists_token("Accept", "c/d"));
  EXPECT_FALSE(head.lists_token("Accept", "text"));
  EXPECT_FALSE(head.lists_token("Accept", "q=0.5"));
  EXPECT_FALSE(head.lists_token("Host", "text/html"));
}

TEST(Head, ClearForgetsTheMessage) {
  Head head;
  parse_head(Role::kRequest, post("Content-Length: 3\r\n", ""), head);
  head.clear();
  EXPECT_EQ(head.method(), "");
  EXPECT_EQ(head.target(), "");
  EXPECT_EQ(head.field_count(), 0U);
  EXPECT_EQ(head.content_length(), 0U);
  EXPECT_EQ(head.body(), BodyKind::kNone);
  parse_head(Role::kResponse, ok("Content-Length: 0\r\n"), head);
  EXPECT_EQ(head.status(), 200);
  EXPECT_EQ(head.field_count(), 1U);
}

TEST(HeadPool, RecyclesUpToItsBound) {
  HeadPool pool(1);
  std::unique_ptr<Head> first = pool.acquire();
  std::unique_ptr<Head> second = pool.acquire();
  parse_head(Role::kRequest, get(""), *first);
  const Head* const address = first.get();
  pool.release(std::move(first));
  pool.release(std::move(second));
  EXPECT_EQ(pool.kept(), 1U);
  const std::unique_ptr<Head> again = pool.acquire();
  EXPECT_EQ(again.get(), address);
  EXPECT_EQ(again->field_count(), 0U);
  EXPECT_EQ(pool.kept(), 0U);
}

TEST(Text, Tokens) {
  EXPECT_TRUE(is_token("M-SEARCH"));
  EXPECT_TRUE(is_token("!#$%&'*+-.^_`|~09azAZ"));
  EXPECT_FALSE(is_token(""));
  for (const char c : std::string_view("\0\t\r\n \"(),/:;<=>?@[\\]{}\x7f\x80\xff", 25)) {
    EXPECT_FALSE(is_token_char(c)) << static_cast<int>(c);
  }
}

TEST(Text, TrimsBlanksOnly) {
  EXPECT_EQ(trim_blanks(" \t a b\t "), "a b");
  EXPECT_EQ(trim_blanks(" \t"), "");
  EXPECT_EQ(trim_blanks("\ra\n"), "\ra\n");
  EXPECT_EQ(without_parameters("a/b ; c=d;e"), "a/b");
}

TEST(Target, Splits) {
  Target target = split_target("/a/b?c=/d?e");
  EXPECT_EQ(target.form, TargetForm::kOrigin);
  EXPECT_EQ(target.path, "/a/b");
  EXPECT_EQ(target.query, "?c=/d?e");
  target = split_target("HTTP://h:1/p?q");
  EXPECT_EQ(target.form, TargetForm::kAbsolute);
  EXPECT_EQ(target.authority, "h:1");
  EXPECT_EQ(target.path, "/p");
  EXPECT_EQ(target.query, "?q");
  target = split_target("https://h?q/r");
  EXPECT_EQ(target.authority, "h");
  EXPECT_EQ(target.path, "");
  EXPECT_EQ(target.query, "?q/r");
  EXPECT_EQ(split_target("*").form, TargetForm::kAsterisk);
  EXPECT_EQ(split_target("h:1").form, TargetForm::kAuthority);
  EXPECT_EQ(split_target("//h/p").form, TargetForm::kOrigin);
}

}  // namespace
}  // namespace sluice::test
