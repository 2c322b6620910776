// A slot of the pool against memory of the same size from malloc (glibc's) and mi_malloc (mimalloc,
// which sluice links for everything that is not on the data path): taken, its first byte written,
// given back. ns_per_slot, the CPU time of a thread per slot, is the figure to watch.
//
// alone: one thread, one block at a time and 64 at once. claim is what a receive does: a slot that
// had been provided to the kernel is leased, given back, and provided anew at the turn's end.
// two threads: pools belong to a worker and are never shared, so each thread has its own and
// nothing is contended; an allocator is shared, and there each thread frees what the other has
// allocated, as with a queue between threads. handover is that queue without any memory, to be
// taken off those figures. The seed's figure: acquire and release 5 to 10 times faster than
// allocation.
#include <array>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <dlfcn.h>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <benchmark/benchmark.h>

#include "core/check.h"
#include "core/loop.h"
#include "perf/bench_cost.h"
#include "pool/limits.h"
#include "pool/slot_pool.h"

namespace sluice {
namespace {

constexpr size_t kAtOnce = 64;

struct Glibc {
  static void* take(size_t bytes) { return std::malloc(bytes); }
  static void give_back(void* memory) { std::free(memory); }
};

// Loaded, not linked: a program that links it has no other malloc (it takes glibc's names, too).
struct Mimalloc {
  static void* take(size_t bytes) { return functions().take(bytes); }
  static void give_back(void* memory) { functions().give_back(memory); }

 private:
  struct Functions {
    Functions() {
      void* library = dlopen(MIMALLOC_LIBRARY, RTLD_NOW | RTLD_LOCAL);
      SLUICE_CHECK(library);
      take = reinterpret_cast<void* (*)(size_t)>(dlsym(library, "mi_malloc"));
      give_back = reinterpret_cast<void (*)(void*)>(dlsym(library, "mi_free"));
      SLUICE_CHECK(take && give_back);
    }
    void* (*take)(size_t);
    void (*give_back)(void*);
  };
  static const Functions& functions() {
    static const Functions loaded;
    return loaded;
  }
};

struct Nothing {
  static void* take(size_t /*bytes*/) {
    static char memory = 0;
    return &memory;
  }
  static void give_back(void* /*memory*/) {}
};

void use(void* memory) {
  *static_cast<volatile char*>(memory) = 1;
}

void count_slots(benchmark::State& state, size_t slots_an_iteration,
                 const perf::CostCounter& cost) {
  cost.report(state, "ns_per_slot", static_cast<uint64_t>(state.iterations()) * slots_an_iteration);
}

// A pool of the calling thread, as a worker has it.
struct OwnPool {
  explicit OwnPool(uint32_t slot_bytes) {
    Features features;
    std::string error;
    SLUICE_CHECK(Ring::probe(Features{}, &features, &error));
    // Pinning the memory changes nothing here, and may not be allowed twice.
    features.fixed_buffers = false;
    ring = Ring::create(features, &error);
    SLUICE_CHECK(ring);
    loop = std::make_unique<Loop>(*ring);
    memory_limit.bytes_max = uint64_t{64} * 1024 * 1024;
    pool = std::make_unique<SlotPool>(*loop, memory_limit,
                                      SlotPool::Options{"bench", 0, slot_bytes, kSlots});
    SLUICE_CHECK(pool->ok());
  }

  static constexpr uint32_t kSlots = 1000;

