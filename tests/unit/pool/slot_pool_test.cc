#include "pool/slot_pool.h"

#include <algorithm>
#include <cerrno>
#include <dlfcn.h>
#include <functional>
#include <set>
#include <vector>

#include <gtest/gtest.h>
#include <liburing.h>

#include "tests/unit/pool/pool_testing.h"

namespace {

int registrations_refused = 0;  // the next so many, of buffer groups
std::set<unsigned> registered;  // fixed buffers
bool registered_twice = false;

template <typename Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

}  // namespace

// In place of liburing's, which they call.
extern "C" int io_uring_register_buffers_update_tag(io_uring* ring, unsigned index,
                                                    const iovec* memory, const __u64* tags,
                                                    unsigned count) {
  static auto* real = next<decltype(io_uring_register_buffers_update_tag)>(__func__);
  int result = real(ring, index, memory, tags, count);
  if (result == 1 && memory->iov_base)
    registered_twice |= !registered.insert(index).second;
  else
    registered.erase(index);
  return result;
}

extern "C" int io_uring_register_buf_ring(io_uring* ring, io_uring_buf_reg* group, unsigned flags) {
  static auto* real = next<decltype(io_uring_register_buf_ring)>(__func__);
  if (registrations_refused == 0) return real(ring, group, flags);
  --registrations_refused;
  return -ENOMEM;
}

