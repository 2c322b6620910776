#include "net/stream/outbox.h"

#include <algorithm>
#include <array>
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

// As a hub's event does; the socket may take any part of it.
TEST_F(OutboxTest, SendsWhatStandsFramedInASharedSlotInOnePiece) {
  std::string text = "before5\r\nevent\r\nbehind";
  SharedSlot shared([](SharedSlot&) {});
  shared.data = text.data();
  shared.size = static_cast<uint32_t>(text.size());
  std::string_view event = std::string_view(text).substr(9, 5);
  outbox_.set_framing(&kChunkedFraming);
  for (size_t part = 1; part <= 10; ++part) {
    shared.leases = 1;
    outbox_.append(Lease::adopt(&shared), event);
    std::string wire;
    std::array<iovec, 8> pieces{};
    ASSERT_EQ(outbox_.build(pieces), 1U);
    EXPECT_EQ(pieces[0].iov_base, event.data() - 3) << "where it lies";
    for (std::string batch = batch_of(outbox_); !batch.empty(); batch = batch_of(outbox_)) {
      wire += batch.substr(0, part);
      outbox_.sent(std::min(part, batch.size()));
    }
    EXPECT_EQ(wire, "5\r\nevent\r\n") << part;
    EXPECT_EQ(shared.leases, 0U);
  }
  shared.leases = 1;
  outbox_.append(Lease::adopt(&shared), event);
  outbox_.finish();
  EXPECT_EQ(send_all(), "5\r\nevent\r\n0\r\n\r\n") << "something else follows it";
  EXPECT_EQ(text, "before5\r\nevent\r\nbehind");
}

TEST_F(OutboxTest, KnowsWhosePoolsSlotsItHolds) {
  ChainRig other;
  ASSERT_TRUE(outbox_.append_head("HEAD"));
  EXPECT_TRUE(outbox_.holds_in(rig_.pool()));
  EXPECT_FALSE(outbox_.holds_in(other.pool()));
  send_all();
  EXPECT_FALSE(outbox_.holds_in(rig_.pool()));
}

TEST_F(OutboxTest, FramesWhatLeavesTogetherAsOneChunk) {
  ASSERT_TRUE(outbox_.append_head("HEAD\r\n\r\n"));
  outbox_.set_framing(&kChunkedFraming);
  ASSERT_EQ(outbox_.append_copy("data: 1\n\n"), "");
  outbox_.append_static(":\n\n");
  EXPECT_EQ(send_all(), "HEAD\r\n\r\nc\r\ndata: 1\n\n:\n\n\r\n");
  outbox_.append_static("x");
  outbox_.finish();
  EXPECT_EQ(send_all(), "1\r\nx\r\n0\r\n\r\n") << "the end joins the last chunk";
  EXPECT_TRUE(outbox_.complete());
}

TEST_F(OutboxTest, TheLastChunkIsSentOnce) {
  outbox_.set_framing(&kChunkedFraming);
  outbox_.append_static("x");
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

TEST_F(OutboxTest, StagedBytesLeaveOnceTheyAreAppended) {
  Chain staged(rig_.memory, rig_.pool());
  ASSERT_EQ(outbox_.append_copy("whole"), "");
  ASSERT_EQ(outbox_.stage_copy(staged, "half"), "");
  EXPECT_EQ(outbox_.backlog(), 5U);
  EXPECT_EQ(send_all(), "whole");
  EXPECT_FALSE(outbox_.has_work());
  ASSERT_EQ(outbox_.stage_copy(staged, " and half"), "");
  EXPECT_FALSE(outbox_.has_work());
  outbox_.append_staged(staged);
  EXPECT_TRUE(staged.empty());
  EXPECT_EQ(send_all(), "half and half");
  ASSERT_EQ(outbox_.stage_copy(staged, "never"), "");
  staged.clear();
  outbox_.finish();
  EXPECT_EQ(send_all(), "");
  EXPECT_TRUE(outbox_.complete());
}

TEST_F(OutboxTest, StagesBehindABatchThatIsUnderWay) {
  Chain staged(rig_.memory, rig_.pool());
  outbox_.set_framing(&kChunkedFraming);
  ASSERT_EQ(outbox_.append_copy("whole"), "");
  EXPECT_EQ(batch_of(outbox_), "5\r\nwhole\r\n");
  ASSERT_EQ(outbox_.stage_copy(staged, "half"), "");
  outbox_.sent(4);
  outbox_.append_staged(staged);
  EXPECT_EQ(send_all(), "hole\r\n4\r\nhalf\r\n");
}

// The framing of what leaves is written around it in its slot, unless staged bytes lie there.
TEST_F(OutboxTest, FramesNothingOverStagedBytes) {
  for (bool dropped : {false, true}) {
    Outbox outbox(rig_.memory, rig_.pool());
    Chain staged(rig_.memory, rig_.pool());
    outbox.set_framing(&kChunkedFraming);
    ASSERT_EQ(outbox.append_copy("1234567890"), "");
    outbox.sent(batch_of(outbox).size() - 2);
    ASSERT_EQ(outbox.append_copy("whole"), "");
    ASSERT_EQ(outbox.stage_copy(staged, "half"), "");
    outbox.sent(2);
    EXPECT_EQ(batch_of(outbox), "5\r\nwhole\r\n");
    EXPECT_EQ(test::text_of(staged), "half");
    if (dropped) staged.clear();
    outbox.append_staged(staged);
    outbox.sent(10);
    EXPECT_EQ(batch_of(outbox), dropped ? "" : "4\r\nhalf\r\n");
  }
  rig_.expect_clean();
}

TEST_F(OutboxTest, ABatchDoesNotChangeOnceItHasBegun) {
  outbox_.set_framing(&kChunkedFraming);
  ASSERT_EQ(outbox_.append_copy("one"), "");
  EXPECT_EQ(batch_of(outbox_), "3\r\none\r\n");
  ASSERT_EQ(outbox_.append_copy("two"), "");  // into the same slot
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
    outbox.finish();
    ASSERT_EQ(batch_of(outbox), expected);
    outbox.sent(left);
    outbox.rewind();
    EXPECT_EQ(outbox.kept_bytes(), 0U);
    ASSERT_EQ(batch_of(outbox), expected) << "after " << left << " bytes";
    outbox.sent(expected.size());
    EXPECT_TRUE(outbox.complete());
    EXPECT_EQ(outbox.kept_bytes(), 12U);
    EXPECT_EQ(outbox.kept_body_bytes(), 4U);
    outbox.keep_for_replay(false);
    EXPECT_EQ(outbox.kept_bytes(), 0U);
    EXPECT_FALSE(outbox.kept_for_replay());
  }
  rig_.expect_clean();
}

TEST_F(OutboxTest, NothingMoreThanTheBatchCanHaveLeft) {
  ASSERT_EQ(outbox_.append_copy("x"), "");
  batch_of(outbox_);
  EXPECT_DEATH(outbox_.sent(2), "invariant broken");
}

}  // namespace
}  // namespace sluice
