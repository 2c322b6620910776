#include "net/coding/packer.h"

#include <cstring>

#include <gtest/gtest.h>

#include "net/base/limits.h"
#include "tests/unit/coding/packer_testing.h"

namespace sluice::test {
namespace {

class EachCoding : public testing::TestWithParam<ContentCoding> {};

TEST_P(EachCoding, EverySendCanBeReadAtOnce) {
  PackerRig rig(GetParam());
  Body body(rig);
  for (size_t i = 0; i < 200; ++i) {
    body.append(some_event(i));
    body.send();
    EXPECT_FALSE(body.decoder->ended());
  }
  body.send(/*finished=*/true);
  EXPECT_TRUE(body.decoder->ended());
  EXPECT_TRUE(body.packer->ended());
  EXPECT_LT(body.wire_bytes * 2, body.sent.size());
}

TEST_P(EachCoding, WireCutAnywhereHandsOutNothingThatWasNotSent) {
  PackerRig rig(GetParam());
  Body body(rig);
  std::string wire;
  for (size_t i = 0; i < 5; ++i) {
    body.append(some_event(i));
    wire += body.pack();
  }
  wire += body.pack(/*finished=*/true);
  std::unique_ptr<Decoder> decoder = decoder_of(GetParam());
  for (size_t i = 0; i < wire.size(); ++i) {
    EXPECT_FALSE(decoder->ended()) << "cut at byte " << i;
    decoder->feed(wire.substr(i, 1));
    ASSERT_FALSE(decoder->failed);
    ASSERT_TRUE(body.sent.starts_with(decoder->plain));
  }
  EXPECT_TRUE(decoder->ended());
  EXPECT_EQ(decoder->plain, body.sent);
}

TEST_P(EachCoding, BodyWithoutBytesIsComplete) {
  PackerRig rig(GetParam());
  Body body(rig);
  body.send(/*finished=*/true);
  EXPECT_TRUE(body.decoder->ended());
}

TEST_P(EachCoding, LastBytesLeaveWithTheEnd) {
  PackerRig rig(GetParam());
  Body body(rig);
  body.append(some_event(1));
  body.send(/*finished=*/true);
  EXPECT_TRUE(body.decoder->ended());
}

TEST_P(EachCoding, BytesThatDoNotPackPassAllTheSame) {
  PackerRig rig(GetParam());
  Body body(rig);
  std::string noise(3000, '\0');
  uint32_t state = 1;
  for (char& c : noise) {
    state = state * 1664525 + 1013904223;
    c = static_cast<char>(state >> 24);
  }
  for (size_t i = 0; i < 60; ++i) {
    body.append(noise.substr(i * 7));
    body.send();
  }
  body.send(/*finished=*/true);
  EXPECT_TRUE(body.decoder->ended());
}

// One send is bounded, whatever waits.
TEST_P(EachCoding, PacksAboutOneSendAtATime) {
  PackerRig rig(GetParam());
  Body body(rig);
  for (size_t i = 0; i < 5; ++i) body.append(std::string(limits::kSendBatchBytes, 'x'));
  body.decoder->feed(body.pack());
  EXPECT_EQ(body.packer->plain().bytes(), 4 * limits::kSendBatchBytes);
  EXPECT_EQ(body.decoder->plain.size(), limits::kSendBatchBytes);
  body.send();
}

// What does not flush at each send flushes where nothing else is there to be sent.
TEST_P(EachCoding, NothingWaitsWhereNothingFollows) {
  PackerRig rig(GetParam());
  Body body(rig, Packer::Way::kWhenDry);
  for (size_t i = 0; i < 3; ++i) body.append(std::string(limits::kSendBatchBytes, 'x'));
  while (!body.packer->plain().empty()) {
    std::string wire = body.pack();
    EXPECT_FALSE(wire.empty());
    body.decoder->feed(wire);
  }
  EXPECT_EQ(body.decoder->plain, body.sent);
  body.send(/*finished=*/true);
  EXPECT_TRUE(body.decoder->ended());
}

TEST_P(EachCoding, StatesAreBoundedAndUsedAgain) {
  PackerRig rig(GetParam(), /*states=*/2);
  const EncodingCounts& counts = rig.encoders.metrics().of(GetParam());
  for (size_t round = 0; round < 3; ++round) {
    Body one(rig);
    Body other(rig);
    Body third(rig);
    EXPECT_TRUE(one.packer->has_state() && other.packer->has_state());
    EXPECT_FALSE(third.packer->has_state());
    EXPECT_EQ(counts.states_in_use, 2U);
    EXPECT_EQ(counts.state_bytes, 2 * encoder_bytes(GetParam()));
    one.append(some_event(round));
    one.send();
    other.append(some_event(round + 1));
    other.send(/*finished=*/true);
    EXPECT_EQ(counts.states_in_use, 1U) << "a body that has ended needs none";
    Body fourth(rig);
    EXPECT_TRUE(fourth.packer->has_state());
  }
  EXPECT_EQ(counts.states_in_use, 0U);
  rig.encoders.tick();
  rig.encoders.tick();
  EXPECT_EQ(counts.state_bytes, 0U) << "spare states go";
  EXPECT_EQ(rig.limit.bytes, 0U);
}

INSTANTIATE_TEST_SUITE_P(Packer, EachCoding, testing::ValuesIn(kAllCodings),
                         [](const auto& each) { return std::string(coding_name(each.param)); });

// Of these a state can be taken back.
class TakenBack : public testing::TestWithParam<ContentCoding> {
 protected:
  static void let_rest(PackerRig& rig) {
    for (size_t i = 0; i < limits::kEncoderRestTicks; ++i) rig.encoders.tick();
  }
};

TEST_P(TakenBack, IdleBodyGoesOnWithoutItsState) {
  PackerRig rig(GetParam(), /*states=*/1);
  Body idle(rig);
  idle.append(some_event(1));
  idle.send();
  let_rest(rig);
  {
    Body busy(rig);
    EXPECT_TRUE(busy.packer->has_state());
    EXPECT_FALSE(idle.packer->has_state());
    EXPECT_EQ(rig.encoders.metrics().of(GetParam()).taken_back, 1U);
    for (size_t i = 0; i < 3; ++i) {
      idle.append(some_event(i) + std::string(5000, 'x'));  // more than one block
      idle.send();
      busy.append(some_event(i));
      busy.send();
    }
  }
  idle.append(some_event(2));  // with a state again
  idle.send();
  EXPECT_TRUE(idle.packer->has_state());
  EXPECT_FALSE(idle.decoder->ended());
  idle.send(/*finished=*/true);
  EXPECT_TRUE(idle.decoder->ended());
}

TEST_P(TakenBack, BodyEndsWithoutAState) {
  for (bool began : {false, true}) {
    PackerRig rig(GetParam(), /*states=*/1);
    Body idle(rig);
    let_rest(rig);
    Body busy(rig);
    ASSERT_FALSE(idle.packer->has_state());
    if (began) {
      idle.append(some_event(1));
      idle.send();
      EXPECT_FALSE(idle.decoder->ended());
    }
    idle.send(/*finished=*/true);
    EXPECT_TRUE(idle.decoder->ended());
  }
}

TEST_P(TakenBack, BusyBodiesKeepTheirs) {
  PackerRig rig(GetParam(), /*states=*/1);
  Body body(rig);
  for (size_t i = 0; i < 10; ++i) {
    body.append(some_event(i));
    body.send();
    rig.encoders.tick();
    EXPECT_FALSE(Body(rig).packer->has_state());
  }
}

TEST_P(TakenBack, StateWithBytesThatAreNotFlushedIsKept) {
  PackerRig rig(GetParam(), /*states=*/1);
  Body body(rig, Packer::Way::kWhenDry);
  std::string text;
  for (size_t i = 0; text.size() < 2 * limits::kSendBatchBytes; ++i) text += some_event(i);
  body.append(text);
  body.decoder->feed(body.pack());
  ASSERT_FALSE(body.packer->plain().empty());
  let_rest(rig);
  EXPECT_FALSE(Body(rig).packer->has_state());
  body.send(/*finished=*/true);
  EXPECT_TRUE(body.decoder->ended());
}

INSTANTIATE_TEST_SUITE_P(Packer, TakenBack,
                         testing::Values(ContentCoding::kGzip, ContentCoding::kZstd),
                         [](const auto& each) { return std::string(coding_name(each.param)); });

TEST(Encoders, SpareStatesOfOneCodingGiveWayToAnother) {
  PackerRig rig(ContentCoding::kZstd, /*states=*/1);
  Body(rig).send(/*finished=*/true);
  EXPECT_EQ(rig.encoders.metrics().of(ContentCoding::kZstd).states_in_use, 0U);
  rig.coding = ContentCoding::kGzip;
  EXPECT_TRUE(Body(rig).packer->has_state());
  EXPECT_EQ(rig.encoders.metrics().of(ContentCoding::kZstd).state_bytes, 0U);
}

TEST(Encoders, SlabsThatFillTheLimitLeaveNoRoom) {
  PackerRig rig(ContentCoding::kZstd);
  rig.limit.bytes = rig.limit.bytes_max;
  EXPECT_FALSE(Body(rig).packer->has_state());
  rig.limit.bytes = 0;
}

}  // namespace
}  // namespace sluice::test