namespace sluice {
namespace {

using test::PoolRig;
using test::Receiver;

constexpr uint32_t kSlots = PoolRig::kSlots;
constexpr uint32_t kSlotBytes = PoolRig::kSlotBytes;
constexpr uint32_t kReserve = kSlots / 8;

TEST(SlotPool, ProvidesAllButTheReserve) {
  PoolRig rig(4);
  EXPECT_EQ(rig.pool->slots(), kSlots);
  EXPECT_EQ(rig.pool->provided(), kSlots - kReserve);
  EXPECT_EQ(rig.pool->free(), kReserve);
  EXPECT_EQ(rig.pool->leased(), 0U);
  rig.expect_balance();
}

TEST(SlotPool, IsNotOkWhereTheGroupIsRefused) {
  PoolRig rig(4);
  EXPECT_DEATH(SlotPool(rig.loop, rig.memory_limit, {"same group", 1, kSlotBytes, kSlots}),
               "invariant");
}

TEST(SlotPool, TakesFromTheReserveThenGrowsAndThenHasNone) {
  PoolRig rig(2);
  std::vector<Lease> leases;
  for (uint32_t i = 0; i < kReserve; ++i) leases.push_back(rig.pool->take());
  EXPECT_EQ(rig.pool->slots(), kSlots);
  for (uint32_t i = 0; i < kSlots; ++i) leases.push_back(rig.pool->take());
  EXPECT_EQ(rig.pool->slots(), 2 * kSlots);
  EXPECT_EQ(rig.pool->leased(), kReserve + kSlots);
  EXPECT_FALSE(rig.pool->take());
  EXPECT_EQ(rig.pool->slots(), 2 * kSlots);
  EXPECT_EQ(rig.pool->leased(), kReserve + kSlots);
  EXPECT_EQ(rig.pool->heap_blocks(), 0U);
  rig.expect_balance();
  const PoolCounters& counters = rig.pool->counters();
  EXPECT_EQ(counters.allocations, kReserve + kSlots);
  EXPECT_EQ(counters.reuses, 0U);
  leases.clear();
  EXPECT_EQ(rig.pool->leased(), 0U);
  EXPECT_EQ(rig.pool->high_water(), kReserve + kSlots);
  leases.push_back(rig.pool->take());
  EXPECT_EQ(counters.reuses, 1U);
  EXPECT_EQ(counters.allocations, kReserve + kSlots);
}

TEST(SlotPool, ABlockIsASlotWhileThereIsOneAndThenOfTheHeapAsFarAsTheLimitGoes) {
  PoolRig rig(1);
  std::vector<Lease> leases;
  for (uint32_t i = 0; i < kReserve; ++i) leases.push_back(rig.pool->take_block(kSlotBytes, false));
  EXPECT_EQ(rig.pool->leased(), kReserve);
  auto room = static_cast<uint32_t>(rig.memory_limit.heap_max);
  Lease block = rig.pool->take_block(room, false);
  ASSERT_TRUE(block);
  EXPECT_EQ(block.size(), room);
  EXPECT_EQ(block.slot()->region, Slot::kHeap);
  EXPECT_EQ(rig.pool->heap_blocks(), 1U);
  EXPECT_EQ(rig.memory_limit.heap, rig.memory_limit.heap_max);
  EXPECT_FALSE(rig.pool->take_block(1, false));
  Lease ours = rig.pool->take_block(1, true);
  EXPECT_TRUE(ours) << "what we have to say is always said";
  ours = block = {};
  EXPECT_EQ(rig.pool->heap_blocks(), 0U);
  EXPECT_EQ(rig.memory_limit.heap, 0U);
  EXPECT_EQ(rig.pool->counters().discards, 2U);
}

TEST(MemoryLimit, ChargesTheDifferenceOrNothing) {
  MemoryLimit memory_limit{.heap_max = 100};
  uint32_t one = 0;
  uint32_t two = 0;
  EXPECT_TRUE(memory_limit.charge(&one, 60));
  EXPECT_FALSE(memory_limit.charge(&two, 41));
  EXPECT_EQ(two, 0U);
  EXPECT_TRUE(memory_limit.charge(&two, 40));
  EXPECT_FALSE(memory_limit.charge(&one, 61));
  EXPECT_EQ(memory_limit.heap, 100U);
  EXPECT_TRUE(memory_limit.charge(&one, 10));
  EXPECT_EQ(memory_limit.heap, 50U);
  memory_limit.heap_max = 0;
  EXPECT_TRUE(memory_limit.charge(&two, 0)) << "less is always allowed";
  memory_limit.heap_max = memory_limit.heap - 1;
  EXPECT_TRUE(memory_limit.charge(&one, one)) << "and no more";
  EXPECT_EQ(memory_limit.heap, 10U);
}

TEST(SlotPool, ASlotIsBackWithItsLastLease) {
  PoolRig rig(1);
  Lease one = rig.pool->take();
  Lease two = one;
  EXPECT_EQ(one.slot()->leases, 2U);
  EXPECT_EQ(rig.pool->leased(), 1U);
  one = {};
  EXPECT_EQ(rig.pool->leased(), 1U);
  Lease moved = std::move(two);
  EXPECT_EQ(moved.slot()->leases, 1U);
  moved = {};
  EXPECT_EQ(rig.pool->leased(), 0U);
  EXPECT_EQ(rig.pool->free(), kReserve);
}

TEST(SlotPool, AClaimedSlotIsProvidedAnewOnceItIsBack) {
  PoolRig rig(1);
  Receiver receiver(rig, 0);
  receiver.write(10);
  test::turn_until(rig.loop, [&] { return receiver.received() == 10; });
  EXPECT_EQ(rig.pool->leased(), 1U);
  EXPECT_EQ(rig.pool->provided(), kSlots - kReserve - 1);
  receiver.release_all();
  rig.turn();
  EXPECT_EQ(rig.pool->provided(), kSlots - kReserve);
  EXPECT_EQ(rig.pool->leased(), 0U);
}

TEST(SlotPool, ClaimingWhatTheKernelDoesNotHaveIsABug) {
  PoolRig rig(1);
  Lease lease = rig.pool->take();
  EXPECT_DEATH(rig.pool->claim(lease.slot()->id), "invariant broken");
}

TEST(SlotPool, GrowsForReceivesUpToTheLimitAndThenTheyWait) {
  PoolRig rig(3);
  Receiver receiver(rig, 0);
  receiver.write(size_t{4} * kSlots * kSlotBytes);
  test::turn_until(rig.loop, [&] { return receiver.waiting(); });
  rig.expect_balance();
  EXPECT_EQ(rig.pool->slots(), 3 * kSlots);
  EXPECT_EQ(rig.pool->provided(), 0U);
  EXPECT_EQ(rig.pool->free(), kReserve) << "for the heads that have to leave";
  EXPECT_GE(rig.pool->counters().waits, 1U);
  EXPECT_TRUE(rig.pool->exhausted());
  EXPECT_TRUE(rig.pool->take());
  // Goes on with the slots that come back.
  while (receiver.received() < receiver.written()) {
    receiver.release_all();
    rig.turn();
  }
  receiver.release_all();
  EXPECT_FALSE(rig.pool->exhausted());
}

TEST(SlotPool, ClassesShareTheLimit) {
  PoolRig rig(3);
  SlotPool other(rig.loop, rig.memory_limit, {"other", 2, kSlotBytes, kSlots});
  ASSERT_TRUE(other.ok());
  EXPECT_EQ(rig.memory_limit.bytes, rig.pool->bytes() + other.bytes());
  std::vector<Lease> leases;
  while (Lease lease = other.take()) leases.push_back(lease);
  EXPECT_EQ(other.slots(), 2 * kSlots);
  while (Lease lease = rig.pool->take()) leases.push_back(lease);
  EXPECT_EQ(rig.pool->slots(), kSlots) << "grew beyond the limit";
}

class TestWaiter final : public SlotWaiter {
 public:
  TestWaiter(std::vector<int>& woken, int name) : woken_(woken), name_(name) {}
  void on_slot_available() override { woken_.push_back(name_); }

