#include "net/base/address.h"

#include <cstddef>
#include <sys/un.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice {
namespace {

using testing::AnyOf;
using testing::StartsWith;

Address address(const char* text) {
  std::string error;
  auto parsed = parse_address(text, &error);
  EXPECT_TRUE(parsed) << text << ": " << error;
  return parsed.value_or(Address{});
}

AddressRange range(const char* text) {
  std::string error;
  auto parsed = parse_address_range(text, &error);
  EXPECT_TRUE(parsed) << text << ": " << error;
  return parsed.value_or(AddressRange{});
}

std::string address_error(const char* text) {
  std::string error;
  EXPECT_FALSE(parse_address(text, &error)) << text;
  return error;
}

std::string range_error(const char* text) {
  std::string error;
  EXPECT_FALSE(parse_address_range(text, &error)) << text;
  return error;
}

TEST(Address, IPv4) {
  Address one = address("127.0.0.1:8080");
  EXPECT_EQ(one.sa()->sa_family, AF_INET);
  EXPECT_EQ(one.size, sizeof(sockaddr_in));
  EXPECT_EQ(one.port(), 8080);
  EXPECT_EQ(one.ip(), "127.0.0.1");
  EXPECT_EQ(one.text(), "127.0.0.1:8080");
}

TEST(Address, IPv6) {
  Address one = address("[::1]:65535");
  EXPECT_EQ(one.sa()->sa_family, AF_INET6);
  EXPECT_EQ(one.size, sizeof(sockaddr_in6));
  EXPECT_EQ(one.port(), 65535);
  EXPECT_EQ(one.ip(), "::1");
  EXPECT_EQ(one.text(), "[::1]:65535");
}

TEST(Address, MappedIPv4ReadsAsIPv4) {
  Address one = address("[::ffff:10.1.2.3]:80");
  EXPECT_EQ(one.sa()->sa_family, AF_INET6);
  EXPECT_EQ(one.text(), "10.1.2.3:80");
}

TEST(Address, NameResolvesToIPv4First) {
  EXPECT_EQ(address("localhost:8080").text(), "127.0.0.1:8080");
}

TEST(Address, PortAloneIsAllAddresses) {
  EXPECT_THAT(address(":8080").text(), AnyOf("[::]:8080", "0.0.0.0:8080"));
}

TEST(Address, SetPort) {
  for (const char* text : {"127.0.0.1:0", "[::1]:0"}) {
    Address one = address(text);
    EXPECT_EQ(one.port(), 0);
    one.set_port(443);
    EXPECT_EQ(one.port(), 443);
  }
}

TEST(Address, SaysWhatIsWrong) {
  EXPECT_EQ(address_error(""), "'' has no port (HOST:PORT)");
  EXPECT_EQ(address_error("127.0.0.1"), "'127.0.0.1' has no port (HOST:PORT)");
  EXPECT_EQ(address_error("[::1]"), "'[::1]' has no port (HOST:PORT)");
  EXPECT_EQ(address_error("[::1"), "'[::1' has no port (HOST:PORT)");
  EXPECT_EQ(address_error("[::1]8080"), "'[::1]8080' has no port (HOST:PORT)");
  EXPECT_EQ(address_error("::1:8080"), "an IPv6 address needs brackets: [::1]:8080");
  EXPECT_EQ(address_error("127.0.0.1:"), "'' is not a port (0 to 65535)");
  EXPECT_EQ(address_error("127.0.0.1:65536"), "'65536' is not a port (0 to 65535)");
  EXPECT_EQ(address_error("127.0.0.1:80x"), "'80x' is not a port (0 to 65535)");
  EXPECT_THAT(address_error("no..such:80"), StartsWith("cannot resolve 'no..such': "));
  EXPECT_EQ(address_error("[127.0.0.1]:80"), "'[127.0.0.1]' is not an IPv6 address");
  EXPECT_EQ(address_error("[localhost]:80"), "'[localhost]' is not an IPv6 address");
  EXPECT_EQ(address_error("[]:80"), "'[]' is not an IPv6 address");
}

TEST(Address, ANumberIsNoName) {
  for (const char* number : {"127.0.0.1", "127.1", "::1", "0x7f.1"})
    EXPECT_TRUE(numeric_address(number)) << number;
  for (const char* name : {"localhost", "a.test", "127.0.0.256", "", "1.2.3.4.5"})
    EXPECT_FALSE(numeric_address(name)) << name;
}

TEST(HostName, HasLabels) {
  const std::string label(63, 'a');
  for (const std::string& name :
       {std::string("localhost"), std::string("a.test"), std::string("a.test."),
        std::string("_http._tcp.a-b.test"), std::string("10.test"),
        std::string("xn--bcher-kva.test"), label + ".test",
        label + "." + label + "." + label + "." + std::string(61, 'b')})
    EXPECT_TRUE(is_host_name(name)) << name;
  for (const std::string& name :
       {std::string(), std::string("."), std::string("a..b"), std::string(".a"),
        std::string("127.0.0.256"), std::string("a.1"),
        std::string("b\xc3\xbc"
                    "cher.test"),
        std::string("a b"), std::string("a/b"), std::string("a\0b", 3), "a" + label + ".test",
        label + "." + label + "." + label + "." + std::string(62, 'b')})
    EXPECT_FALSE(is_host_name(name)) << name;
}

// Binding is what shows that the kernel reads the address as we do.
TEST(UnixAddress, NamesASocketByItsPath) {
  std::string path = ::testing::TempDir() + "sluice-address-test.sock";
  ::unlink(path.c_str());
  std::string error;
  auto address = unix_address(path, &error);
  ASSERT_TRUE(address) << error;
  EXPECT_TRUE(address->is_unix());
  int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  EXPECT_EQ(::bind(fd, address->sa(), address->size), 0);
  EXPECT_EQ(::access(path.c_str(), F_OK), 0);
  ::close(fd);
  ::unlink(path.c_str());
}

TEST(UnixAddress, AnAtSignBeginsAnAbstractName) {
  std::string error;
  auto address = unix_address("@sluice-address-test", &error);
  ASSERT_TRUE(address) << error;
  int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(::bind(fd, address->sa(), address->size), 0);
  sockaddr_un bound{};
  socklen_t size = sizeof bound;
  ASSERT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &size), 0);
  EXPECT_EQ(std::string(bound.sun_path, size - offsetof(sockaddr_un, sun_path)),
            std::string("\0sluice-address-test", 20));
  ::close(fd);
}

