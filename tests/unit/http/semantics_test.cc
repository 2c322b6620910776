#include "net/http/semantics.h"

#include <string>

#include <gtest/gtest.h>

#include "tests/unit/http1/http1_cases.h"
#include "tests/unit/http1/http1_testing.h"

namespace sluice::test {
namespace {

std::string cookie(const std::string& fields, std::string_view name) {
  Head head;
  parse_head(Role::kRequest, get(fields), head);
  return std::string(find_cookie(head, name).value_or("none"));
}

TEST(FindCookie, IsFoundByItsWholeName) {
  EXPECT_EQ(cookie("Cookie: sid=1\r\n", "sid"), "1");
  EXPECT_EQ(cookie("Cookie: a=b; sid=1; c=d\r\n", "sid"), "1");
  EXPECT_EQ(cookie("Cookie: a=b;sid=1 ;\r\n", "sid"), "1");
  EXPECT_EQ(cookie("cookie: a=b\r\nCOOKIE: sid=x=y\r\n", "sid"), "x=y");
  EXPECT_EQ(cookie("Cookie: sid=1; sid=2\r\n", "sid"), "1") << "the first";
  EXPECT_EQ(cookie("Cookie: sid=\r\n", "sid"), "");
}

TEST(FindCookie, IsNotFoundByAPartOfIt) {
  for (const char* fields :
       {"", "Cookie: \r\n", "Cookie: ;;\r\n", "Cookie: sid\r\n", "Cookie: Sid=1\r\n",
        "Cookie: xsid=1\r\n", "Cookie: sids=1\r\n", "X-Cookie: sid=1\r\n"})
    EXPECT_EQ(cookie(fields, "sid"), "none") << fields;
}

AppliedCoding coding_of(const std::string& fields) {
  Head head;
  parse_head(Role::kResponse, "HTTP/1.1 200 OK\r\n" + fields + "\r\n", head);
  return applied_coding(head);
}

TEST(AppliedCoding, IsTheOneThatIsNamed) {
  EXPECT_EQ(coding_of("Content-Encoding: gzip\r\n"), AppliedCoding::kGzip);
  EXPECT_EQ(coding_of("Content-Encoding: X-GZIP\r\n"), AppliedCoding::kGzip);
  EXPECT_EQ(coding_of("content-encoding: Deflate\r\n"), AppliedCoding::kDeflate);
  EXPECT_EQ(coding_of("Content-Encoding: zstd\r\n"), AppliedCoding::kZstd);
  EXPECT_EQ(coding_of("Content-Encoding: identity, br,\r\n"), AppliedCoding::kBrotli);
  for (const char* none : {"", "Content-Encoding:\r\n", "Content-Encoding: identity, none\r\n"})
    EXPECT_EQ(coding_of(none), AppliedCoding::kNone) << none;
  for (const char* other :
       {"Content-Encoding: compress\r\n", "Content-Encoding: gzip, gzip\r\n",
        "Content-Encoding: gzip\r\nContent-Encoding: br\r\n", "Content-Encoding: gzipx\r\n"})
    EXPECT_EQ(coding_of(other), AppliedCoding::kOther) << other;
}

}  // namespace
}  // namespace sluice::test
