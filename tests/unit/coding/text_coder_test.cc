#include "net/coding/text_coder.h"

#include <gtest/gtest.h>

#include "tests/unit/coding/packer_testing.h"

namespace sluice::test {
namespace {

std::string noise(size_t size) {
  std::string text(size, '\0');
  uint32_t state = 1;
  for (char& c : text) {
    state = state * 1664525 + 1013904223;
    c = static_cast<char>(state >> 24);
  }
  return text;
}

// A body of texts that were coded elsewhere, and its reader.
class CodedBody : public testing::Test {
 protected:
  std::string code(std::string_view text, std::string_view behind = {}) {
    return std::string(coder_.code(text, behind).bytes);
  }
  void append(std::string_view text, std::string_view behind = {}, uint64_t name = 1) {
    ASSERT_TRUE(packer_->append_coded(coder_.code(text, behind), Lease(), name, packed_));
    sent_ += text;
  }
  void append_plain(std::string_view text) {
    packer_->plain().append_static(text);
    sent_ += text;
  }
  void read() {
    decoder_->feed(text_of(packed_));
    packed_.consume(packed_.bytes());
    ASSERT_FALSE(decoder_->failed);
    ASSERT_EQ(decoder_->plain, sent_);
  }

  PackerRig rig_{TextCoder::kCoding};
  TextCoder coder_;
  std::unique_ptr<Packer> packer_ = rig_.packer(Packer::Way::kElsewhere);
  Chain packed_{rig_.memory, rig_.pool()};
  std::unique_ptr<Decoder> decoder_ = decoder_of(TextCoder::kCoding);
  std::string sent_;
};

TEST_F(CodedBody, EachTextCanBeReadAtOnceAndTheBodyHasAnEnd) {
  for (size_t size : {1UL, 100UL, 2048UL}) {
    append(noise(size));
    read();
    append(std::string(size, 'x'));
    read();
  }
  EXPECT_FALSE(decoder_->ended());
  packer_->pack(packed_, /*finished=*/true);
  read();
  EXPECT_TRUE(decoder_->ended());
  EXPECT_TRUE(packer_->ended());
}

TEST_F(CodedBody, TextsOfOurOwnStandBetween) {
  append_plain("id: 1\n\n");
  append("data: one\n\n");
  read();
  append_plain(":\n\n");
  append_plain(":\n\n");
  append("data: two\n\n");
  read();
  append_plain("retry: 1\n\n");
  packer_->pack(packed_, /*finished=*/true);
  read();
  EXPECT_TRUE(decoder_->ended());
}

TEST_F(CodedBody, AReaderJoinsAtAnyText) {
  std::vector<std::string> texts;
  for (size_t i = 0; i < 20; ++i) texts.push_back(some_event(i));
  for (size_t begin = 0; begin < texts.size(); ++begin) {
    packer_ = rig_.packer(Packer::Way::kElsewhere);
    decoder_ = decoder_of(TextCoder::kCoding);
    sent_.clear();
    append(texts[begin]);
    for (size_t i = begin + 1; i < texts.size(); ++i) append(texts[i], texts[i - 1]);
    read();
  }
}

TEST_F(CodedBody, WhatDoesNotPackGrowsByLittle) {
  for (size_t size : {1UL, 50UL, 500UL, 2000UL}) {
    EXPECT_LE(code(noise(size)).size(), size + 10 + size / 200);
    EXPECT_LE(code(noise(size), noise(300)).size(), size + 10 + size / 200);
  }
}

TEST_F(CodedBody, KnowsWhatStandsLast) {
  EXPECT_EQ(packer_->last_coded(), 0U);
  append("data: one\n\n", {}, /*name=*/7);
  EXPECT_EQ(packer_->last_coded(), 7U);
  append_plain(":\n\n");
  EXPECT_EQ(packer_->last_coded(), 0U) << "it waits";
  packer_->pack(packed_, /*finished=*/false);
  EXPECT_EQ(packer_->last_coded(), 0U) << "it is packed";
  append("data: two\n\n", {}, /*name=*/8);
  EXPECT_EQ(packer_->last_coded(), 8U);
}

TEST_F(CodedBody, NeedsNoStateAndIsCounted) {
  append(some_event(1));
  append(some_event(2));
  const EncodingCounts& counts = rig_.encoders.metrics().of(TextCoder::kCoding);
  EXPECT_EQ(counts.bodies, 1U);
  EXPECT_EQ(counts.state_bytes, 0U);
  EXPECT_EQ(counts.plain_bytes, sent_.size());
  EXPECT_EQ(counts.packed_bytes, packed_.bytes());
}

// What differs from the text before is all that is left.
TEST(TextCoder, CodesATextBehindAnother) {
  TextCoder coder;
  size_t alone = coder.code(some_event(2)).bytes.size();
  size_t behind = coder.code(some_event(2), some_event(1)).bytes.size();
  EXPECT_LT(behind * 2, alone);
  EXPECT_EQ(coder.code(some_event(2)).bytes.size(), alone) << "nothing is left of what went before";
}

}  // namespace
}  // namespace sluice::test
