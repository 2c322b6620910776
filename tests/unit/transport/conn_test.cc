// One end of a TCP connection is a Conn on a real ring, the other a plain socket that never blocks.
#include "net/transport/conn.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <list>
#include <memory>
#include <poll.h>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/socket.h"
#include "pool/limits.h"
#include "tests/unit/core/kernel_testing.h"
#include "tests/unit/transport/conn_testing.h"

namespace sluice {
namespace {

using test::ConnLog;
using test::Peer;
using test::TestConn;
using test::turn_until;
using testing::ElementsAre;
using testing::IsEmpty;

class ConnTest : public testing::Test {
 protected:
  static constexpr uint32_t kSlotBytes = 4096;
  static constexpr uint32_t kSlots = 16;

  // A Conn, its peer, and what it told.
  struct Pair {
    ConnLog log;
    std::unique_ptr<Peer> peer;
    TestConn* conn = nullptr;
  };

  ConnTest() {
    memory_limit_.bytes_max = uint64_t{kSlotBytes} * kSlots;  // never grows
    EXPECT_TRUE(pool_.ok());
  }
  // Whatever a test did: everything closes, once, and no slot is lost.
  ~ConnTest() override {
    for (Pair& pair : pairs_) {
      if (pair.log.closes == 0) pair.conn->close(CloseMode::kOrderly);
      turn_until(loop_, [&pair] { return pair.log.closes > 0; });
      EXPECT_EQ(pair.log.closes, 1U);
      pair.log.leases.clear();
    }
    loop_.turn(false);
    for (Pair& pair : pairs_) EXPECT_TRUE(pair.log.deleted);
    EXPECT_EQ(loop_.operations(), 0U);
    EXPECT_EQ(loop_.counters().stale_completions, 0U);
    EXPECT_EQ(pool_.leased(), 0U);
    EXPECT_FALSE(pool_.has_waiters());
  }

  Pair& open(uint64_t peer_receive_buffer = 0) {
    uint16_t port = 0;
    int listener = test::listen_on_loopback(&port);
    Address address = test::loopback(port);
    int theirs = open_stream_socket(AF_INET);
    set_receive_buffer(theirs, peer_receive_buffer);
    EXPECT_EQ(::connect(theirs, address.sa(), address.size), 0);
    Pair& pair = pairs_.emplace_back();
    pair.peer = std::make_unique<Peer>(theirs);
    pair.conn =
        new TestConn(memory_, {accept4(listener, nullptr, nullptr, SOCK_CLOEXEC)}, pair.log);
    close_socket(listener);
    return pair;
  }
  // One that holds every slot, and receives no more.
  Pair& hog() {
    // All that receives may have; the rest is kept for what is written.
    constexpr uint32_t kForReceives = kSlots - kSlots / limits::kReserveFraction;
    Pair& pair = open();
    pair.conn->keeps_leases = true;
    while (pair.log.leases.size() < kForReceives && !HasFailure()) {
      size_t held = pair.log.leases.size();
      pair.conn->grant(1);
      pair.peer->send("x");
      turn_until(loop_, [&] { return pair.log.leases.size() > held; });
    }
    EXPECT_EQ(pool_.leased(), kForReceives);
    return pair;
  }
  // One that has something to receive and waits for a slot.
  Pair& starving(std::string_view bytes) {
    Pair& pair = open();
    pair.peer->send(bytes);
    pair.conn->keeps_leases = true;
    pair.conn->grant(1);
    uint64_t waits = pool_.counters().waits;
    turn_until(loop_, [&] { return pool_.counters().waits > waits; });
    return pair;
  }
  void turns(int count) {
    while (count-- > 0) loop_.turn(false);
  }
  // Sends until the peer, which does not read, takes no more.
  void clog(Pair& pair, std::string_view bytes) {
    pair.conn->response.append_static(bytes);
    pair.conn->wake();
    turn_until(loop_, [&pair] { return pair.log.short_sends > 0 && pair.conn->send_in_flight(); });
  }

