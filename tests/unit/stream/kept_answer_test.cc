#include "net/stream/kept_answer.h"

#include <string>

#include <gtest/gtest.h>

#include "net/base/limits.h"
#include "tests/unit/http1/http1_testing.h"

namespace sluice::test {
namespace {

class KeptAnswerTest : public ::testing::Test {
 protected:
  std::unique_ptr<KeptAnswer> keep(const std::string& text) {
    Head head;
    sluice::test::parse_head(sluice::test::Role::kResponse, text, head);
    return KeptAnswer::of(memory_, head, 3, 100);
  }
  std::unique_ptr<KeptAnswer> keep(size_t length) {
    return keep("HTTP/1.1 503 No\r\nretry-after: 7\r\ncontent-length: " + std::to_string(length) +
                "\r\n\r\n");
  }

  MemoryLimit memory_{.heap_max = 1 << 20};
};

TEST_F(KeptAnswerTest, IsAsItWasGiven) {
  auto answer = keep(4);
  EXPECT_TRUE(answer->append("lat"));
  EXPECT_TRUE(answer->append("er"));
  EXPECT_EQ(answer->head().status(), 503);
  EXPECT_EQ(answer->head().find("retry-after"), "7");
  EXPECT_EQ(answer->body(), "later");
  EXPECT_EQ(answer->upstream(), 3U);
}

TEST_F(KeptAnswerTest, IsSmallAndAccountedFor) {
  EXPECT_EQ(keep(limits::kKeptAnswerBytes + 1), nullptr);
  auto answer = keep(limits::kKeptAnswerBytes);
  uint64_t head = memory_.heap;
  EXPECT_GT(head, 0U);
  EXPECT_TRUE(answer->append(std::string(limits::kKeptAnswerBytes, 'x')));
  EXPECT_EQ(memory_.heap, head + limits::kKeptAnswerBytes);
  EXPECT_FALSE(answer->append("x"));
  answer.reset();
  EXPECT_EQ(memory_.heap, 0U);
}

TEST_F(KeptAnswerTest, IsNotWithoutMemory) {
  memory_.heap_max = 10;
  EXPECT_EQ(keep(1), nullptr);
  memory_.heap_max = 200;
  auto answer = keep("HTTP/1.1 503 No\r\ntransfer-encoding: chunked\r\n\r\n");
  ASSERT_NE(answer, nullptr);
  EXPECT_FALSE(answer->append(std::string(200, 'x')));
  answer.reset();
  EXPECT_EQ(memory_.heap, 0U);
}

TEST(AnswerRank, TheClientsOwnFaultAndThenAServerThatIsThere) {
  EXPECT_GT(answer_rank(429), answer_rank(503));
  EXPECT_GT(answer_rank(503), answer_rank(502));
  EXPECT_EQ(answer_rank(502), answer_rank(504));
}

}  // namespace
}  // namespace sluice::test