 private:
  std::vector<int>& woken_;
  int name_;
};

TEST(SlotPool, WakesWaitersInTheirOrderAndNoMoreThanThereAreSlots) {
  PoolRig rig(1);
  Receiver receiver(rig, 0);
  receiver.write(size_t{2} * kSlots * kSlotBytes);
  test::turn_until(rig.loop, [&] { return receiver.waiting(); });
  rig.pool->stop_waiting(receiver);
  uint64_t waits = rig.pool->counters().waits;
  std::vector<int> woken;
  TestWaiter a(woken, 1);
  TestWaiter b(woken, 2);
  TestWaiter c(woken, 3);
  TestWaiter d(woken, 4);
  for (TestWaiter* waiter : {&a, &b, &c, &d}) rig.pool->wait(*waiter);
  rig.turn();
  EXPECT_TRUE(woken.empty());
  rig.pool->stop_waiting(b);
  rig.pool->stop_waiting(b);  // harmless
  receiver.release(0);
  rig.turn();
  EXPECT_EQ(woken, std::vector<int>{1});
  rig.pool->stop_waiting(d);  // the last one
  rig.pool->wait(b);
  receiver.release_all();
  rig.turn();
  EXPECT_EQ(woken, (std::vector<int>{1, 3, 2}));
  EXPECT_EQ(rig.pool->counters().waits, waits + 5);
}

TEST(SlotPool, AWokenWaiterMayQueueAgain) {
  PoolRig rig(1);
  class Stubborn final : public SlotWaiter {
   public:
    explicit Stubborn(SlotPool& pool) : pool_(pool) {}
    void on_slot_available() override {
      ++woken;
      pool_.wait(*this);
    }
    int woken = 0;

   private:
    SlotPool& pool_;
  } waiter(*rig.pool);
  rig.pool->wait(waiter);
  rig.turn();
  EXPECT_GE(waiter.woken, 1);
  EXPECT_LE(waiter.woken, static_cast<int>(kSlots)) << "the turn has to end";
  rig.pool->stop_waiting(waiter);
}

TEST(SlotPool, TrimGivesBackWhatIsFree) {
  PoolRig rig(4);
  std::vector<Lease> leases;
  for (uint32_t i = 0; i < kReserve + 2 * kSlots; ++i) leases.push_back(rig.pool->take());
  EXPECT_EQ(rig.pool->slots(), 3 * kSlots);
  leases.resize(kReserve + kSlots);  // the last region is free now, the one before is not
  rig.pool->trim();
  EXPECT_EQ(rig.pool->slots(), 2 * kSlots);
  EXPECT_EQ(rig.pool->counters().discards, kSlots);
  rig.expect_balance();
  leases.clear();
  rig.pool->trim();
  EXPECT_EQ(rig.pool->slots(), kSlots) << "the first region is never given back";
  rig.pool->trim();
  EXPECT_EQ(rig.pool->slots(), kSlots);
  // And grows again into the place that was left.
  while (rig.pool->slots() == kSlots) leases.push_back(rig.pool->take());
  EXPECT_LT(leases.back().slot()->id, 2 * kSlots);
  rig.expect_balance();
}

class FlushFunction final : public FlushTask {
 public:
  explicit FlushFunction(std::function<void()> run) : run_(std::move(run)) {}
  void on_flush() override { run_(); }

