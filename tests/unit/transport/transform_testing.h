// A Conn with a transform on a real ring, and a peer that speaks the transform's records.
#pragma once

#include <algorithm>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/socket.h"
#include "net/transport/handshake_pace.h"
#include "tests/unit/core/kernel_testing.h"
#include "tests/unit/transport/conn_testing.h"
#include "tests/unit/transport/toy_transform.h"

namespace sluice::test {

inline constexpr uint32_t kSlotBytes = 16'384;
inline constexpr uint32_t kSlots = 32;

inline std::string text(size_t bytes) {
  std::string text;
  for (size_t i = 0; text.size() < bytes; ++i) text += std::to_string(i) + " ";
  return text.substr(0, bytes);
}

class TransformTest : public testing::Test, public AcceptedKeeper {
 protected:
  struct Pair {
    ConnLog log;
    std::unique_ptr<Peer> peer;
    ToyTalk talk;
    TestConn* conn = nullptr;  // null: it shakes hands yet, or has closed doing so
    Handshake* handshake = nullptr;
    size_t heard = 0;  // of the peer's bytes

    void say(std::string_view wire) const {
      size_t sent = peer->send(wire);
      EXPECT_EQ(sent, wire.size());
    }
    // The peer takes what has come, or so much of it.
    void hear(size_t bytes_max = SIZE_MAX) {
      peer->receive(bytes_max);
      talk.hear(std::string_view(peer->received).substr(heard));
      heard = peer->received.size();
    }
  };

  TransformTest() {
    memory_limit_.bytes_max = uint64_t{kSlotBytes} * kSlots;  // never grows
    memory_limit_.heap_max = 1 << 20;
    EXPECT_TRUE(pool_.ok());
  }
  ~TransformTest() override {
    hogged_.clear();
    for (Pair& pair : pairs_) {
      if (pair.handshake) pair.handshake->drop();
      if (pair.conn && pair.log.closes == 0) pair.conn->close(CloseMode::kOrderly);
    }
    turn_until(loop_, [this] { return loop_.operations() == 0; });
    loop_.turn(false);
    for (Pair& pair : pairs_) {
      EXPECT_EQ(pair.log.closes, 1U);
      pair.log.leases.clear();
    }
    EXPECT_EQ(loop_.counters().stale_completions, 0U);
    EXPECT_EQ(pool_.leased(), 0U);
    EXPECT_EQ(memory_limit_.heap, 0U);
    EXPECT_EQ(memory_.nodes.in_use(), 0U);
    EXPECT_FALSE(pool_.awaited());
  }

  // AcceptedKeeper
  bool handshake_may_step(Handshake& handshake) override {
    return (!pace_ || pace_->may_step(handshake)) && ++steps_ > 0;
  }
  void handshake_stepped(uint64_t) override {
    if (pace_) pace_->stepped(step_ns_);
  }
  bool handshakes_are_crowded() const override { return crowded_; }
  void handshake_done(Handshake& handshake, ConnStart start) override {
    Pair& pair = of(handshake);
    pair.handshake = nullptr;
    pair.conn = new TestConn(memory_, std::move(start), pair.log);
    pair.conn->grant(credit_);
  }
  void handshake_closed(Handshake& handshake) override { client_closed(handshake); }
  void client_closed(AcceptedConn& conn) override {
    Pair& pair = of(conn);
    pair.handshake = nullptr;
    ++pair.log.closes;
  }
  Pair& of(AcceptedConn& conn) {
    if (pace_) pace_->forget(static_cast<Handshake&>(conn));
    return *std::find_if(pairs_.begin(), pairs_.end(),
                         [&](Pair& pair) { return pair.handshake == &conn; });
  }

  int connected(Pair& pair, uint64_t receive_buffer) {
    uint16_t port = 0;
    int listener = test::listen_on_loopback(&port);
    Address address = test::loopback(port);
    int theirs = open_stream_socket(AF_INET);
    set_receive_buffer(theirs, receive_buffer);
    EXPECT_EQ(::connect(theirs, address.sa(), address.size), 0);
    pair.peer = std::make_unique<Peer>(theirs);
    int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    set_no_delay(fd);
    close_socket(listener);
    return fd;
  }
  std::unique_ptr<WireQueue> toy(ToyOptions options) {
    return std::make_unique<WireQueue>(memory_, std::make_unique<ToyTransform>(options));
  }
  // A client that has connected and said nothing.
  Pair& accept(ToyOptions options = {}, uint64_t receive_buffer = 0, uint64_t timeout_ms = 0) {
    Pair& pair = pairs_.emplace_back();
    int fd = connected(pair, receive_buffer);
    options.server = true;
    pair.handshake = new Handshake(memory_, *this, {fd, toy(options)}, timeout_ms);
    return pair;
  }
  // One whose handshake is done.
  Pair& open(ToyOptions options = {}, uint64_t receive_buffer = 0) {
    Pair& pair = accept(options, receive_buffer);
    pair.say(pair.talk.begin());
    turn_until(loop_, [&] { return pair.conn != nullptr; });
    return pair;
  }
  // Nothing of the handshake is under way any more.
  void settle(Pair& pair) {
    turn_until(loop_, [&] {
      pair.hear();
      return pair.talk.heard(ToyType::kTicket) && !pair.conn->send_in_flight();
    });
  }
  void respond(Pair& pair, std::string_view bytes) {
    pair.conn->response.append_static(bytes);
    pair.conn->wake();
  }
  void await_plain(Pair& pair, std::string_view bytes) {
    turn_until(loop_, [&] {
      pair.hear();
      return pair.talk.plain.size() >= bytes.size();
    });
    EXPECT_TRUE(pair.talk.plain == bytes);
  }
  void turns(int count) {
    while (count-- > 0) loop_.turn(false);
  }
  // Takes all memory that there is to write into.
  void hog() {
    while (Lease slot = pool_.take_block(kSlotBytes, false)) hogged_.push_back(std::move(slot));
    memory_limit_.spare_blocks = 0;
  }

  std::unique_ptr<Ring> ring_ = make_ring();
  Loop loop_{*ring_};
  MemoryLimit memory_limit_;
  SlotPool pool_{loop_, memory_limit_, {"test", 1, kSlotBytes, kSlots}};
  std::unique_ptr<HandshakePace> pace_;
  unsigned steps_ = 0;  // of handshakes
  uint64_t step_ns_ = 0;
  bool crowded_ = false;
  Memory memory_{pool_, pool_, {}};
  std::vector<Lease> hogged_;
  std::list<Pair> pairs_;
  uint64_t credit_ = 1 << 20;
};

// --- what comes ---

}  // namespace sluice::test
