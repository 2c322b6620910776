// What tests of the pools share: a pool on a real ring, and a socket that receives into it as a
// connection does.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "core/loop.h"
#include "pool/slot_pool.h"
#include "tests/unit/core/kernel_testing.h"

namespace sluice::test {

struct PoolRig {
  static constexpr uint32_t kSlotBytes = 64;
  static constexpr uint32_t kSlots = 16;  // at first, and a step: 2 of them are the reserve

  // A limit of so many regions.
  explicit PoolRig(uint64_t regions_max, std::string_view disabled = "")
      : ring(make_ring(disabled)), loop(*ring) {
    memory_limit.bytes_max = regions_max * kSlots * kSlotBytes;
    memory_limit.heap_max = uint64_t{kSlotBytes} * 2;
    pool = std::make_unique<SlotPool>(loop, memory_limit,
                                      SlotPool::Options{"test", 1, kSlotBytes, kSlots});
    EXPECT_TRUE(pool->ok());
  }

  void expect_balance() const {
    ASSERT_EQ(pool->provided() + pool->leased() + pool->free(), pool->slots());
    ASSERT_EQ(pool->bytes(), memory_limit.bytes);
    ASSERT_EQ(uint64_t{pool->heap_blocks()} * kSlotBytes, memory_limit.heap);
    ASSERT_LE(memory_limit.bytes, memory_limit.bytes_max);
    ASSERT_EQ(memory_limit.fixed_in_use.count() * kSlots, pool->slots());
  }
  void turn() {
    loop.turn(false);
    expect_balance();
  }

  std::unique_ptr<Ring> ring;
  Loop loop;
  MemoryLimit memory_limit;
  std::unique_ptr<SlotPool> pool;
};

// The byte at a place of a stream: tells streams and places apart.
inline char pattern(size_t stream, uint64_t at) {
  return static_cast<char>((at * 7 + at / 251 + stream * 31) % 251);
}

// Receives what is written to the other end, and keeps it where it arrived.
class Receiver final : public OpTarget, public SlotWaiter {
 public:
  struct Piece {
    Lease lease;
    uint32_t size;
    uint64_t at;
  };

  Receiver(PoolRig& rig, size_t stream, uint32_t budget = 1 << 20)
      : rig_(rig), stream_(stream), budget_(budget), index_(rig.loop.attach(this)) {
    arm();
  }

  // As much as the socket takes.
  void write(size_t size) {
    std::string bytes(size, '\0');
    for (size_t i = 0; i < size; ++i) bytes[i] = pattern(stream_, written_ + i);
    ssize_t n = send(pair_.theirs(), bytes.data(), size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n > 0) written_ += static_cast<uint64_t>(n);
  }
  // The piece is as it arrived, and is given up.
  void release(size_t i) {
    const Piece& piece = pieces[i];
    for (uint32_t k = 0; k < piece.size; ++k)
      ASSERT_EQ(piece.lease.data()[k], pattern(stream_, piece.at + k))
          << "byte " << piece.at + k << " of stream " << stream_ << " was overwritten";
    pieces.erase(pieces.begin() + static_cast<ptrdiff_t>(i));
  }
  void release_all() {
    while (!pieces.empty()) release(0);
  }

  uint64_t written() const { return written_; }
  uint64_t received() const { return received_; }
  bool waiting() const { return waiting_; }

  void on_slot_available() override {
    waiting_ = false;
    arm();
  }

  void on_completion(OpKind, const Completion& completion) override {
    if (completion.has_buffer()) {
      Lease lease = rig_.pool->claim(completion.buffer_id());
      if (completion.result > 0) {
        auto size = static_cast<uint32_t>(completion.result);
        pieces.push_back({std::move(lease), size, received_});
        received_ += size;
      }
    }
    if (completion.result == -ENOBUFS) {
      waiting_ = true;
      rig_.pool->wait(*this);
    } else if (!completion.more()) {
      arm();
    }
  }

  std::vector<Piece> pieces;

 private:
  void arm() {
    rig_.ring->recv(pair_.ours(), rig_.pool->group(), budget_,
                    rig_.loop.begin(index_, OpKind::kRecv));
  }

  PoolRig& rig_;
  SocketPair pair_;
  size_t stream_;
  uint32_t budget_;
  uint32_t index_;
  uint64_t written_ = 0;
  uint64_t received_ = 0;
  bool waiting_ = false;
};

}  // namespace sluice::test