 private:
  std::function<void()> run_;
};

// Trims in mid-turn, as the gateway's timer does.
void turn_with_trim(PoolRig& rig) {
  FlushFunction trim([&rig] { rig.pool->trim(); });
  rig.loop.flush_later(trim);
  rig.turn();
}

// A pool that has grown, where the kernel holds slots of a grown region and nothing is leased.
void make_grown_region_idle(PoolRig& rig, Receiver& receiver) {
  receiver.write(size_t{3} * kSlots * kSlotBytes);
  test::turn_until(rig.loop, [&] { return receiver.received() == receiver.written(); });
  receiver.release_all();
  ASSERT_GT(rig.pool->slots(), kSlots);
  ASSERT_EQ(rig.pool->leased(), 0U);
}

TEST(SlotPool, TrimEmptiesTheGroupForARegionThatTheKernelHolds) {
  PoolRig rig(4);
  Receiver receiver(rig, 0);
  make_grown_region_idle(rig, receiver);
  turn_with_trim(rig);
  ASSERT_GT(rig.pool->slots(), kSlots) << "the kernel holds slots of it";
  // What arrives now finds the group empty, waits for a turn, and is not lost.
  uint64_t waits = rig.pool->counters().waits;
  receiver.write(kSlotBytes);
  test::turn_until(rig.loop, [&] { return receiver.received() == receiver.written(); });
  EXPECT_EQ(rig.pool->counters().waits, waits + 1);
  receiver.release_all();
  turn_with_trim(rig);
  EXPECT_EQ(rig.pool->slots(), kSlots);
  EXPECT_EQ(rig.pool->provided(), kSlots - kReserve);
  rig.expect_balance();
}

TEST(SlotPool, TrimWhileItTrimsIsHarmless) {
  PoolRig rig(4);
  Receiver receiver(rig, 0);
  make_grown_region_idle(rig, receiver);
  for (int i = 0; i < 6; ++i) turn_with_trim(rig);
  EXPECT_EQ(rig.pool->slots(), kSlots);
}

// The kernel may have no memory for the group that it has just let go of.
TEST(SlotPool, TriesAgainWhereTheKernelDoesNotTakeTheEmptiedGroupBack) {
  PoolRig rig(4);
  Receiver receiver(rig, 0);
  make_grown_region_idle(rig, receiver);
  registrations_refused = 2;
  turn_with_trim(rig);
  rig.turn();
  EXPECT_EQ(registrations_refused, 1);
  EXPECT_EQ(rig.pool->provided(), 0U);
  // What arrives waits, at rest, and is no reason to think that memory has run out.
  receiver.write(kSlotBytes);
  test::turn_until(rig.loop, [&] { return receiver.waiting(); });
  rig.turn();
  EXPECT_FALSE(rig.pool->exhausted());
  turn_with_trim(rig);
  EXPECT_EQ(registrations_refused, 0);
  EXPECT_TRUE(receiver.waiting());
  turn_with_trim(rig);
  test::turn_until(rig.loop, [&] { return receiver.received() == receiver.written(); });
  receiver.release_all();
  rig.turn();
  EXPECT_EQ(rig.pool->slots(), kSlots);
  EXPECT_EQ(rig.pool->provided(), kSlots - kReserve);
}

TEST(SlotPool, RegionsBeyondTheTableOfFixedBuffersAreNotRegistered) {
  constexpr size_t kRegions = Ring::kFixedBuffersMax + 2;
  registered.clear();
  PoolRig rig(kRegions);
  std::vector<Lease> leases;
  while (Lease lease = rig.pool->take()) leases.push_back(lease);
  EXPECT_EQ(rig.pool->slots(), kRegions * kSlots);
  EXPECT_TRUE(rig.memory_limit.fixed_in_use.all());
  while (rig.pool->slots() > kSlots) {
    leases.resize(leases.size() - std::min<size_t>(leases.size(), kSlots));
    rig.pool->trim();
  }
  EXPECT_EQ(rig.memory_limit.fixed_in_use.count(), 1U);
  EXPECT_LE(registered.size(), 1U);
  EXPECT_FALSE(registered_twice);
}

// A receive that has taken its slot, but whose completion was not reaped yet, keeps it. Where
// completions are posted at any system call (no DEFER_TASKRUN) that may be the case at any point
// of a turn, such as when the timer trims.
TEST(SlotPool, TrimWaitsForTheCompletionsThatAreOnTheirWay) {
  PoolRig rig(4, "defer-taskrun");
  Receiver late(rig, 1);
  Receiver receiver(rig, 0);
  make_grown_region_idle(rig, receiver);
  FlushFunction trim([&] {
    late.write(kSlotBytes);
    rig.pool->trim();
  });
  rig.loop.flush_later(trim);
  rig.turn();
  // Everything that the pool would hand out now is overwritten.
  std::vector<Lease> leases;
  while (Lease lease = rig.pool->take()) {
    leases.push_back(lease);
    std::fill_n(leases.back().data(), leases.back().size(), '?');
  }
  ASSERT_EQ(late.received(), 0U);
  test::turn_until(rig.loop, [&] { return late.received() == kSlotBytes; });
  late.release_all();
  rig.expect_balance();
}

}  // namespace
}  // namespace sluice
