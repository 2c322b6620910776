// Mutations of the table's messages: whatever the bytes, the parser neither crashes nor reads
// beyond what it was given (ASan; each piece is an allocation of its own), and says the same
// however they are split. What it accepts is then written for the next hop, and what was written
// must be accepted as well. SLUICE_TEST_SEED and SLUICE_TEST_ROUNDS override the defaults.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/text.h"
#include "net/http1/writer.h"
#include "tests/unit/http1/http1_cases.h"
#include "tests/unit/http1/http1_testing.h"

namespace sluice::test {
namespace {

constexpr uint64_t kSeedDefault = 1;
constexpr uint64_t kRoundsDefault = 20'000;

uint64_t from_environment(const char* name, uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : parse_decimal(text).value();
}

class Mutator {
 public:
  explicit Mutator(uint64_t seed) : random_(seed), corpus_(all_cases()) {}

  size_t below(size_t bound) {
    return std::uniform_int_distribution<size_t>(0, bound - 1)(random_);
  }

  const Case& pick() { return corpus_[below(corpus_.size())]; }

  std::string mutated(std::string bytes) {
    for (size_t n = 1 + below(4); n > 0; --n) mutate(bytes);
    return bytes;
  }

  std::vector<size_t> cuts(size_t size) {
    std::vector<size_t> cuts;
    for (size_t n = below(6); n > 0; --n) cuts.push_back(below(size + 1));
    std::sort(cuts.begin(), cuts.end());
    return cuts;
  }

 private:
  void mutate(std::string& bytes) {
    static const std::vector<std::string> kTokens = {"\r\n",
                                                     "\n",
                                                     "\r",
                                                     "\r\n\r\n",
                                                     " ",
                                                     "\t",
                                                     ":",
                                                     ";",
                                                     ",",
                                                     "0\r\n",
                                                     "chunked",
                                                     "close",
                                                     "Content-Length: 1\r\n",
                                                     "Transfer-Encoding: chunked\r\n",
                                                     "HTTP/1.1",
                                                     "Connection: ",
                                                     "Upgrade: x\r\n",
                                                     "Host: b\r\n",
                                                     "ffffffffffffffff",
                                                     std::string(1, '\0')};
    const size_t at = below(bytes.size() + 1);
    switch (below(5)) {
      case 0:
        if (at < bytes.size()) bytes[at] = static_cast<char>(below(256));
        break;
      case 1:
        bytes.insert(at, kTokens[below(kTokens.size())]);
        break;
      case 2:
        bytes.erase(at, 1 + below(8));
        break;
      case 3:
        bytes.insert(at, bytes.substr(below(bytes.size() + 1), below(40)));
        break;
      case 4:
        bytes = bytes.substr(0, at) + pick().bytes;
        break;
      default:
        break;
    }
  }

  std::mt19937_64 random_;
  std::vector<Case> corpus_;
};

void expect_rewritten_head_is_accepted(Role role, std::string_view bytes) {
  Head head;
  CollectingSink sink;
  Http1Parser parser(role, {});
  parser.begin(&head);
  if (parser.feed(bytes, sink).event != Event::kHead || head.method() == "CONNECT") return;
  std::string written;
  if (role == Role::kRequest) {
    RequestRewrite rewrite;
    rewrite.client_ip = "::1";
    rewrite.default_host = "upstream";
    http1_request_writer().write_head(head, rewrite, written);
  } else {
    http1_response_writer(1).write_head(head, ResponseRewrite{}, written);
  }
  Head again;
  parse_head(role, written, again);
  EXPECT_EQ(again.body() == BodyKind::kChunked,
            head.body() == BodyKind::kChunked || head.body() == BodyKind::kUntilClose);
}

TEST(Http1Mutation, SameOutcomeHoweverSplit) {
  const uint64_t seed = from_environment("SLUICE_TEST_SEED", kSeedDefault);
  const uint64_t rounds = from_environment("SLUICE_TEST_ROUNDS", kRoundsDefault);
  std::cout << "seed " << seed << ", rounds " << rounds << "\n";
  Mutator mutator(seed);
  const FeedOptions options{{400, 12}, false};  // within reach
  for (uint64_t round = 0; round < rounds; ++round) {
    const Case& origin = mutator.pick();
    const std::string bytes = mutator.mutated(origin.bytes);
    const std::string whole = parse(origin.role, bytes, options).full;
    const std::vector<size_t> cuts = mutator.cuts(bytes.size());
    ASSERT_EQ(whole, parse_cut(origin.role, bytes, cuts, options).full)
        << "seed " << seed << ", round " << round << ", bytes " << ::testing::PrintToString(bytes);
    if (round % 8 == 0) {
      ASSERT_EQ(whole, parse_bytewise(origin.role, bytes, options).full)
          << "seed " << seed << ", round " << round << ", " << ::testing::PrintToString(bytes);
    }
    expect_rewritten_head_is_accepted(origin.role, bytes);
    ASSERT_FALSE(::testing::Test::HasFailure())
        << "seed " << seed << ", round " << round << ", " << ::testing::PrintToString(bytes);
  }
}

}  // namespace
}  // namespace sluice::test
