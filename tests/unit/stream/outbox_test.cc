#include "net/stream/outbox.h"

#include <string>

#include <gtest/gtest.h>

#include "net/http1/writer.h"
#include "tests/unit/pool/chain_testing.h"
#include "tests/unit/stream/outbox_testing.h"

namespace sluice {
namespace {

using test::batch_of;
using test::ChainRig;

class OutboxTest : public testing::Test {
 protected:
  // Sends all there is; what a socket would have seen.
  std::string send_all() {
    std::string wire;
    for (std::string batch = batch_of(outbox_); !batch.empty(); batch = batch_of(outbox_)) {
      wire += batch;
      outbox_.sent(batch.size());
    }
    return wire;
  }

  ChainRig rig_;
  Outbox outbox_{rig_.memory, rig_.pool()};
};

TEST_F(OutboxTest, SendsNothingOfNothing) {
  EXPECT_FALSE(outbox_.has_work());
  EXPECT_FALSE(outbox_.complete());
  EXPECT_EQ(batch_of(outbox_), "");
  outbox_.finish();
  EXPECT_TRUE(outbox_.complete());
}

TEST_F(OutboxTest, SendsAHeadAndABodyInOneBatch) {
  ASSERT_TRUE(outbox_.append_head("HEAD\r\n\r\n"));
  ASSERT_EQ(outbox_.append_copy("body"), "");
  outbox_.release();
  EXPECT_EQ(outbox_.backlog(), 12U);
  EXPECT_EQ(batch_of(outbox_), "HEAD\r\n\r\nbody");
  EXPECT_EQ(outbox_.sent(10), 2U) << "body bytes among them";
  EXPECT_EQ(outbox_.backlog(), 2U);
  EXPECT_TRUE(outbox_.batch_under_way());
  EXPECT_EQ(batch_of(outbox_), "dy");
  EXPECT_EQ(outbox_.sent(2), 2U);
  EXPECT_FALSE(outbox_.has_work());
  EXPECT_FALSE(outbox_.complete()) << "more may be appended";
  outbox_.finish();
  EXPECT_TRUE(outbox_.complete());
}

TEST_F(OutboxTest, HoldsWhatIsNotReleasedWhateverHasLeft) {
  const SlotPool& pool = rig_.pool();
  ASSERT_TRUE(outbox_.append_head("HEAD"));
  EXPECT_FALSE(outbox_.holds_in(pool));
  ASSERT_EQ(outbox_.append_copy("whole"), "");
  outbox_.release();
  EXPECT_FALSE(outbox_.holds_in(pool));
  ASSERT_EQ(outbox_.append_copy("part"), "");
  EXPECT_TRUE(outbox_.holds_in(pool));
  send_all();
  EXPECT_TRUE(outbox_.holds_in(pool));
  outbox_.release();
  EXPECT_FALSE(outbox_.holds_in(pool));
}

TEST_F(OutboxTest, FramesWhatLeavesTogetherAsOneChunk) {
  ASSERT_TRUE(outbox_.append_head("HEAD\r\n\r\n"));
  outbox_.set_framing(&kChunkedFraming);
  ASSERT_EQ(outbox_.append_copy("data: 1\n\n"), "");
  outbox_.append_static(":\n\n");
  outbox_.release();
  EXPECT_EQ(send_all(), "HEAD\r\n\r\nc\r\ndata: 1\n\n:\n\n\r\n");
  outbox_.append_static("x");
  outbox_.release();
  outbox_.finish();
  EXPECT_EQ(send_all(), "1\r\nx\r\n0\r\n\r\n") << "the end joins the last chunk";
  EXPECT_TRUE(outbox_.complete());
}

TEST_F(OutboxTest, TheLastChunkIsSentOnce) {
  outbox_.set_framing(&kChunkedFraming);
  outbox_.append_static("x");
  outbox_.release();
  EXPECT_EQ(batch_of(outbox_), "1\r\nx\r\n");
  outbox_.finish();  // with a batch under way: too late for it
  EXPECT_EQ(batch_of(outbox_), "1\r\nx\r\n");
  outbox_.sent(6);
  EXPECT_FALSE(outbox_.complete());
  EXPECT_TRUE(outbox_.has_work());
  EXPECT_EQ(send_all(), "0\r\n\r\n");
  EXPECT_TRUE(outbox_.complete());
  EXPECT_FALSE(outbox_.has_work());
}

TEST_F(OutboxTest, AnEmptyChunkedBodyIsOneLastChunk) {
  ASSERT_TRUE(outbox_.append_head("HEAD\r\n\r\n"));
  outbox_.set_framing(&kChunkedFraming);
  outbox_.finish();
  EXPECT_EQ(send_all(), "HEAD\r\n\r\n0\r\n\r\n");
  EXPECT_TRUE(outbox_.complete());
}

TEST_F(OutboxTest, HeldBytesStayBehind) {
  ASSERT_EQ(outbox_.append_copy("whole"), "");
  outbox_.release();
  ASSERT_EQ(outbox_.append_copy("half"), "");
  EXPECT_EQ(outbox_.held(), 4U);
  EXPECT_EQ(outbox_.backlog(), 5U);
  EXPECT_EQ(send_all(), "whole");
  EXPECT_FALSE(outbox_.has_work());
  ASSERT_EQ(outbox_.append_copy(" and half"), "");
  outbox_.release();
  EXPECT_EQ(send_all(), "half and half");
  ASSERT_EQ(outbox_.append_copy("never"), "");
  outbox_.discard_held();
  EXPECT_EQ(outbox_.held(), 0U);
  outbox_.finish();
  EXPECT_EQ(send_all(), "");
  EXPECT_TRUE(outbox_.complete());
}

TEST_F(OutboxTest, DiscardsBehindABatchThatIsUnderWay) {
  outbox_.set_framing(&kChunkedFraming);
  ASSERT_EQ(outbox_.append_copy("whole"), "");
  outbox_.release();
  ASSERT_EQ(outbox_.append_copy("half"), "");
  EXPECT_EQ(batch_of(outbox_), "5\r\nwhole\r\n");
  outbox_.sent(4);
  outbox_.discard_held();
  EXPECT_EQ(send_all(), "hole\r\n");
}

TEST_F(OutboxTest, ABatchDoesNotChangeOnceItHasBegun) {
  outbox_.set_framing(&kChunkedFraming);
  ASSERT_EQ(outbox_.append_copy("one"), "");
  outbox_.release();
  EXPECT_EQ(batch_of(outbox_), "3\r\none\r\n");
  ASSERT_EQ(outbox_.append_copy("two"), "");  // into the same slot
  outbox_.release();
  outbox_.sent(1);
  EXPECT_EQ(batch_of(outbox_), "\r\none\r\n");
  EXPECT_EQ(send_all(), "\r\none\r\n3\r\ntwo\r\n");
}

TEST_F(OutboxTest, InterimHeadsMayFollowEachOther) {
  ASSERT_TRUE(outbox_.append_head("100\r\n\r\n"));
  EXPECT_EQ(batch_of(outbox_), "100\r\n\r\n");
  ASSERT_TRUE(outbox_.append_head("103\r\n\r\n"));
  ASSERT_TRUE(outbox_.append_head("200\r\n\r\n"));
  ASSERT_EQ(outbox_.append_copy("body"), "");
  outbox_.release();
  EXPECT_EQ(send_all(), "100\r\n\r\n103\r\n\r\n200\r\n\r\nbody");
}

TEST_F(OutboxTest, RewindsFromAnywhere) {
  const std::string expected = "HEAD\r\n\r\n4\r\nbody\r\n0\r\n\r\n";
  for (size_t left = 0; left <= expected.size(); ++left) {
    Outbox outbox(rig_.memory, rig_.pool());
    outbox.keep_for_replay(true);
    ASSERT_TRUE(outbox.append_head("HEAD\r\n\r\n"));
    outbox.set_framing(&kChunkedFraming);
    ASSERT_EQ(outbox.append_copy("body"), "");
    outbox.release();
    outbox.finish();
    ASSERT_EQ(batch_of(outbox), expected);
    outbox.sent(left);
    outbox.rewind();
    EXPECT_EQ(outbox.kept_bytes(), 0U);
    ASSERT_EQ(batch_of(outbox), expected) << "after " << left << " bytes";
    outbox.sent(expected.size());
    EXPECT_TRUE(outbox.complete());
    EXPECT_EQ(outbox.kept_bytes(), 12U);
    outbox.keep_for_replay(false);
    EXPECT_EQ(outbox.kept_bytes(), 0U);
    EXPECT_FALSE(outbox.kept_for_replay());
  }
  rig_.expect_clean();
}

TEST_F(OutboxTest, NothingMoreThanTheBatchCanHaveLeft) {
  ASSERT_EQ(outbox_.append_copy("x"), "");
  outbox_.release();
  batch_of(outbox_);
  EXPECT_DEATH(outbox_.sent(2), "invariant broken");
}

}  // namespace
}  // namespace sluice