  std::unique_ptr<Ring> ring;
  std::unique_ptr<Loop> loop;
  MemoryLimit memory_limit;
  std::unique_ptr<SlotPool> pool;
};

// --- one block at a time ---

void pool_one(benchmark::State& state) {
  OwnPool own(static_cast<uint32_t>(state.range(0)));
  const perf::CostCounter cost;
  for (auto _ : state) {
    Lease lease = own.pool->take();
    use(lease.data());
  }
  count_slots(state, 1, cost);
}

template <typename Allocator>
void heap_one(benchmark::State& state) {
  const auto bytes = static_cast<size_t>(state.range(0));
  const perf::CostCounter cost;
  for (auto _ : state) {
    void* memory = Allocator::take(bytes);
    use(memory);
    Allocator::give_back(memory);
  }
  count_slots(state, 1, cost);
}

// --- 64 at once ---

void pool_many(benchmark::State& state) {
  OwnPool own(static_cast<uint32_t>(state.range(0)));
  std::array<Lease, kAtOnce> leases;
  const perf::CostCounter cost;
  for (auto _ : state) {
    for (Lease& lease : leases) {
      lease = own.pool->take();
      use(lease.data());
    }
    for (Lease& lease : leases) lease = Lease();
  }
  count_slots(state, kAtOnce, cost);
}

void pool_claim(benchmark::State& state) {
  OwnPool own(static_cast<uint32_t>(state.range(0)));
  // All that the kernel holds at first.
  constexpr size_t kClaimed = limits::kRingSlotsMin;
  std::array<Lease, kClaimed> leases;
  const perf::CostCounter cost;
  for (auto _ : state) {
    // The first slots are provided first, and what is given back is provided anew.
    for (size_t i = 0; i < kClaimed; ++i) {
      leases[i] = own.pool->claim(static_cast<uint16_t>(i));
      use(leases[i].data());
    }
    for (Lease& lease : leases) lease = Lease();
    own.pool->on_turn_end();
  }
  count_slots(state, kClaimed, cost);
}

template <typename Allocator>
void heap_many(benchmark::State& state) {
  const auto bytes = static_cast<size_t>(state.range(0));
  std::array<void*, kAtOnce> blocks{};
  const perf::CostCounter cost;
  for (auto _ : state) {
    for (void*& block : blocks) {
      block = Allocator::take(bytes);
      use(block);
    }
    for (void* block : blocks) Allocator::give_back(block);
  }
  count_slots(state, kAtOnce, cost);
}

// --- two threads ---

// Blocks on their way from one thread to the other; one producer, one consumer.
class Handover {
 public:
  void put(void* memory) {
    const size_t at = put_.load(std::memory_order_relaxed);
    while (at - taken_.load(std::memory_order_acquire) == places_.size()) std::this_thread::yield();
    places_[at % places_.size()] = memory;
    put_.store(at + 1, std::memory_order_release);
  }
  // Null where there is none.
  void* take() {
    const size_t at = taken_.load(std::memory_order_relaxed);
    if (at == put_.load(std::memory_order_acquire)) return nullptr;
    void* memory = places_[at % places_.size()];
    taken_.store(at + 1, std::memory_order_release);
    return memory;
  }

 private:
  // Room for what one thread is ahead; more than a time slice would only be memory.
  std::vector<void*> places_ = std::vector<void*>(4096);
  alignas(64) std::atomic<size_t> put_{0};
  alignas(64) std::atomic<size_t> taken_{0};
};

template <typename Allocator>
void heap_two_threads(benchmark::State& state) {
  static std::array<Handover, 2> handovers;
  const auto bytes = static_cast<size_t>(state.range(0));
  Handover& to_other = handovers[static_cast<size_t>(state.thread_index())];
  Handover& from_other = handovers[static_cast<size_t>(1 - state.thread_index())];
  auto free_some = [&from_other](size_t blocks_max) {
    size_t blocks = 0;
    for (; blocks < blocks_max; ++blocks) {
      void* memory = from_other.take();
      if (!memory) break;
      Allocator::give_back(memory);
    }
    return blocks;
  };
  // Each thread puts and frees the same number, and puts no more than there is room for.
  size_t put = 0;
  size_t freed = 0;
  const auto total = static_cast<size_t>(state.max_iterations) * kAtOnce;
  const perf::CostCounter cost;
  for (auto _ : state) {
    for (size_t i = 0; i < kAtOnce; ++i) {
      void* memory = Allocator::take(bytes);
      use(memory);
      to_other.put(memory);
    }
    put += kAtOnce;
    while (freed < put) {
      freed += free_some(put - freed);
      if (freed < put) std::this_thread::yield();
    }
  }
  SLUICE_CHECK(freed == total);
  count_slots(state, kAtOnce, cost);
}

void register_all() {
  struct Kind {
    const char* name;
    void (*run)(benchmark::State&);
    int threads;
  };
  constexpr Kind kKinds[] = {
      {"alone/one/pool", pool_one, 1},
      {"alone/one/malloc", heap_one<Glibc>, 1},
      {"alone/one/mi_malloc", heap_one<Mimalloc>, 1},
      {"alone/many/pool", pool_many, 1},
      {"alone/many/pool_claim", pool_claim, 1},
      {"alone/many/malloc", heap_many<Glibc>, 1},
      {"alone/many/mi_malloc", heap_many<Mimalloc>, 1},
      {"two_threads/many/pool", pool_many, 2},
      {"two_threads/many/pool_claim", pool_claim, 2},
      {"two_threads/many/handover", heap_two_threads<Nothing>, 2},
      {"two_threads/many/malloc", heap_two_threads<Glibc>, 2},
      {"two_threads/many/mi_malloc", heap_two_threads<Mimalloc>, 2},
  };
  for (const Kind& kind : kKinds)
    // The slots of the two classes.
    for (int64_t bytes : {4096, 16384}) {
      auto* bench = benchmark::RegisterBenchmark(kind.name, kind.run)->Arg(bytes)->ArgName("bytes");
      if (kind.threads > 1) bench->Threads(kind.threads);
    }
}

[[maybe_unused]] const bool registered = [] {
  register_all();
  return true;
}();

}  // namespace
}  // namespace sluice
