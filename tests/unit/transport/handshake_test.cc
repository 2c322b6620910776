// A client's connection while its transform shakes hands, and a crowd of them.
#include "net/transport/handshake.h"

#include <algorithm>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/base/limits.h"
#include "net/transport/handshake_pace.h"
#include "tests/unit/transport/transform_testing.h"

namespace sluice {
namespace {

using test::joined;
using test::kSlotBytes;
using test::text;
using test::ToyTalk;
using test::ToyType;
using test::TransformTest;
using test::turn_until;
using testing::ElementsAre;
using testing::IsEmpty;

TEST_F(TransformTest, TheConnectionIsMadeWhenTheHandshakeIsDone) {
  Pair& pair = accept();
  pair.say(pair.talk.hello());
  turn_until(loop_, [&] {
    pair.hear();
    return pair.talk.heard(ToyType::kHello);
  });
  turns(10);
  EXPECT_EQ(pair.conn, nullptr);
  pair.say(pair.talk.confirm());
  turn_until(loop_, [&] { return pair.conn != nullptr; });
  respond(pair, "hello");
  await_plain(pair, "hello");
  EXPECT_EQ(pair.talk.types, "HTD");
}

TEST_F(TransformTest, AHandshakeMayBeLargerThanASlot) {
  Pair& pair = accept({.hello_bytes = 30'000});
  pair.say(joined({pair.talk.hello(30'000), pair.talk.confirm(), pair.talk.data("request")}));
  turn_until(loop_, [&] { return pair.log.received == "request"; });
  respond(pair, "response");
  await_plain(pair, "response");
}

TEST_F(TransformTest, WhatComesBehindTheHandshakeIsForTheNextConnection) {
  Pair& pair = accept();
  std::string bytes = text(40'000);
  pair.say(joined({pair.talk.begin(), pair.talk.data(bytes)}));
  turn_until(loop_, [&] { return pair.log.received.size() == bytes.size(); });
  EXPECT_TRUE(pair.log.received == bytes);
}

TEST_F(TransformTest, AnEndBehindTheHandshakeIsForTheNextConnection) {
  Pair& pair = accept();
  pair.say(joined({pair.talk.begin(), pair.talk.data("all"), pair.talk.end()}));
  pair.peer->shut_down_sending();
  turn_until(loop_, [&] { return !pair.log.receive_ends.empty(); });
  EXPECT_EQ(pair.log.received, "all");
  EXPECT_THAT(pair.log.receive_ends, ElementsAre(0));
}

TEST_F(TransformTest, AHandshakeThatIsNotValidCloses) {
  Pair& pair = accept();
  pair.say("GET / HTTP/1.1\r\n\r\n");
  turn_until(loop_, [&] { return pair.log.closes > 0; });
  EXPECT_EQ(pair.conn, nullptr);
}

TEST_F(TransformTest, AHandshakeThatIsLeftCloses) {
  std::string begin = ToyTalk().begin();
  for (size_t size = 0; size < begin.size(); ++size) {
    Pair& left = accept();
    left.say(begin.substr(0, size));
    left.peer->shut_down_sending();
    turn_until(loop_, [&] { return left.log.closes > 0; });
    Pair& reset = accept();
    reset.say(begin.substr(0, size));
    turns(3);
    reset.peer->reset();
    turn_until(loop_, [&] { return reset.log.closes > 0; });
    EXPECT_EQ(reset.conn, nullptr);
  }
}

TEST_F(TransformTest, AHandshakeThatTakesTooLongCloses) {
  Pair& pair = accept({}, 0, 20);
  pair.say(pair.talk.hello());
  turn_until(loop_, [&] { return pair.log.closes > 0; });
}

TEST_F(TransformTest, AHandshakeIsClosedAtAnyTime) {
  for (int count = 0; count < 12; ++count) {
    Pair& pair = accept();
    pair.say(joined({pair.talk.begin(), pair.talk.data("request")}));
    turns(count);
    if (pair.handshake) pair.handshake->drop();
    if (pair.conn) pair.conn->close(CloseMode::kOrderly);
    turn_until(loop_, [&] { return pair.log.closes > 0; });
    turn_until(loop_, [&] { return pair.peer->ended(); });
  }
}

// --- the handshake with a server ---

TEST_F(TransformTest, ACrowdOfHandshakesTakesHalfOfTheTime) {
  pace_ = std::make_unique<HandshakePace>(loop_);
  step_ns_ = limits::kHandshakeBurstNs / 4;
  std::vector<Pair*> crowd;
  while (crowd.size() < 28) crowd.push_back(&accept());
  for (Pair* pair : crowd) pair->say(pair->talk.begin());
  uint64_t began_ns = loop_.now_ns();
  uint64_t steps = 0;
  turn_until(loop_, [&] { return (steps += std::exchange(steps_, 0)) >= 3; });
  for (Pair* pair : std::span(crowd).first(20))  // those whose turn is next give it away
    if (pair->handshake) pair->handshake->drop();
  turn_until(loop_, [&] {
    EXPECT_LE(steps_, 3) << "in one turn";
    steps += std::exchange(steps_, 0);
    EXPECT_LE((steps - 3) * 2 * step_ns_, loop_.now_ns() - began_ns);
    return std::all_of(crowd.begin() + 20, crowd.end(), [](Pair* pair) { return pair->conn; });
  });
}

TEST_F(TransformTest, AHelloThatWaitsForItsTurnHoldsNoSlot) {
  pace_ = std::make_unique<HandshakePace>(loop_);
  step_ns_ = 1'000 * limits::kHandshakeBurstNs;
  std::vector<Pair*> crowd;
  while (crowd.size() < test::kSlots + 8) crowd.push_back(&accept());
  for (Pair* pair : crowd) pair->say(pair->talk.hello());
  turn_until(loop_, [&] { return pool_.heap_blocks() > test::kSlots; });
  for (Pair* pair : crowd)
    if (pair->handshake) pair->handshake->drop();
}

TEST_F(TransformTest, HellosThatWaitTakeHalfOfTheHeapAtMost) {
  pace_ = std::make_unique<HandshakePace>(loop_);
  step_ns_ = 1'000 * limits::kHandshakeBurstNs;
  memory_limit_.heap_max = 8 * ToyTalk().hello().size();
  std::vector<Pair*> crowd;
  while (crowd.size() < 10) crowd.push_back(&accept());
  for (Pair* pair : crowd) pair->say(pair->talk.hello());
  turn_until(loop_, [&] { return pool_.leased() >= 4; });
  EXPECT_GT(pool_.heap_blocks(), 0U);
  EXPECT_LE(memory_limit_.heap, memory_limit_.heap_max / 2);
  for (Pair* pair : crowd)
    if (pair->handshake) pair->handshake->drop();
}

// In a crowd those go who say nothing, and not those who wait for us.
TEST_F(TransformTest, WhoWaitsForItsTurnIsNotSilent) {
  pace_ = std::make_unique<HandshakePace>(loop_);
  step_ns_ = 1'000 * limits::kHandshakeBurstNs;
  crowded_ = true;
  std::vector<Pair*> crowd;
  while (crowd.size() < 4) crowd.push_back(&accept());
  for (Pair* pair : crowd) pair->say(pair->talk.hello());
  Pair& silent = accept();
  turn_until(loop_, [&] { return silent.log.closes > 0; });
  turns(10);
  for (Pair* pair : std::span(crowd).subspan(1)) EXPECT_EQ(pair->log.closes, 0U);
  for (Pair* pair : crowd)
    if (pair->handshake) pair->handshake->drop();
}

// Each that has begun holds memory until it is over.
TEST_F(TransformTest, AHandshakeThatHasBegunGoesBeforeOthers) {
  pace_ = std::make_unique<HandshakePace>(loop_);
  step_ns_ = 50 * limits::kHandshakeBurstNs;
  std::vector<Pair*> crowd;
  while (crowd.size() < 20) crowd.push_back(&accept());
  for (Pair* pair : crowd) pair->say(pair->talk.hello());
  auto begun = crowd.end();
  turn_until(loop_, [&] {
    begun = std::ranges::find_if(crowd, [](Pair* pair) {
      pair->hear();
      return pair->talk.heard(ToyType::kHello);
    });
    return begun != crowd.end();
  });
  ASSERT_NE(begun, crowd.end());
  (*begun)->say((*begun)->talk.confirm());
  turn_until(loop_, [&] { return (*begun)->conn != nullptr; });
  EXPECT_LT(steps_, crowd.size() / 2);
}

TEST_F(TransformTest, NobodyStaysInFrontBySayingLittleAtATime) {
  pace_ = std::make_unique<HandshakePace>(loop_);
  step_ns_ = 5 * limits::kHandshakeBurstNs;
  Pair& talker = accept();
  std::string hello = talker.talk.hello(30'000);
  size_t said = 0;
  auto say_little = [&] {
    for (unsigned due = steps_ + 2; said < due; ++said) talker.say(hello.substr(said, 1));
  };
  say_little();
  turn_until(loop_, [&] { return steps_ > 0; });
  std::vector<Pair*> crowd;
  while (crowd.size() < 5) crowd.push_back(&accept());
  for (Pair* pair : crowd) pair->say(pair->talk.begin());
  turn_until(loop_, [&] {
    say_little();
    return std::ranges::all_of(crowd, [](Pair* pair) { return pair->conn; });
  });
  EXPECT_LE(steps_, 3 * limits::kHandshakeStepsAhead);
}

}  // namespace
}  // namespace sluice
