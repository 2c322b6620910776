// Any bytes, in any pieces, as the header of a PROXY protocol: what comes of them is the same
// however they are cut, bytes behind the header are left alone, and a client that is named is the
// one that stands there, as inet_pton() reads it.
#include <arpa/inet.h>
#include <string>

#include <gtest/gtest.h>

#include "net/transport/proxy_header.h"
#include "tests/fuzz/fuzz_input.h"

using namespace sluice;

namespace {

constexpr size_t kBinaryHeadBytes = 16;

struct Outcome {
  bool done = false;
  ProxyResult result = ProxyResult::kMissing;
  std::string client;
  size_t used = 0;

  bool operator==(const Outcome&) const = default;
};

Outcome read(std::string_view bytes, const std::vector<size_t>& cuts) {
  ProxyHeader header;
  Outcome outcome;
  auto feed = [&](size_t end) {
    if (header.done()) return;
    size_t used = header.feed(bytes.substr(outcome.used, end - outcome.used));
    EXPECT_TRUE(header.done() || outcome.used + used == end);
    outcome.used += used;
  };
  for (size_t cut : cuts) feed(cut);
  feed(bytes.size());
  outcome.done = header.done();
  outcome.result = header.result();
  if (header.client().known()) outcome.client = header.client().address().ip();
  return outcome;
}

std::string printed(int family, const void* address) {
  std::string text(INET6_ADDRSTRLEN, '\0');
  if (inet_ntop(family, address, text.data(), INET6_ADDRSTRLEN) == nullptr) return {};
  text.resize(text.find('\0'));
  // An IPv4 address in IPv6's form is the same client.
  constexpr std::string_view kMapped = "::ffff:";
  bool mapped = text.starts_with(kMapped) && text.find('.') != std::string::npos;
  return mapped ? text.substr(kMapped.size()) : text;
}

std::string client_of_line(std::string_view line) {
  size_t begin = sizeof("PROXY TCP4 ") - 1;
  std::string text(line.substr(begin, line.find(' ', begin) - begin));
  in6_addr address{};
  int family = line[begin - 2] == '4' ? AF_INET : AF_INET6;
  return inet_pton(family, text.c_str(), &address) == 1 ? printed(family, &address) : "";
}

void expect_named(const Outcome& outcome, std::string_view header) {
  if (header.front() == 'P') {
    EXPECT_EQ(outcome.client, client_of_line(header));
    EXPECT_TRUE(header.ends_with("\r\n"));
    return;
  }
  auto at = [&](size_t place) {
    return static_cast<unsigned>(static_cast<uint8_t>(header[place]));
  };
  EXPECT_EQ(outcome.used, kBinaryHeadBytes + (at(14) << 8 | at(15)));
  int family = at(13) >> 4 == 1 ? AF_INET : AF_INET6;
  EXPECT_EQ(outcome.client, printed(family, header.data() + kBinaryHeadBytes));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  test::FuzzInput input(data, size);
  const std::vector<size_t> cuts = input.cuts();
  const std::string_view bytes = input.rest();
  const Outcome whole = read(bytes, {});
  EXPECT_EQ(read(bytes, cuts), whole);
  if (!whole.done) {
    EXPECT_EQ(whole.used, bytes.size());
    return 0;
  }
  EXPECT_EQ(whole.result == ProxyResult::kAddress, !whole.client.empty());
  if (whole.result == ProxyResult::kAddress) expect_named(whole, bytes.substr(0, whole.used));
  return 0;
}
