// What a transform makes of the bytes of a Conn, both ways.
#include "net/transport/transform.h"

#include <algorithm>
#include <cerrno>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/socket.h"
#include "net/base/limits.h"
#include "tests/unit/transport/transform_testing.h"

namespace sluice {
namespace {

using test::ConnLog;
using test::joined;
using test::kSlotBytes;
using test::kSlots;
using test::Peer;
using test::TestConn;
using test::text;
using test::ToyOptions;
using test::ToyTalk;
using test::ToyTransform;
using test::ToyType;
using test::TransformTest;
using test::turn_until;
using testing::ElementsAre;
using testing::IsEmpty;

TEST_F(TransformTest, WhatIsCutAtAnyByteComesWhole) {
  ToyTalk once;
  const std::string all =
      joined({once.begin(), once.data("first"), once.data("the second"), once.end()});
  for (size_t cut = 0; cut <= all.size(); ++cut) {
    Pair& pair = accept();
    pair.say(all.substr(0, cut));
    turns(4);
    pair.say(all.substr(cut));
    turn_until(loop_, [&] { return !pair.log.receive_ends.empty(); });
    ASSERT_EQ(pair.log.received, "firstthe second") << cut;
    ASSERT_THAT(pair.log.receive_ends, ElementsAre(0)) << cut;
    pair.conn->close(CloseMode::kReset);
    turns(4);
  }
}

TEST_F(TransformTest, EachByteMayComeAlone) {
  Pair& pair = accept();
  for (char byte : joined({pair.talk.begin(), pair.talk.data("some text", 4)})) {
    pair.say({&byte, 1});
    turns(2);
  }
  turn_until(loop_, [&] { return pair.log.received == "some text"; });
}

TEST_F(TransformTest, RecordsMayBeLargerThanAReadAndManyInOne) {
  for (size_t record_bytes : {1UL, 7UL, 100UL, 4093UL, 4096UL, 16384UL}) {
    Pair& pair = open();
    std::string bytes = text(record_bytes < 100 ? 5000 : 60'000);
    pair.say(pair.talk.data(bytes, record_bytes));
    turn_until(loop_, [&] { return pair.log.received.size() == bytes.size(); });
    EXPECT_TRUE(pair.log.received == bytes) << record_bytes;
  }
}

TEST_F(TransformTest, BytesThatWereOpenedInPlaceStayInTheirSlot) {
  Pair& pair = open();
  pair.conn->keeps_leases = true;
  pair.say(pair.talk.data(text(200), 100));
  turn_until(loop_, [&] { return pair.log.received.size() == 200; });
  ASSERT_EQ(pair.log.leases.size(), 2U);
  EXPECT_EQ(pair.log.leases[0].slot(), pair.log.leases[1].slot());
  EXPECT_EQ(memory_limit_.heap, 0U);
}

TEST_F(TransformTest, NothingIsReadWithoutACredit) {
  credit_ = 0;
  Pair& pair = open();
  pair.say(pair.talk.data("data"));
  turns(20);
  EXPECT_EQ(pair.log.received, "");
  pair.conn->grant(100);
  turn_until(loop_, [&] { return pair.log.received == "data"; });
}

// What it holds others would wait for.
TEST_F(TransformTest, ARecordInPartsWaitsForNoMemory) {
  Pair& pair = open();
  settle(pair);
  hog();
  std::string record = pair.talk.data(text(3000), 3000);
  pair.say(record.substr(0, 10));
  turns(10);
  pair.say(record.substr(10));
  turn_until(loop_, [&] { return pair.log.received.size() == 3000; });
  EXPECT_TRUE(pair.log.received == text(3000));
}

// --- how it ends ---

TEST_F(TransformTest, AFinWithoutTheEndingIsACut) {
  for (size_t record_bytes : {0UL, 1UL, 3UL, 5UL}) {  // at a record's end, and within one
    Pair& pair = open();
    pair.say(joined({pair.talk.data("whole"), pair.talk.data("part").substr(0, record_bytes)}));
    pair.peer->shut_down_sending();
    turn_until(loop_, [&] { return !pair.log.receive_ends.empty(); });
    EXPECT_EQ(pair.log.received, "whole");
    EXPECT_THAT(pair.log.receive_ends, ElementsAre(kCutShort));
  }
}

TEST_F(TransformTest, TheEndingIsToldOnceAndNothingBehindIt) {
  Pair& pair = open();
  pair.say(joined({pair.talk.data("last"), pair.talk.end(), pair.talk.data("too late")}));
  turn_until(loop_, [&] { return !pair.log.receive_ends.empty(); });
  pair.say(pair.talk.data("later still"));
  pair.peer->shut_down_sending();
  turns(20);
  EXPECT_EQ(pair.log.received, "last");
  EXPECT_THAT(pair.log.receive_ends, ElementsAre(0));
}

TEST_F(TransformTest, AResetInMidRecordIsAReset) {
  Pair& pair = open();
  turn_until(loop_, [&] {
    pair.hear();
    return pair.talk.heard(ToyType::kTicket);
  });
  pair.say(pair.talk.data("data").substr(0, 5));
  turns(5);
  pair.peer->reset();
  turn_until(loop_, [&] { return !pair.log.receive_ends.empty(); });
  EXPECT_THAT(pair.log.receive_ends, ElementsAre(ECONNRESET));
}

TEST_F(TransformTest, BytesThatAreNotValidEndWhatComes) {
  Pair& pair = open();
  pair.say(joined({pair.talk.data("good"), std::string("?\0\1x", 4), pair.talk.data("bad")}));
  turn_until(loop_, [&] { return !pair.log.receive_ends.empty(); });
  EXPECT_EQ(pair.log.received, "good");
  EXPECT_THAT(pair.log.receive_ends, ElementsAre(EPROTO));
}

TEST_F(TransformTest, ClosingInOrderSaysSoBeforeTheFin) {
  Pair& pair = open();
  settle(pair);
  pair.conn->close(CloseMode::kOrderly);
  turn_until(loop_, [&] { return pair.peer->ended(); });
  pair.hear();
  EXPECT_EQ(pair.peer->end, 0);
  EXPECT_TRUE(pair.talk.ended());
}

TEST_F(TransformTest, AResetIsNoEnding) {
  Pair& pair = open();
  pair.conn->close(CloseMode::kReset);
  turn_until(loop_, [&] { return pair.peer->ended(); });
  pair.hear();
  EXPECT_EQ(pair.peer->end, ECONNRESET);
  EXPECT_FALSE(pair.talk.ended());
}

TEST_F(TransformTest, LingeringEndsFirst) {
  Pair& pair = open();
  pair.conn->linger(5000, 2000);
  turn_until(loop_, [&] { return pair.peer->ended(); });
  pair.hear();
  EXPECT_EQ(pair.peer->end, 0);
  EXPECT_TRUE(pair.talk.ended());
  EXPECT_EQ(pair.log.closes, 0U);
  pair.say(joined({pair.talk.data("dropped"), pair.talk.end()}));
  pair.peer->shut_down_sending();
  turn_until(loop_, [&] { return pair.log.closes > 0; });
  EXPECT_EQ(pair.log.received, "");
}

// There is no memory for the ending: the FIN waits for it, and so does the end of lingering.
TEST_F(TransformTest, TheFinWaitsForTheEnding) {
  Pair& pair = open();
  settle(pair);
  pair.say(pair.talk.end());
  turn_until(loop_, [&] { return !pair.log.receive_ends.empty(); });
  hog();
  pair.conn->linger(5000, 2000);
  turns(20);
  EXPECT_FALSE(pair.peer->ended());
  EXPECT_EQ(pair.log.closes, 0U);
  hogged_.erase(hogged_.begin());
  turn_until(loop_, [&] { return pair.peer->ended(); });
  pair.hear();
  EXPECT_EQ(pair.peer->end, 0);
  EXPECT_TRUE(pair.talk.ended());
  turn_until(loop_, [&] { return pair.log.closes > 0; });
}

TEST_F(TransformTest, TheEndingGoesWithTheLastBatch) {
  Pair& pair = open();
  settle(pair);
  uint64_t sends = ring_->counters().sends;
  pair.conn->ends_with_response = true;
  pair.conn->response.finish();
  respond(pair, "last words");
  turn_until(loop_, [&] { return pair.conn->response.complete(); });
  pair.conn->linger(5000, 2000);
  turn_until(loop_, [&] { return pair.peer->ended(); });
  pair.hear();
  EXPECT_EQ(pair.talk.plain, "last words");
  EXPECT_TRUE(pair.talk.ended());
  EXPECT_EQ(ring_->counters().sends, sends + 1);
}

// --- what leaves ---

TEST_F(TransformTest, ALargeResponseGoesOnAfterShortSends) {
  for (size_t record_bytes : {10UL, 1000UL, 16'000UL}) {
    Pair& pair = open({.record_bytes = record_bytes}, 4096);
    set_send_buffer(pair.conn->fd(), 4096);
    std::string bytes = text(500'000);
    for (std::string_view rest = bytes; !rest.empty();) {
      pair.conn->response.append_static(rest.substr(0, 777));
      rest.remove_prefix(std::min<size_t>(rest.size(), 777));
    }
    pair.conn->wake();
    await_plain(pair, bytes);
    EXPECT_GT(pair.log.short_sends, 0U);
    EXPECT_GT(pair.log.parts_sent, 0U) << "some of a slot has left, which is told";
    turn_until(loop_, [&] { return !pair.conn->response.has_work(); });
  }
}

// Bytes count as sent when the slot that they were sealed into has left, not when it was sealed.
TEST_F(TransformTest, WhatIsSealedIsNotSentYet) {
  Pair& pair = open({.record_bytes = 100}, 4096);
  set_send_buffer(pair.conn->fd(), 4096);
  std::string bytes = text(1 << 20);
  respond(pair, bytes);
  turn_until(loop_, [&] { return pair.log.parts_sent > 0 && pair.conn->send_in_flight(); });
  EXPECT_EQ(pair.conn->response.backlog(), bytes.size());
  EXPECT_LE(pool_.leased(), 5U) << "what is under way is bounded";
  while (pair.talk.plain.size() < bytes.size() && !HasFailure()) {
    loop_.turn(false);
    pair.hear(2000);
    uint64_t consumed = bytes.size() - pair.conn->response.backlog();
    EXPECT_LE(consumed, pair.heard + 32'000) << "what both sockets may hold";
  }
  EXPECT_TRUE(pair.talk.plain == bytes);
}

TEST_F(TransformTest, WithoutMemoryAResponseWaitsAndIsNotLost) {
  Pair& pair = open();
  settle(pair);
  hog();
  std::string bytes = text(50'000);
  respond(pair, bytes);
  turns(20);
  pair.hear();
  EXPECT_EQ(pair.talk.plain, "");
  EXPECT_TRUE(pool_.exhausted()) << "so that somebody gives way";
  EXPECT_FALSE(pair.conn->send_in_flight());
  hogged_.erase(hogged_.begin());  // one slot is enough, again and again
  await_plain(pair, bytes);
}

TEST_F(TransformTest, WhoHasNotWaitedForASlotQueuesBehindThoseWhoHave) {
  Pair& first = open();
  Pair& late = open();
  settle(first);
  settle(late);
  hog();
  respond(first, "first");
  turns(5);
  // In the very turn in which a slot is back: it would be the first to take it.
  hogged_.erase(hogged_.begin());
  respond(late, "late");
  turn_until(loop_, [&] {
    first.hear();
    late.hear();
    return !first.talk.plain.empty() || !late.talk.plain.empty();
  });
  EXPECT_EQ(late.talk.plain, "");
  await_plain(first, "first");
  await_plain(late, "late");
}

// Each slot may hold bytes that wait to be sealed.
TEST_F(TransformTest, WithoutASlotASpareBlockCarriesTheResponse) {
  Pair& pair = open();
  settle(pair);
  hog();
  memory_limit_.spare_blocks = 1;
  std::string bytes = text(50'000);
  respond(pair, bytes);
  await_plain(pair, bytes);
  turn_until(loop_, [&] { return !pair.conn->send_in_flight(); });
  EXPECT_EQ(memory_limit_.spare_blocks, 1U);

  Pair& stalled = open({}, 4096);
  set_send_buffer(stalled.conn->fd(), 4096);
  settle(stalled);
  hog();
  memory_limit_.spare_blocks = 1;
  respond(stalled, bytes);
  turn_until(loop_, [&] { return stalled.conn->send_in_flight() && stalled.log.parts_sent > 0; });
  EXPECT_EQ(memory_limit_.spare_blocks, 0U);
  stalled.conn->close(CloseMode::kReset);
  turn_until(loop_, [&] { return stalled.log.closes > 0; });
  loop_.turn(false);
  EXPECT_EQ(memory_limit_.spare_blocks, 1U) << "it is back though its bytes never left";
}

TEST_F(TransformTest, ATransformAnswersInBetween) {
  Pair& pair = open();
  std::string bytes = text(100'000);
  respond(pair, bytes);
  for (int i = 0; i < 10; ++i) {
    pair.say(pair.talk.say(ToyType::kQuestion, std::to_string(i)));
    turns(3);
    pair.hear(5000);
  }
  await_plain(pair, bytes);
  turn_until(loop_, [&] {
    pair.hear();
    return pair.talk.answers == "0123456789";
  });
  EXPECT_EQ(pair.log.received, "");
}

TEST_F(TransformTest, ASendThatFailsIsNotTriedAgain) {
  Pair& pair = open();
  settle(pair);
  pair.conn->stays_after_send_error = true;
  pair.peer->reset();
  respond(pair, "late");
  turn_until(loop_, [&] { return !pair.log.send_errors.empty(); });
  uint64_t sends = ring_->counters().sends;
  turns(20);
  pair.conn->wake();
  turns(20);
  EXPECT_EQ(ring_->counters().sends, sends);
  EXPECT_EQ(pair.log.send_errors.size(), 1U);
}

// --- the handshake of a client ---

class ToyServerTest : public TransformTest {
 protected:
  // One that is connecting, with something to say.
  Pair& connect(std::string_view request, ToyOptions options = {}) {
    listener_ = test::listen_on_loopback(&port_);
    address_ = test::loopback(port_);
    Pair& pair = pairs_.emplace_back();
    pair.conn = new TestConn(memory_, {-1, toy(options)}, pair.log);
    int ours = open_stream_socket(AF_INET);
    EXPECT_EQ(::connect(ours, address_.sa(), address_.size), 0);
    pair.conn->open(ours);
    pair.conn->grant(1 << 20);
    respond(pair, request);
    loop_.turn(false);
    pair.peer = std::make_unique<Peer>(accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC));
    close_socket(listener_);
    turn_until(loop_, [&] {
      pair.hear();
      return pair.talk.heard(ToyType::kHello);
    });
    return pair;
  }

  uint16_t port_ = 0;
  int listener_ = -1;
  Address address_;
};

TEST_F(ToyServerTest, TheRequestWaitsForTheHandshake) {
  Pair& pair = connect("request");
  turns(10);
  pair.hear();
  EXPECT_EQ(pair.talk.types, "H");
  EXPECT_THAT(pair.log.connects, IsEmpty());
  pair.say(pair.talk.hello());
  await_plain(pair, "request");
  EXPECT_THAT(pair.log.connects, ElementsAre(0));
  EXPECT_EQ(pair.talk.types, "HCD");
  pair.say(joined({pair.talk.say(ToyType::kTicket, "for later"), pair.talk.data("response")}));
  turn_until(loop_, [&] { return pair.log.received == "response"; });
}

TEST_F(ToyServerTest, TheServersHelloMayBeCutAnywhere) {
  std::string hello = ToyTalk().hello();
  for (size_t cut = 0; cut <= hello.size(); ++cut) {
    Pair& pair = connect("request");
    std::string all = joined({pair.talk.hello(), pair.talk.data("response")});
    pair.say(all.substr(0, cut));
    turns(3);
    pair.say(all.substr(cut));
    turn_until(loop_, [&] { return pair.log.received == "response"; });
    await_plain(pair, "request");
  }
}

TEST_F(ToyServerTest, AHandshakeThatFailsIsAConnectThatFailed) {
  Pair& cut = connect("request");
  cut.peer->shut_down_sending();
  turn_until(loop_, [&] { return !cut.log.connects.empty(); });
  EXPECT_THAT(cut.log.connects, ElementsAre(kCutShort));

  Pair& broken = connect("request");
  broken.say("no record");
  turn_until(loop_, [&] { return !broken.log.connects.empty(); });
  EXPECT_THAT(broken.log.connects, ElementsAre(EPROTO));

  Pair& reset = connect("request");
  reset.peer->reset();
  turn_until(loop_, [&] { return !reset.log.connects.empty(); });
  EXPECT_THAT(reset.log.connects, ElementsAre(ECONNRESET));

  for (Pair* pair : {&cut, &broken, &reset}) {
    EXPECT_EQ(pair->talk.plain, "");
    EXPECT_THAT(pair->log.receive_ends, IsEmpty());
    EXPECT_THAT(pair->log.send_errors, IsEmpty());
  }
}

TEST_F(ToyServerTest, ClosedWhileItShakesHandsItSaysNothingMore) {
  Pair& pair = connect("request");
  pair.conn->close(CloseMode::kOrderly);
  turn_until(loop_, [&] { return pair.peer->ended(); });
  pair.hear();
  EXPECT_EQ(pair.talk.types, "H");
  EXPECT_THAT(pair.log.connects, IsEmpty());
}

TEST_F(TransformTest, WhatCannotBeSealedIsAnErrorOfTheSend) {
  Pair& pair = open({.tickets = false, .refuses_plain = true});
  respond(pair, "never sealed");
  turn_until(loop_, [&] { return pair.log.closes == 1; });
  EXPECT_THAT(pair.log.send_errors, ElementsAre(EPROTO));
  pair.hear();
  EXPECT_EQ(pair.talk.plain, "");
}

}  // namespace
}  // namespace sluice
