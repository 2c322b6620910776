#include "net/http/target.h"

#include <string>

#include <gtest/gtest.h>

namespace sluice {
namespace {

constexpr TargetForm kOrigin = TargetForm::kOrigin;
constexpr TargetForm kAbsolute = TargetForm::kAbsolute;
constexpr TargetForm kAuthority = TargetForm::kAuthority;
constexpr TargetForm kAsterisk = TargetForm::kAsterisk;

struct SplitCase {
  const char* target;
  TargetForm form;
  const char* authority;
  const char* path;
  const char* query;
};

constexpr SplitCase kSplitCases[] = {
    {"/", kOrigin, "", "/", ""},
    {"/a/b", kOrigin, "", "/a/b", ""},
    {"/a?b=c", kOrigin, "", "/a", "?b=c"},
    {"/a?", kOrigin, "", "/a", "?"},
    {"/a?b?c", kOrigin, "", "/a", "?b?c"},
    {"/?http://h/", kOrigin, "", "/", "?http://h/"},
    // No authority: an origin-form path may begin with two slashes.
    {"//h/a", kOrigin, "", "//h/a", ""},
    {"/%2e%2E/../a;b#c", kOrigin, "", "/%2e%2E/../a;b#c", ""},
    {"http://h", kAbsolute, "h", "", ""},
    {"http://h/", kAbsolute, "h", "/", ""},
    {"HTTPS://h:1/a/b?c", kAbsolute, "h:1", "/a/b", "?c"},
    {"http://h?c", kAbsolute, "h", "", "?c"},
    {"http://[::1]:80/a", kAbsolute, "[::1]:80", "/a", ""},
    {"http://u@h/a", kAbsolute, "u@h", "/a", ""},
    {"http:///a", kAbsolute, "", "/a", ""},
    {"h:443", kAuthority, "h:443", "", ""},
    {"[::1]:443", kAuthority, "[::1]:443", "", ""},
    {"ftp://h/a", kAuthority, "ftp://h/a", "", ""},
    {"a/b", kAuthority, "a/b", "", ""},
    {"", kAuthority, "", "", ""},
    {"*", kAsterisk, "", "", ""},
    {"**", kAuthority, "**", "", ""},
};

TEST(SplitTarget, TakesEachFormApart) {
  for (const SplitCase& split : kSplitCases) {
    SCOPED_TRACE(split.target);
    Target target = split_target(split.target);
    EXPECT_EQ(target.form, split.form);
    EXPECT_EQ(target.authority, split.authority);
    EXPECT_EQ(target.path, split.path);
    EXPECT_EQ(target.query, split.query);
  }
}

// Nothing is decoded or normalised: the parts are views of the whole.
TEST(SplitTarget, PutsNothingInBetween) {
  for (const SplitCase& split : kSplitCases) {
    Target target = split_target(split.target);
    if (target.form == kAsterisk) continue;
    std::string scheme;
    if (target.form == kAbsolute)
      scheme = std::string(split.target).substr(0, std::string(split.target).find("//") + 2);
    EXPECT_EQ(scheme.append(target.authority).append(target.path).append(target.query),
              split.target);
  }
}

TEST(Authority, IsAHostAndMayHaveAPort) {
  for (const char* text : {"h", "h:80", "h:", "1.2.3.4:1", "a-b_c.~d:65535", "%41b:1", "a%2Fb",
                           "(a,b;c=d)!", "[::1]", "[::1]:80", "[::ffff:1.2.3.4]:", "[1:2:3::]"})
    EXPECT_TRUE(is_authority(text, Port::kOptional)) << text;
}

TEST(Authority, RefusesWhatIsNoHostOrNoPort) {
  for (const char* text :
       {"",      ":80",         "u@h", "u:p@h:80", "h:80:81", "h:8a",  "h:-1",       "h:123456",
        "h/a",   "h?a",         "h#a", "h a",      "h\t",     "h\r\n", "\"h\"",      "<h>",
        "h\\a",  "\xc3\xa9",    "a%",  "a%4",      "a%4g",    "a%g4",  "[",          "[]",
        "[]:80", "[::1",        "::1", "[::1]80",  "[::1]x",  "[::g]", "[::1%eth0]", "[1.2.3.4]",
        "[h]",   "[::1]:80:81", "]",   "a]"})
    EXPECT_FALSE(is_authority(text, Port::kOptional)) << text;
}

TEST(Authority, NeedsAPortForConnect) {
  for (const char* text : {"h:443", "[::1]:443", "1.2.3.4:0"})
    EXPECT_TRUE(is_authority(text, Port::kRequired)) << text;
  for (const char* text : {"h", "h:", "[::1]", "[::1]:", "", ":443"})
    EXPECT_FALSE(is_authority(text, Port::kRequired)) << text;
}

TEST(Authority, EndsWhereTheTextEnds) {
  constexpr std::string_view kText = "h:8080";
  EXPECT_TRUE(is_authority(kText.substr(0, 4), Port::kRequired));
  EXPECT_FALSE(is_authority(kText.substr(0, 2), Port::kRequired));
  EXPECT_FALSE(is_authority(std::string_view("h\0", 2), Port::kOptional));
}

}  // namespace
}  // namespace sluice
