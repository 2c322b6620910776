// What tests of a gateway on the test's own thread share: the gateway with its ring, loop and
// pools, which the test turns, and a monotonic clock that stands still unless the test puts it
// forward, so that hours of time-outs take no time and a slow machine changes nothing.
//
// To be included by one source file of an executable: it replaces clock_gettime(2).
#pragma once

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <poll.h>
#include <string>
#include <sys/syscall.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "net/base/limits.h"
#include "net/gateway/gateway.h"
#include "net/stream/stream.h"
#include "tests/unit/core/kernel_testing.h"
#include "tests/unit/dns/fake_resolver.h"
#include "tests/unit/gateway/net_testing.h"

namespace sluice::test {

inline uint64_t clock_ns = 0;  // 0: not looked at yet

}  // namespace sluice::test

extern "C" int clock_gettime(clockid_t clock, timespec* into) noexcept {
  auto result = static_cast<int>(syscall(SYS_clock_gettime, clock, into));
  if (result != 0 || clock != CLOCK_MONOTONIC) return result;
  using sluice::test::clock_ns;
  if (clock_ns == 0)
    clock_ns =
        static_cast<uint64_t>(into->tv_sec) * 1'000'000'000 + static_cast<uint64_t>(into->tv_nsec);
  into->tv_sec = static_cast<time_t>(clock_ns / 1'000'000'000);
  into->tv_nsec = static_cast<long>(clock_ns % 1'000'000'000);
  return 0;
}

namespace sluice::test {

inline constexpr uint64_t kMinuteMs = 60'000;

class GatewayRig {
 public:
  // `shared`: the limit of several gateways; else this one has its own, of `clients_max`.
  // `board_of`: a snapshot whose upstreams' board it goes by.
  explicit GatewayRig(const Config& with, const std::vector<int>& listeners = {},
                      uint64_t clients_max = 1000, ClientLimit* shared = nullptr,
                      unsigned worker = 5, std::string_view disabled = "",
                      const ConfigSnapshot* board_of = nullptr)
      : config(with),
        own_limit(clients_max),
        limit(shared ? *shared : own_limit),
        ring(make_ring(disabled)),
        loop(*ring),
        memory_limit{.bytes_max = config.pool_max,
                     .heap_max = config.pool_max / limits::kHeapFraction},
        gateway(loop, memory, memory_limit, std::make_shared<ConfigSnapshot>(config, board_of),
                sockets_of(config, listeners), messages, log, limit, resolver, worker) {
    EXPECT_TRUE(sse_event.ok() && http_message.ok());
  }
  // Aborts what is left, and waits until the kernel has let go of it.
  ~GatewayRig() {
    gateway.abort_all();
    turn_until_true([this] { return loop.operations() == 0; });
    loop.turn(false);
    EXPECT_EQ(sse_event.leased() + http_message.leased(), 0U);
    EXPECT_EQ(memory.nodes.in_use(), 0U);
  }
  GatewayRig(const GatewayRig&) = delete;
  GatewayRig& operator=(const GatewayRig&) = delete;

  // The time passes at once; timers that are due by then fire.
  void pass(uint64_t ms) {
    clock_ns += ms * 1'000'000;
    loop.turn(false);
  }
  // For a minute at most, by the clock on the wall.
  template <typename Condition>
  void turn_until_true(Condition condition) {
    auto deadline = std::chrono::system_clock::now() + std::chrono::seconds(60);
    while (!condition() && std::chrono::system_clock::now() < deadline) loop.turn(false);
    ASSERT_TRUE(condition());
  }
  // Whatever was going to happen without anybody's doing has happened.
  void settle() {
    for (int i = 0; i < 20; ++i) loop.turn(false);
  }
  // More than half of the limit is mapped, or far less.
  void make_memory_tight(bool tight) {
    memory_limit.bytes_max = tight ? memory_limit.bytes * 3 / 2 : memory_limit.bytes * 100;
  }

  // Its running counts are those of the streams that there are.
  WorkerSnapshot snapshot() const {
    WorkerSnapshot now;
    gateway.snapshot(now);
    std::vector<StreamInfo> all = streams();
    EXPECT_EQ(now.streams, all.size());
    EXPECT_EQ(now.event_streams, std::ranges::count(all, true, &StreamInfo::event_stream));
    return now;
  }
  std::vector<StreamInfo> streams() const {
    std::vector<StreamInfo> all;
    gateway.list_streams(all);
    return all;
  }
  // The lines for the operator since the last call.
  std::string messages_so_far() {
    std::string lines;
    std::string access;
    log.pop_all(lines, access, access);
    return lines;
  }

  // Those of the configuration's addresses, in that order.
  static std::vector<ListeningSocket> sockets_of(const Config& config,
                                                 const std::vector<int>& listeners) {
    std::vector<ListeningSocket> sockets;
    for (size_t i = 0; i < listeners.size(); ++i)
      sockets.push_back(
          {i < config.listen.size() ? config.listen[i].text() : "test", listeners[i]});
    return sockets;
  }

  Config config;
  ClientLimit own_limit;
  ClientLimit& limit;
  std::unique_ptr<Ring> ring;
  Loop loop;
  MemoryLimit memory_limit;
  SlotPool sse_event{loop, memory_limit, {"sse_event", 0, 4096, 64}};
  SlotPool http_message{loop, memory_limit, {"http_message", 1, 16384, 32}};
  std::unique_ptr<SlotPool> json;  // for the test that makes one
  Memory memory{sse_event, http_message, {}};
  LogQueue log;
  MessageLog messages{log, LogLevel::kWarn};
  FakeResolver resolver;
  Gateway gateway;
};

// Nothing is left of a class that has not grown, nor room for more, and somebody waits for a slot.
class NoSlots final : public SlotWaiter {
 public:
  NoSlots(GatewayRig& rig, SlotPool& pool) : pool_(pool) {
    rig.memory_limit.bytes_max = rig.memory_limit.bytes;
    while (Lease lease = pool.take()) leases_.push_back(std::move(lease));
    const Slot* first = leases_.at(0).slot() - leases_[0].slot()->id;
    for (uint32_t i = 0; i < pool.slots(); ++i)
      if (first[i].provided) leases_.push_back(pool.claim(first[i].id));
    EXPECT_TRUE(rig.ring->reset_buffer_group(pool.group()));
    pool.wait(*this);
    EXPECT_TRUE(pool.exhausted());
  }
  ~NoSlots() override { pool_.stop_waiting(*this); }
  NoSlots(const NoSlots&) = delete;
  NoSlots& operator=(const NoSlots&) = delete;
  void on_slot_available() override {}

 private:
  SlotPool& pool_;
  std::vector<Lease> leases_;
};

}  // namespace sluice::test
