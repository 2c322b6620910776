#include "net/http/client_address.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/http1/http1_testing.h"

namespace sluice::test {
namespace {

std::vector<AddressRange> ranges(const std::vector<std::string>& texts) {
  std::vector<AddressRange> all;
  std::string error;
  for (const std::string& text : texts) all.push_back(*parse_address_range(text, &error));
  return all;
}

// The client of a request that came from 10.0.0.9, which is trusted as all of 10.0.0.0/8 is.
std::string client_of(const std::string& fields) {
  Head head;
  sluice::test::parse_head(sluice::test::Role::kRequest,
                           "GET / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n", head);
  return forwarded_client(head, "10.0.0.9", ranges({"10.0.0.0/8", "fd00::/8"}));
}

TEST(ForwardedClient, IsTheLastHopThatIsNotTrusted) {
  EXPECT_EQ(client_of(""), "10.0.0.9");
  EXPECT_EQ(client_of("X-Forwarded-For: 192.0.2.1\r\n"), "192.0.2.1");
  EXPECT_EQ(client_of("X-Forwarded-For: 6.6.6.6, 192.0.2.1, 10.0.0.1\r\n"), "192.0.2.1");
  EXPECT_EQ(client_of("X-Forwarded-For: 6.6.6.6, 192.0.2.1\r\nx-forwarded-for: 10.0.0.1\r\n"),
            "192.0.2.1");
  EXPECT_EQ(client_of("X-Forwarded-For: 10.0.0.3, 10.0.0.2\r\n"), "10.0.0.3") << "all are";
}

TEST(ForwardedClient, ReadsEveryFormOfAnAddress) {
  EXPECT_EQ(client_of("X-Forwarded-For: 192.0.2.1:8080\r\n"), "192.0.2.1");
  EXPECT_EQ(client_of("X-Forwarded-For: 2001:db8::1\r\n"), "2001:db8::1");
  EXPECT_EQ(client_of("X-Forwarded-For: [2001:DB8::1]\r\n"), "2001:db8::1");
  EXPECT_EQ(client_of("X-Forwarded-For: 2001:db8::1, [fd00::2]:443, ,\r\n"), "2001:db8::1");
  EXPECT_EQ(client_of("X-Forwarded-For: ::ffff:192.0.2.1\r\n"), "192.0.2.1");
}

TEST(ForwardedClient, AnEntryThatIsNoAddressEndsTheWalk) {
  for (const char* entry : {"unknown", "[", "[]", "1.2.3", "1.2.3.4.5", "host:80", "_hidden"})
    EXPECT_EQ(client_of(std::string("X-Forwarded-For: 192.0.2.1, ") + entry + ", 10.0.0.1\r\n"),
              "10.0.0.1")
        << entry;
}

}  // namespace
}  // namespace sluice::test