TEST(UnixAddress, SaysWhatIsWrong) {
  std::string error;
  EXPECT_FALSE(unix_address("app.sock", &error));
  EXPECT_EQ(error, "a unix socket is named by an absolute path (unix:/run/app.sock) or as @NAME");
  EXPECT_FALSE(unix_address("", &error));
  EXPECT_TRUE(unix_address("/" + std::string(106, 'x'), &error));
  EXPECT_FALSE(unix_address("/" + std::string(107, 'x'), &error));
  EXPECT_EQ(error, "the path of a unix socket has at most 107 bytes");
  EXPECT_FALSE(unix_address(std::string_view("/run/app.sock\0x", 15), &error));
  EXPECT_EQ(error, "the path of a unix socket has no zero bytes");
}

TEST(Address, HasNoZeroBytes) {
  std::string error;
  EXPECT_FALSE(parse_address(std::string_view("127.0.0.1\0x:80", 14), &error));
  EXPECT_EQ(error, "an address has no zero bytes");
  EXPECT_FALSE(parse_address_range(std::string_view("10.0.0.0\0", 9), &error));
}

TEST(AddressRange, IPv4) {
  AddressRange ten = range("10.0.0.0/8");
  EXPECT_TRUE(ten.contains(address("10.255.0.1:1")));
  EXPECT_FALSE(ten.contains(address("11.0.0.0:1")));
  AddressRange odd = range("192.168.64.0/19");
  EXPECT_TRUE(odd.contains(address("192.168.95.255:1")));
  EXPECT_FALSE(odd.contains(address("192.168.96.0:1")));
  EXPECT_FALSE(odd.contains(address("192.168.63.255:1")));
}