  std::unique_ptr<Ring> ring_ = test::make_ring();
  Loop loop_{*ring_};
  MemoryLimit memory_limit_;
  SlotPool pool_{loop_, memory_limit_, {"test", 1, kSlotBytes, kSlots}};
  Memory memory_{pool_, pool_, {}};
  const std::string much_ = std::string(8 << 20, 'm');
  std::list<Pair> pairs_;
};

// --- receiving ---

TEST_F(ConnTest, NothingIsReadWithoutACredit) {
  Pair& pair = open();
  pair.peer->send("data");
  pair.conn->wake();
  turns(20);
  EXPECT_EQ(pair.log.received, "");
  EXPECT_FALSE(pair.conn->receive_in_flight());
  pair.conn->grant(100);
  turn_until(loop_, [&] { return pair.log.received == "data"; });
}

TEST_F(ConnTest, AReceiveStopsWithTheSlotThatCrossesItsCredit) {
  Pair& pair = open();
  std::string bytes(10 * kSlotBytes, 'b');
  ASSERT_EQ(pair.peer->send(bytes), bytes.size());
  constexpr uint64_t kCredit = 2 * kSlotBytes + 1;
  pair.conn->grant(kCredit);
  turn_until(loop_, [&] { return pair.log.received.size() >= kCredit; });
  turns(20);
  EXPECT_LT(pair.log.received.size(), kCredit + kSlotBytes);
  pair.conn->grant(bytes.size());
  turn_until(loop_, [&] { return pair.log.received == bytes; });
}

TEST_F(ConnTest, TheEndOfWhatArrivesIsToldOnce) {
  Pair& pair = open();
  pair.conn->grant(100);
  pair.peer->send("last");
  pair.peer->shut_down_sending();
  turn_until(loop_, [&] { return !pair.log.receive_ends.empty(); });
  EXPECT_EQ(pair.log.received, "last");
  pair.conn->grant(100);
  turns(20);
  EXPECT_THAT(pair.log.receive_ends, ElementsAre(0));
  EXPECT_FALSE(pair.conn->receive_in_flight());
}

TEST_F(ConnTest, AResetIsNotTakenForAnEnd) {
  Pair& pair = open();
  pair.conn->grant(100);
  turns(2);
  pair.peer->reset();
  turn_until(loop_, [&] { return !pair.log.receive_ends.empty(); });
  EXPECT_THAT(pair.log.receive_ends, ElementsAre(ECONNRESET));
}

TEST_F(ConnTest, AHangUpIsSeenWhileNothingIsRead) {
  Pair& pair = open();
  pair.conn->watched = POLLRDHUP;
  pair.peer->send("unread");
  pair.conn->wake();
  turns(20);
  EXPECT_EQ(pair.log.hang_ups, 0U);
  pair.peer->shut_down_sending();
  turn_until(loop_, [&] { return pair.log.hang_ups > 0; });
  EXPECT_EQ(pair.log.hang_ups, 1U);
  EXPECT_EQ(pair.log.received, "");
}

TEST_F(ConnTest, AResetIsSeenWhileNothingIsRead) {
  Pair& pair = open();
  pair.conn->watched = POLLRDHUP;
  pair.conn->wake();
  turns(2);
  pair.peer->reset();
  turn_until(loop_, [&] { return pair.log.hang_ups > 0; });
}

// --- slots ---

TEST_F(ConnTest, WithoutASlotAReceiveWaitsUntilOneIsBack) {
  Pair& holder = hog();
  Pair& waiter = starving("w");
  turns(20);
  EXPECT_EQ(waiter.log.received, "");
  holder.log.leases.pop_back();
  turn_until(loop_, [&] { return waiter.log.received == "w"; });
}

TEST_F(ConnTest, WhoDidNotWaitQueuesBehindThoseWhoDo) {
  Pair& holder = hog();
  Pair& first = starving("1");
  Pair& second = starving("2");
  Pair& late = open();
  late.peer->send("l");
  late.conn->keeps_leases = true;
  // In the very turn in which a slot is back: it would be the first to ask.
  late.conn->grant(1);
  auto served = [&] { return first.log.received + second.log.received + late.log.received; };
  for (std::string_view expected : {"1", "12", "12l"}) {
    holder.log.leases.pop_back();
    turn_until(loop_, [&] { return served().size() == expected.size(); });
    turns(5);
    EXPECT_EQ(served(), expected);
  }
}

TEST_F(ConnTest, WhoHasHadASlotQueuesForTheNext) {
  Pair& holder = hog();
  Pair& first = starving("1");
  Pair& second = starving("2");
  holder.log.leases.pop_back();
  turn_until(loop_, [&] { return first.log.received == "1"; });
  turns(5);
  first.peer->send("3");
  first.conn->grant(1);
  holder.log.leases.pop_back();
  turn_until(loop_, [&] { return second.log.received == "2"; });
  turns(5);
  EXPECT_EQ(first.log.received, "1");
  holder.log.leases.pop_back();
  turn_until(loop_, [&] { return first.log.received == "13"; });
}

TEST_F(ConnTest, AWaiterThatClosesLeavesTheQueue) {
  Pair& holder = hog();
  Pair& first = starving("1");
  Pair& second = starving("2");
  first.conn->close(CloseMode::kOrderly);
  turn_until(loop_, [&] { return first.log.closes > 0; });
  holder.log.leases.pop_back();
  turn_until(loop_, [&] { return second.log.received == "2"; });
}

// Woken with the first slot that is back, and with nothing to use it for.
TEST_F(ConnTest, AWaiterWithNothingToReceiveDoesNotHoldUpTheNext) {
  Pair& holder = hog();
  starving("");
  Pair& next = starving("n");
  struct Guard final : TimerOwner {
    void on_timer() override { fired = true; }
    bool fired = false;
    Timer timer{this};
  } guard;
  loop_.timers().schedule(guard.timer, loop_.now_ms() + 500);
  holder.log.leases.pop_back();
  loop_.turn(false);  // at whose end the slot is back; nothing else will happen by itself
  while (next.log.received.empty() && !guard.fired) loop_.turn(true);
  EXPECT_EQ(next.log.received, "n") << "its slot is there, and nobody tells it";
}

// --- sending ---

TEST_F(ConnTest, AGatheredSendGoesOnAfterShortOnes) {
  Pair& pair = open(4096);
  set_send_buffer(pair.conn->fd(), 4096);
  std::string bytes;
  for (size_t i = 0; i < 1000; ++i) bytes += std::to_string(i) + std::string(1000, 'p');
  for (std::string_view rest = bytes; !rest.empty();) {
    pair.conn->response.append_static(rest.substr(0, 777));
    rest.remove_prefix(std::min<size_t>(rest.size(), 777));
  }
  pair.conn->wake();
  turn_until(loop_, [&] {
    pair.peer->receive();
    return pair.peer->received.size() >= bytes.size();
  });
  EXPECT_TRUE(pair.peer->received == bytes);
  EXPECT_GT(pair.log.short_sends, 0U);
  turn_until(loop_, [&] { return !pair.conn->response.has_work(); });
}

TEST_F(ConnTest, ASendThatFailsSaysWhy) {
  Pair& pair = open();
  pair.peer->reset();
  pair.conn->response.append_static("late");
  pair.conn->wake();
  turn_until(loop_, [&] { return !pair.log.send_errors.empty(); });
  EXPECT_THAT(pair.log.send_errors, ElementsAre(testing::AnyOf(EPIPE, ECONNRESET)));
}

TEST_F(ConnTest, ASendThatNobodyReadsStalls) {
  constexpr uint64_t kTimeoutMs = 20;
  Pair& pair = open(4096);
  EXPECT_EQ(pair.conn->send_still_since_ms(), loop_.now_ms()) << "nothing is being sent";
  clog(pair, much_);
  turn_until(loop_,
             [&] { return loop_.now_ms() >= pair.conn->send_still_since_ms() + kTimeoutMs; });
}

// A cancel misses where the kernel has begun what it names. It is said again of what is not wanted
// any more; a receive that is renewed is wanted, and so is the send beside it.
TEST_F(ConnTest, ACancelThatMissesAReceiveLeavesTheSendAlone) {
  Pair& pair = open(4096);
  clog(pair, much_);
  OpTarget& told = *pair.conn;
  told.on_completion(OpKind::kCancel, {.id = 0, .result = -ENOENT, .flags = 0});
  turns(20);
  EXPECT_THAT(pair.log.send_errors, IsEmpty());
  EXPECT_TRUE(pair.conn->send_in_flight());
}

// A peer that reads a little: what it acknowledges is progress, before the send in flight is done.
TEST_F(ConnTest, AnAcknowledgementIsProgressOfASend) {
  constexpr uint64_t kTimeoutMs = 20;
  Pair& pair = open(4096);
  clog(pair, much_);
  auto stalled = [&] { return loop_.now_ms() >= pair.conn->send_still_since_ms() + kTimeoutMs; };
  turn_until(loop_, stalled);
  unsigned sends = static_cast<unsigned>(ring_->counters().sends);
  uint64_t unacknowledged = unacknowledged_bytes(pair.conn->fd());
  turn_until(loop_, [&] {
    pair.peer->receive(1024);
    return unacknowledged_bytes(pair.conn->fd()) < unacknowledged;
  });
  EXPECT_FALSE(stalled());
  EXPECT_EQ(ring_->counters().sends, sends) << "the same send is under way";
  turn_until(loop_, stalled);
}

// --- without a socket at first ---

TEST_F(ConnTest, WhatIsToBeSentWaitsForTheSocket) {
  uint16_t port = 0;
  int listener = test::listen_on_loopback(&port);
  Address address = test::loopback(port);
  Pair& pair = pairs_.emplace_back();
  pair.conn = new TestConn(memory_, {-1}, pair.log);
  pair.conn->response.append_static("hello");
  pair.conn->grant(100);
  turns(5);
  EXPECT_EQ(loop_.operations(), 0U);
  int fd = open_stream_socket(AF_INET);
  ASSERT_EQ(::connect(fd, address.sa(), address.size), 0);
  pair.conn->open(fd);
  EXPECT_THAT(pair.log.connects, ElementsAre(0));
  pair.peer = std::make_unique<Peer>(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
  close_socket(listener);
  turn_until(loop_, [&] {
    pair.peer->receive();
    return pair.peer->received == "hello";
  });
}

TEST_F(ConnTest, ItClosesWithoutEverHavingHadASocket) {
  Pair& pair = pairs_.emplace_back();
  pair.conn = new TestConn(memory_, {-1}, pair.log);
  pair.conn->close(CloseMode::kReset);
  loop_.turn(false);
  EXPECT_EQ(pair.log.closes, 1U);
  EXPECT_THAT(pair.log.connects, IsEmpty());
}

// --- closing ---

TEST_F(ConnTest, TheSocketStaysOpenWhileAnythingIsInFlight) {
  Pair& pair = open(4096);
  pair.conn->watched = POLLRDHUP;
  clog(pair, much_);
  pair.conn->grant(100);
  turn_until(loop_, [&] { return pair.conn->receive_in_flight(); });
  ASSERT_EQ(loop_.operations(), 3U) << "a receive, a send and a watch";

  int fd = pair.conn->fd();
  pair.conn->close(CloseMode::kOrderly);
  pair.conn->close(CloseMode::kReset);  // it is closing already
  EXPECT_TRUE(pair.conn->closing());
  while (loop_.operations() > 0) {
    ASSERT_EQ(pair.log.closes, 0U);
    ASSERT_GE(fcntl(fd, F_GETFD), 0);
    loop_.turn(false);
  }
  EXPECT_EQ(pair.log.closes, 1U);
  EXPECT_EQ(fcntl(fd, F_GETFD), -1);
  EXPECT_TRUE(pair.log.deleted);
  EXPECT_THAT(pair.log.receive_ends, IsEmpty());
  EXPECT_THAT(pair.log.send_errors, IsEmpty());
  EXPECT_EQ(pair.log.hang_ups, 0U);
}

TEST_F(ConnTest, ClosingInOrderSendsAFin) {
  Pair& pair = open();
  pair.conn->grant(100);
  turns(2);
  pair.conn->close(CloseMode::kOrderly);
  turn_until(loop_, [&] { return pair.peer->ended(); });
  EXPECT_EQ(pair.peer->end, 0);
}

TEST_F(ConnTest, AResetIsNeverPrecededByAFin) {
  Pair& pair = open();
  pair.conn->watched = POLLRDHUP;
  pair.conn->grant(100);
  turns(2);
  pair.conn->close(CloseMode::kReset);
  turn_until(loop_, [&] { return pair.peer->ended(); });
  EXPECT_EQ(pair.peer->end, ECONNRESET);
}

TEST_F(ConnTest, NothingIsDeliveredAfterClosing) {
  Pair& pair = open();
  pair.conn->grant(100);
  turns(2);
  pair.peer->send("too late");
  pair.conn->close(CloseMode::kOrderly);
  turn_until(loop_, [&] { return pair.log.closes > 0; });
  EXPECT_EQ(pair.log.received, "");
}

// --- lingering ---

TEST_F(ConnTest, LingeringDropsWhatArrivesUntilThePeersFin) {
  Pair& pair = open();
  pair.conn->linger(5000, 2000);
  turn_until(loop_, [&] { return pair.peer->ended(); });
  EXPECT_EQ(pair.peer->end, 0) << "a FIN, at once";
  for (int i = 0; i < 3 * static_cast<int>(kSlots); ++i) {
    EXPECT_EQ(pair.peer->send("dropped"), 7U);
    turns(3);
  }
  EXPECT_EQ(pair.log.closes, 0U);
  EXPECT_EQ(pool_.leased(), 0U);
  pair.peer->shut_down_sending();
  turn_until(loop_, [&] { return pair.log.closes > 0; });
  EXPECT_EQ(pair.log.received, "");
}

TEST_F(ConnTest, ThereIsNothingToLingerForAfterThePeersFin) {
  Pair& pair = open();
  pair.conn->grant(100);
  pair.peer->shut_down_sending();
  turn_until(loop_, [&] { return !pair.log.receive_ends.empty(); });
  pair.conn->linger(5000, 2000);
  EXPECT_TRUE(pair.conn->closing());
}

}  // namespace
}  // namespace sluice
