// An outbox whose body leaves packed.
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "net/http1/writer.h"
#include "net/stream/outbox.h"
#include "tests/unit/coding/packer_testing.h"
#include "tests/unit/stream/outbox_testing.h"

namespace sluice::test {
namespace {

class OutboxPacking : public testing::TestWithParam<ContentCoding> {
 protected:
  OutboxPacking() { outbox_.pack(rig_.packer()); }

  void expect_sent(std::string_view plain) {
    std::string batch = batch_of(outbox_);
    EXPECT_FALSE(batch.empty());
    decoder_->feed(batch);
    outbox_.sent(batch.size());
    EXPECT_FALSE(decoder_->failed);
    EXPECT_EQ(decoder_->plain, plain);
  }

  PackerRig rig_{GetParam()};
  std::unique_ptr<Decoder> decoder_ = decoder_of(GetParam());
  Outbox outbox_{rig_.memory, rig_.pool()};
};

TEST_P(OutboxPacking, WhateverIsAppendedLeavesWithTheNextBatch) {
  Lease lease = rig_.slot("data: by reference\n\n");
  outbox_.append(lease, {lease.data(), 20});
  outbox_.append_static(": heartbeat\n\n");
  outbox_.append_own("event: ours\n\n");
  EXPECT_EQ(outbox_.backlog(), 46U);
  EXPECT_TRUE(outbox_.has_work());
  expect_sent("data: by reference\n\n: heartbeat\n\nevent: ours\n\n");
  EXPECT_FALSE(outbox_.has_work()) << "all that was appended has left";
  EXPECT_FALSE(decoder_->ended());
}

TEST_P(OutboxPacking, OnlyFinishEndsIt) {
  outbox_.append_static("data\n\n");
  expect_sent("data\n\n");
  EXPECT_FALSE(outbox_.complete());
  outbox_.finish();
  EXPECT_TRUE(outbox_.has_work());
  EXPECT_FALSE(outbox_.complete());
  expect_sent("data\n\n");
  EXPECT_TRUE(decoder_->ended());
  EXPECT_TRUE(outbox_.complete());
}

TEST_P(OutboxPacking, LastBatchHasBodyAndBothEnds) {
  outbox_.set_framing(&kChunkedFraming);
  ASSERT_TRUE(outbox_.append_head("HEAD\r\n\r\n"));
  outbox_.append_static("data\n\n");
  outbox_.finish();
  std::string batch = batch_of(outbox_);
  EXPECT_TRUE(outbox_.batch_is_last());
  outbox_.sent(batch.size());
  EXPECT_TRUE(outbox_.complete());
  ASSERT_TRUE(batch.starts_with("HEAD\r\n\r\n"));
  std::optional<std::string> packed = decode_chunked(std::string_view(batch).substr(8));
  ASSERT_TRUE(packed);
  decoder_->feed(*packed);
  EXPECT_EQ(decoder_->plain, "data\n\n");
  EXPECT_TRUE(decoder_->ended());
}

TEST_P(OutboxPacking, WhatIsAppendedToABatchUnderWayFollowsIt) {
  outbox_.append_static("one\n\n");
  std::string batch = batch_of(outbox_);
  outbox_.append_static("two\n\n");
  EXPECT_EQ(batch_of(outbox_), batch) << "a batch stays as it is";
  decoder_->feed(batch);
  outbox_.sent(batch.size());
  EXPECT_EQ(decoder_->plain, "one\n\n");
  expect_sent("one\n\ntwo\n\n");
}

TEST_P(OutboxPacking, AbandonedOneHasNothingToSend) {
  outbox_.append_static("one\n\n");
  outbox_.abandon();
  EXPECT_FALSE(outbox_.has_work());
  EXPECT_EQ(rig_.encoders.metrics().of(GetParam()).states_in_use, 0U);
}

INSTANTIATE_TEST_SUITE_P(Outbox, OutboxPacking, testing::ValuesIn(kAllCodings),
                         [](const auto& each) { return std::string(coding_name(each.param)); });

}  // namespace
}  // namespace sluice::test
