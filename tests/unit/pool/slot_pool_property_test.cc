// A pool under random traffic on the real ring: whatever happens, its counts add up after every
// turn, and nobody writes into a slot that is leased.
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "pool/slot_pool.h"
#include "tests/unit/pool/pool_testing.h"
#include "tests/unit/random_source.h"

namespace sluice {
namespace {

using test::PoolRig;
using test::RandomSource;
using test::Receiver;

class Traffic final : public FlushTask {
 public:
  Traffic(RandomSource& random, std::string_view disabled)
      : random_(random), rig_(random.between(1, 5), disabled) {
    for (size_t i = 0; i < kReceivers; ++i)
      receivers_.push_back(std::make_unique<Receiver>(
          rig_, i, static_cast<uint32_t>(random.between(1, 10 * PoolRig::kSlotBytes))));
  }

  void step() {
    switch (random_.between(0, 11)) {
      case 0:
      case 1:
      case 2:
        write();
        break;
      case 3:
        if (taken_.size() < 60) take();
        break;
      case 4:
        if (!taken_.empty()) put_back(random_.between(0, taken_.size() - 1));
        break;
      case 5:
      case 6:
        release();
        break;
      case 7:
        release_all();
        break;
      case 8:
        rig_.loop.flush_later(*this);  // trims, as the gateway's timer does, in mid-turn
        break;
      default:
        rig_.turn();
        check();
    }
  }

  void on_flush() override {
    if (!finishing_) write();
    rig_.pool->trim();
  }

  // Everything arrives, everything comes back.
  void finish() {
    finishing_ = true;
    while (!taken_.empty()) put_back(0);
    for (auto& receiver : receivers_) {
      for (int i = 0; i < 10'000 && receiver->received() < receiver->written(); ++i) {
        release_all();
        rig_.turn();
      }
      ASSERT_EQ(receiver->received(), receiver->written());
    }
    release_all();
    for (int i = 0; i < 6; ++i) {
      rig_.loop.flush_later(*this);
      rig_.turn();
    }
    check();
    ASSERT_EQ(rig_.pool->slots(), PoolRig::kSlots) << "a grown region was never given back";
    ASSERT_EQ(rig_.pool->leased(), 0U);
    const PoolCounters& counters = rig_.pool->counters();
    ASSERT_LE(counters.allocations - counters.discards, PoolRig::kSlots);
    waits += counters.waits;
    growths += counters.discards;
  }

  uint64_t waits = 0;
  uint64_t growths = 0;

 private:
  static constexpr size_t kReceivers = 6;

  struct Taken {
    Lease lease;
    char stamp;
  };

  Receiver& any() { return *receivers_[random_.between(0, kReceivers - 1)]; }
  void write() { any().write(random_.between(1, 6 * PoolRig::kSlotBytes)); }
  void release() {
    if (Receiver& receiver = any(); !receiver.pieces.empty())
      receiver.release(random_.between(0, receiver.pieces.size() - 1));
  }
  void release_all() {
    for (auto& receiver : receivers_) receiver->release_all();
  }
  void take() {
    // Of a slot's size: from the heap, where there is none and the limit has room.
    Lease lease = rig_.pool->take_block(PoolRig::kSlotBytes, false);
    if (!lease) return;
    Taken taken{lease, static_cast<char>(random_.between(1, 127))};
    lease = {};
    ASSERT_EQ(taken.lease.slot()->leases, 1U);
    std::fill_n(taken.lease.data(), taken.lease.size(), taken.stamp);
    ++taken_ever_;
    taken_.push_back(std::move(taken));
  }
  void put_back(size_t i) {
    for (uint32_t k = 0; k < taken_[i].lease.size(); ++k)
      ASSERT_EQ(taken_[i].lease.data()[k], taken_[i].stamp) << "a leased slot was written to";
    taken_.erase(taken_.begin() + static_cast<ptrdiff_t>(i));
  }

  void check() {
    uint32_t leases = 0;
    uint32_t blocks = 0;
    for (const Taken& taken : taken_)
      ++(taken.lease.slot()->region == Slot::kHeap ? blocks : leases);
    for (auto& receiver : receivers_) leases += static_cast<uint32_t>(receiver->pieces.size());
    ASSERT_EQ(rig_.pool->leased(), leases);
    ASSERT_EQ(rig_.pool->heap_blocks(), blocks);
    ASSERT_GE(rig_.pool->high_water(), leases);
    ASSERT_GE(rig_.pool->counters().allocations + rig_.pool->counters().reuses, taken_ever_);
  }

  RandomSource& random_;
  PoolRig rig_;
  std::vector<std::unique_ptr<Receiver>> receivers_;
  std::vector<Taken> taken_;
  uint64_t taken_ever_ = 0;
  bool finishing_ = false;
};

class SlotPoolProperty : public testing::TestWithParam<const char*> {};

INSTANTIATE_TEST_SUITE_P(Without, SlotPoolProperty,
                         testing::Values("", "recv-budget", "defer-taskrun", "fixed-buffers"),
                         [](const auto& disabled) {
                           std::string name = disabled.param;
                           for (char& c : name) c = c == '-' ? '_' : c;
                           return name.empty() ? "nothing" : name;
                         });

TEST_P(SlotPoolProperty, CountsAddUpAndLeasedBytesStay) {
  RandomSource random;
  SCOPED_TRACE(random.trace());
  uint64_t waits = 0;
  uint64_t growths = 0;
  for (int run = 0; run < 15 && !HasFailure(); ++run) {
    Traffic traffic(random, GetParam());
    for (int i = 0; i < 3000 && !HasFailure(); ++i) traffic.step();
    if (!HasFailure()) traffic.finish();
    waits += traffic.waits;
    growths += traffic.growths;
  }
  if (HasFailure()) return;
  EXPECT_GT(waits, 0U) << "the test never ran short of slots";
  EXPECT_GT(growths, 0U) << "the test never grew the pool";
}

}  // namespace
}  // namespace sluice
