#include "net/http/redirect.h"

#include <string>

#include <gtest/gtest.h>

#include "tests/unit/http1/http1_testing.h"

namespace sluice::test {
namespace {

std::string location_of(const std::string& target, const std::string& host, uint16_t port = 443,
                        const std::string& version = "1.1") {
  Head head;
  std::string fields = host == "-" ? "" : "Host: " + host + "\r\n";
  sluice::test::parse_head(sluice::test::Role::kRequest,
                           "GET " + target + " HTTP/" + version + "\r\n" + fields + "\r\n", head);
  return https_location(head, port).value_or("none");
}

TEST(HttpsLocation, KeepsHostAndTarget) {
  EXPECT_EQ(location_of("/", "a.test"), "https://a.test/");
  EXPECT_EQ(location_of("/a/b?c=d&e=/x", "a.test:80"), "https://a.test/a/b?c=d&e=/x");
  EXPECT_EQ(location_of("//b.test/", "a.test"), "https://a.test//b.test/");
  EXPECT_EQ(location_of("/", "192.0.2.1:8080"), "https://192.0.2.1/");
  EXPECT_EQ(location_of("/", "[2001:db8::1]:8080"), "https://[2001:db8::1]/");
  EXPECT_EQ(location_of("/", "[2001:db8::1]"), "https://[2001:db8::1]/");
}

TEST(HttpsLocation, NamesThePortThatIsNotHttpss) {
  EXPECT_EQ(location_of("/x", "a.test", 8443), "https://a.test:8443/x");
  EXPECT_EQ(location_of("/x", "[::1]:80", 8443), "https://[::1]:8443/x");
}

TEST(HttpsLocation, OfTheOtherForms) {
  EXPECT_EQ(location_of("http://b.test:81/x?y", "a.test"), "https://b.test/x?y");
  EXPECT_EQ(location_of("http://b.test", "a.test"), "https://b.test/");
}

TEST(HttpsLocation, ThereIsNoneWithoutAHost) {
  EXPECT_EQ(location_of("/", "-", 443, "1.0"), "none");
}

// What an url of ours need not say; the guard has refused the rest.
TEST(HttpsLocation, TakesNoHostThatSaysMore) {
  for (const char* host : {"%41", "a.test;b", "a!b", "a'b", "a(b)", "a&b=c"})
    EXPECT_EQ(location_of("/", host), "none") << host;
  EXPECT_EQ(location_of("/", std::string(256, 'a')), "none");
}

}  // namespace
}  // namespace sluice::test
