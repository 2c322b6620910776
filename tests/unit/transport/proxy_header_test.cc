#include "net/transport/proxy_header.h"

#include <string>

#include <gtest/gtest.h>

namespace sluice {
namespace {

constexpr std::string_view kBinaryStart{"\r\n\r\n\0\r\nQUIT\n", 12};

std::string binary(uint8_t command, uint8_t family, std::string_view behind) {
  std::string header(kBinaryStart);
  header += static_cast<char>(command);
  header += static_cast<char>(family);
  header += static_cast<char>(behind.size() >> 8);
  header += static_cast<char>(behind.size() & 0xff);
  return header.append(behind);
}

std::string v4_addresses() {
  return {"\xc0\x00\x02\x07\x7f\x00\x00\x01\x12\x34\x01\xbb", 12};
}

std::string v6_addresses() {
  std::string all("\x20\x01\x0d\xb8", 4);
  all.append(11, '\0').append("\x07", 1);
  return all.append(16, '\0').append("\x12\x34\x01\xbb", 4);
}

struct Outcome {
  bool done;
  ProxyResult result;
  std::string client;
  size_t used;

  bool operator==(const Outcome&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Outcome& outcome) {
  return out << outcome.done << ' ' << proxy_result_name(outcome.result) << ' ' << outcome.client
             << ' ' << outcome.used;
}

// In two parts, cut there.
Outcome read(std::string_view bytes, size_t cut) {
  ProxyHeader header;
  size_t used = header.feed(bytes.substr(0, cut));
  EXPECT_TRUE(header.done() || used == std::min(cut, bytes.size()));
  if (!header.done()) used += header.feed(bytes.substr(cut));
  return {header.done(), header.result(),
          header.client().known() ? header.client().address().ip() : "", used};
}

// The same wherever it is cut.
Outcome read(std::string_view bytes) {
  Outcome whole = read(bytes, bytes.size());
  for (size_t cut = 0; cut < bytes.size(); ++cut) EXPECT_EQ(read(bytes, cut), whole) << cut;
  return whole;
}

TEST(ProxyHeader, Lines) {
  struct Case {
    std::string_view line;
    ProxyResult result;
    std::string_view client;
  };
  const Case cases[] = {
      {"PROXY TCP4 192.0.2.7 192.0.2.1 56324 443\r\n", ProxyResult::kAddress, "192.0.2.7"},
      {"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", ProxyResult::kAddress,
       "255.255.255.255"},
      {"PROXY TCP6 2001:db8::7 ::1 0 443\r\n", ProxyResult::kAddress, "2001:db8::7"},
      {"PROXY UNKNOWN\r\n", ProxyResult::kLocal, ""},
      {"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", ProxyResult::kLocal, ""},
      {"PROXY TCP4 192.0.2.7 192.0.2.1 56324\r\n", ProxyResult::kInvalid, ""},
      {"PROXY TCP4 192.0.2.7 192.0.2.1 56324 443 \r\n", ProxyResult::kInvalid, ""},
      {"PROXY TCP4 192.0.2.7  192.0.2.1 56324 443\r\n", ProxyResult::kInvalid, ""},
      {"PROXY TCP4 192.0.2.7 192.0.2.1 65536 443\r\n", ProxyResult::kInvalid, ""},
      {"PROXY TCP4 192.0.2.7 192.0.2.1 0443 443\r\n", ProxyResult::kInvalid, ""},
      {"PROXY TCP4 2001:db8::7 ::1 1 443\r\n", ProxyResult::kInvalid, ""},
      {"PROXY TCP6 192.0.2.7 192.0.2.1 1 443\r\n", ProxyResult::kInvalid, ""},
      {"PROXY TCP6 :: ::1 1 443\r\n", ProxyResult::kInvalid, ""},  // no client has that address
      {"PROXY TCP4 192.0.2 192.0.2.1 1 443\r\n", ProxyResult::kInvalid, ""},
      {"PROXY UDP4 192.0.2.7 192.0.2.1 1 443\r\n", ProxyResult::kInvalid, ""},
      {"PROXY \r\n", ProxyResult::kInvalid, ""},
      {"PROXY TCP4 192.0.2.7 192.0.2.1 1 443\n", ProxyResult::kInvalid, ""},
      {"proxy TCP4 192.0.2.7 192.0.2.1 1 443\r\n", ProxyResult::kMissing, ""},
      {"GET / HTTP/1.1\r\n", ProxyResult::kMissing, ""},
      {"PRI * HTTP/2.0\r\n", ProxyResult::kMissing, ""},
      {"\x16\x03\x01", ProxyResult::kMissing, ""},
  };
  for (const Case& one : cases) {
    Outcome outcome = read(one.line);
    EXPECT_TRUE(outcome.done) << one.line;
    EXPECT_EQ(outcome.result, one.result) << one.line;
    EXPECT_EQ(outcome.client, one.client) << one.line;
  }
}

TEST(ProxyHeader, WhatFollowsIsLeft) {
  std::string line = "PROXY TCP4 192.0.2.7 192.0.2.1 56324 443\r\n";
  EXPECT_EQ(read(line + "GET / HTTP/1.1\r\n").used, line.size());
  std::string bytes = binary(0x21, 0x11, v4_addresses() + std::string(300, '\xff'));
  EXPECT_EQ(read(bytes + "GET / HTTP/1.1\r\n").used, bytes.size());
}

TEST(ProxyHeader, ALineIsNoLongerThanAllowed) {
  std::string longest = "PROXY UNKNOWN " + std::string(107 - 16, 'x') + "\r\n";
  EXPECT_EQ(read(longest).result, ProxyResult::kLocal);
  Outcome outcome = read("PROXY UNKNOWN " + std::string(5'000, 'x'));
  EXPECT_EQ(outcome, (Outcome{true, ProxyResult::kInvalid, "", 107}));
}

TEST(ProxyHeader, Binary) {
  EXPECT_EQ(read(binary(0x21, 0x11, v4_addresses())).client, "192.0.2.7");
  EXPECT_EQ(read(binary(0x21, 0x21, v6_addresses())).client, "2001:db8::7");
  // Type-length-values are skipped, as many as there may be.
  std::string most = v6_addresses() + std::string(65'535 - 36, 'x');
  EXPECT_EQ(read(binary(0x21, 0x21, most), 40),
            (Outcome{true, ProxyResult::kAddress, "2001:db8::7", 16 + 65'535}));
}

TEST(ProxyHeader, BinaryWithoutAnAddressOfTheClient) {
  // LOCAL is the balancer's own, whatever it says of addresses.
  for (const std::string& behind : {std::string(), v4_addresses(), std::string(216, 'x')})
    EXPECT_EQ(read(binary(0x20, 0x11, behind)),
              (Outcome{true, ProxyResult::kLocal, "", 16 + behind.size()}));
  for (uint8_t family : {0x00, 0x31, 0x41, 0xf1})
    EXPECT_EQ(read(binary(0x21, family, std::string(216, 'x'))),
              (Outcome{true, ProxyResult::kLocal, "", 16 + 216}));
}

TEST(ProxyHeader, BrokenBinary) {
  EXPECT_EQ(read(binary(0x11, 0x11, v4_addresses())).result, ProxyResult::kInvalid);  // version 1
  EXPECT_EQ(read(binary(0x22, 0x11, v4_addresses())).result, ProxyResult::kInvalid);  // command 2
  EXPECT_EQ(read(binary(0x21, 0x11, v4_addresses().substr(1))).result, ProxyResult::kInvalid);
  EXPECT_EQ(read(binary(0x21, 0x21, v4_addresses())).result, ProxyResult::kInvalid);
  std::string signature(kBinaryStart);
  signature[11] = 'X';
  EXPECT_EQ(read(signature).result, ProxyResult::kMissing);
}

TEST(ProxyHeader, IsNotDoneBeforeItsEnd) {
  for (const std::string& whole : {std::string("PROXY TCP4 192.0.2.7 192.0.2.1 56324 443\r\n"),
                                   binary(0x21, 0x21, v6_addresses() + "xyz")}) {
    ProxyHeader header;
    EXPECT_EQ(header.feed(whole.substr(0, whole.size() - 1)), whole.size() - 1);
    EXPECT_FALSE(header.done());
    EXPECT_EQ(header.feed(whole.substr(whole.size() - 1)), 1U);
    EXPECT_TRUE(header.done());
  }
}

}  // namespace
}  // namespace sluice
