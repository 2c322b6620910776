// A connection that carries the outboxes of many streams in one send, as HTTP/2's will: the
// completion of a send, short or not, is divided among them; with a transform in between, too.
#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <sys/socket.h>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "core/socket.h"
#include "net/stream/outbox.h"
#include "net/transport/conn.h"
#include "tests/unit/core/kernel_testing.h"
#include "tests/unit/transport/conn_testing.h"
#include "tests/unit/transport/toy_transform.h"

namespace sluice {
namespace {

using test::turn_until;

constexpr size_t kStreams = 12;
constexpr size_t kFrameHeader = 4;  // the stream's number, a length of three bytes

// Each batch is a frame of every stream that has something to send.
class ManyConn final : public Conn {
 public:
  ManyConn(Memory& memory, ConnStart start) : Conn(memory, std::move(start)) {
    for (size_t i = 0; i < kStreams; ++i)
      outboxes.push_back(std::make_unique<Outbox>(memory, memory.http_message));
  }
  std::vector<std::unique_ptr<Outbox>> outboxes;
  bool closed = false;

  void on_timer() override {}

 private:
  struct Frame {
    Outbox* outbox;
    std::array<char, kFrameHeader> header;
    size_t header_left;
    uint64_t left;
  };

  bool has_output() override {
    if (!frames_.empty()) return true;
    for (auto& outbox : outboxes)
      if (outbox->has_work()) return true;
    return false;
  }
  size_t build_batch(std::span<iovec> pieces) override {
    bool anew = frames_.empty();
    for (size_t i = 0; anew && i < kStreams; ++i)
      if (outboxes[i]->has_work())
        frames_.push_back({outboxes[i].get(), {static_cast<char>(i)}, kFrameHeader, 0});
    size_t used = 0;
    for (Frame& frame : frames_) {
      iovec& header = pieces[used];
      if (frame.header_left > 0) ++used;
      size_t bodies = frame.outbox->build(pieces.subspan(used, 8));
      uint64_t size = 0;
      for (const iovec& piece : pieces.subspan(used, bodies)) size += piece.iov_len;
      used += bodies;
      if (anew) {
        frame.left = size;
        for (int byte = 0; byte < 3; ++byte)
          frame.header[1 + static_cast<size_t>(byte)] = static_cast<char>(size >> (8 * byte));
      }
      header = frame.header_left > 0 ? iovec{frame.header.data() + kFrameHeader - frame.header_left,
                                             frame.header_left}
                                     : header;
    }
    return used;
  }
  void on_sent(uint64_t bytes) override {
    while (bytes > 0) {
      Frame& frame = frames_.front();
      size_t header = std::min<uint64_t>(bytes, frame.header_left);
      frame.header_left -= header;
      bytes -= header;
      uint64_t body = std::min(bytes, frame.left);
      frame.outbox->sent(body);
      frame.left -= body;
      bytes -= body;
      if (frame.header_left + frame.left > 0) break;
      frames_.pop_front();
    }
  }
  void on_bytes(const Lease&, std::string_view, uint64_t) override {}
  void on_receive_end(int) override {}
  void on_send_error(int) override { close(CloseMode::kOrderly); }
  void on_closed() override { closed = true; }
  uint64_t receive_credit() override { return 4096; }
  SlotPool& receive_pool() override { return memory_.http_message; }

  std::deque<Frame> frames_;
};

class ManyOutboxesTest : public testing::TestWithParam<bool> {};

TEST_P(ManyOutboxesTest, OneSendCarriesThemAllAndIsDividedAmongThem) {
  bool transformed = GetParam();
  std::unique_ptr<Ring> ring = test::make_ring();
  Loop loop(*ring);
  MemoryLimit limit{.bytes_max = 8 << 20, .heap_max = 1 << 20};
  SlotPool pool(loop, limit, {"test", 1, 16384, 64});
  Memory memory{pool, pool, {}};
  uint16_t port = 0;
  int listener = test::listen_on_loopback(&port);
  Address address = test::loopback(port);
  int theirs = open_stream_socket(AF_INET);
  set_receive_buffer(theirs, 4096);
  ASSERT_EQ(::connect(theirs, address.sa(), address.size), 0);
  test::Peer peer(theirs);
  int ours = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
  close_socket(listener);
  set_send_buffer(ours, 4096);

  ConnStart start{ours};
  if (transformed)
    start.wire = std::make_unique<WireQueue>(
        memory, std::make_unique<test::ToyTransform>(
                    test::ToyOptions{.server = true, .record_bytes = 700, .tickets = false}));
  auto* conn = new ManyConn(memory, std::move(start));
  test::ToyTalk talk;
  if (transformed) {
    conn->wake();
    peer.send(talk.begin());
    turn_until(loop, [&] {
      peer.receive();
      return peer.received.size() == talk.hello().size();
    });
    for (int i = 0; i < 10; ++i) loop.turn(false);
    talk.hear(std::exchange(peer.received, ""));
  }

  auto plain = [&]() -> std::string& {
    peer.receive();
    if (!transformed) return peer.received;
    talk.hear(std::exchange(peer.received, ""));
    return talk.plain;
  };
  // All that is there in one turn leaves in one send.
  uint64_t sends = ring->counters().sends;
  for (auto& outbox : conn->outboxes) {
    outbox->append_static("event");
  }
  conn->wake();
  turn_until(loop, [&] { return plain().size() >= kStreams * (kFrameHeader + 5); });
  EXPECT_EQ(ring->counters().sends, sends + 1);

  // And much, with short sends, comes to every stream whole.
  std::vector<std::string> bodies(kStreams);
  for (size_t i = 0; i < kStreams; ++i) {
    for (size_t n = 0; bodies[i].size() < 20'000 * (i + 1); ++n)
      bodies[i] += std::to_string(i) + ":" + std::to_string(n) + " ";
    for (size_t at = 0; at < bodies[i].size(); at += 7000)
      conn->outboxes[i]->append_static(std::string_view(bodies[i]).substr(at, 7000));
  }
  conn->wake();
  turn_until(loop, [&] {
    plain();
    for (auto& outbox : conn->outboxes)
      if (outbox->has_work()) return false;
    return true;
  });
  for (int i = 0; i < 20; ++i) loop.turn(false);
  std::vector<std::string> got(kStreams);
  for (std::string_view rest = plain(); rest.size() >= kFrameHeader;) {
    auto byte = [&](size_t at) { return static_cast<size_t>(static_cast<uint8_t>(rest[at])); };
    size_t stream = byte(0);
    size_t size = byte(1) | byte(2) << 8 | byte(3) << 16;
    ASSERT_LT(stream, kStreams);
    got[stream] += rest.substr(kFrameHeader, size);
    rest.remove_prefix(kFrameHeader + size);
  }
  for (size_t i = 0; i < kStreams; ++i) EXPECT_TRUE(got[i] == "event" + bodies[i]) << i;

  conn->close(CloseMode::kReset);
  turn_until(loop, [&] { return loop.operations() == 0; });
  loop.turn(false);
  EXPECT_EQ(pool.leased(), 0U);
}

INSTANTIATE_TEST_SUITE_P(, ManyOutboxesTest, testing::Bool(),
                         [](const auto& with) { return with.param ? "WithATransform" : "Plain"; });

}  // namespace
}  // namespace sluice