TEST(AddressRange, BareAddressIsItself) {
  EXPECT_TRUE(range("127.0.0.1").contains(address("127.0.0.1:1")));
  EXPECT_FALSE(range("127.0.0.1").contains(address("127.0.0.2:1")));
  EXPECT_TRUE(range("::1").contains(address("[::1]:1")));
  EXPECT_FALSE(range("::1").contains(address("[::2]:1")));
}

TEST(AddressRange, ThePrefixMayBeTheWholeAddressAndNothingOfIt) {
  for (const char* text : {"127.0.0.1/32", "::ffff:127.0.0.1/128"}) {
    EXPECT_TRUE(range(text).contains(address("127.0.0.1:1"))) << text;
    EXPECT_FALSE(range(text).contains(address("127.0.0.0:1"))) << text;
  }
  EXPECT_TRUE(range("::1/128").contains(address("[::1]:1")));
  EXPECT_FALSE(range("::1/128").contains(address("[::]:1")));
  EXPECT_TRUE(range("::ffff:127.0.0.1/96").contains(address("10.0.0.1:1")));
}

TEST(AddressRange, BitsBelowThePrefixDoNotCount) {
  EXPECT_TRUE(range("10.1.2.3/8").contains(address("10.9.9.9:1")));
  EXPECT_TRUE(range("10.1.2.3/0").contains(address("200.9.9.9:1")));
}

TEST(AddressRange, IPv6) {
  AddressRange ula = range("fc00::/7");
  EXPECT_TRUE(ula.contains(address("[fdff::1]:1")));
  EXPECT_FALSE(ula.contains(address("[fe00::1]:1")));
  EXPECT_FALSE(ula.contains(address("10.0.0.1:1")));
  EXPECT_FALSE(range("::/0").contains(address("10.0.0.1:1")));
}

TEST(AddressRange, MappedIPv4IsIPv4) {
  EXPECT_TRUE(range("10.0.0.0/8").contains(address("[::ffff:10.1.2.3]:1")));
  EXPECT_FALSE(range("10.0.0.0/8").contains(address("[::ffff:11.1.2.3]:1")));
  AddressRange mapped = range("::ffff:10.0.0.0/104");
  EXPECT_TRUE(mapped.contains(address("10.1.2.3:1")));
  EXPECT_TRUE(mapped.contains(address("[::ffff:10.1.2.3]:1")));
  EXPECT_FALSE(mapped.contains(address("11.1.2.3:1")));
  EXPECT_TRUE(range("::ffff:10.0.0.1").contains(address("10.0.0.1:1")));
}

TEST(AddressRange, SaysWhatIsWrong) {
  for (const char* text : {"", "/8", "10.0.0", "localhost", "10.0.0.1:80", "[::1]"}) {
    EXPECT_EQ(range_error(text),
              "'" + std::string(text) + "' is not an address range (10.0.0.0/8, ::1, 127.0.0.1)");
  }
  EXPECT_EQ(range_error("10.0.0.0/33"), "the prefix of '10.0.0.0/33' must be 0 to 32");
  EXPECT_EQ(range_error("10.0.0.0/-1"), "the prefix of '10.0.0.0/-1' must be 0 to 32");
  EXPECT_EQ(range_error("10.0.0.0/-0"), "the prefix of '10.0.0.0/-0' must be 0 to 32");
  EXPECT_EQ(range_error("10.0.0.0/"), "the prefix of '10.0.0.0/' must be 0 to 32");
  EXPECT_EQ(range_error("::/129"), "the prefix of '::/129' must be 0 to 128");
  EXPECT_EQ(range_error("::ffff:10.0.0.0/8"),
            "the prefix of '::ffff:10.0.0.0/8' must be 96 to 128");
}

}  // namespace
}  // namespace sluice
