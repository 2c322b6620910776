// The product's gateway on the fake kernel, with everything that has to hold after every turn of
// its loop checked there: slots and operations accounted for on both sides of the seam, credit
// kept, no completion for nobody; and at the end, that nothing is left. A violation ends the
// program. What a worker makes for itself (net/gateway/worker.cc) is made here.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "core/log.h"
#include "net/gateway/gateway.h"
#include "pool/chain.h"
#include "tests/sim/kernel.h"
#include "tests/sim/names.h"

namespace sluice::sim {

class CheckedGateway {
 public:
  CheckedGateway(World& world, Kernel& kernel, Config config, const Features& features,
                 uint64_t clients_max, uint64_t heap_max, NamesWeather names = {},
                 unsigned worker = 0, HubProcess* hubs = nullptr);
  CheckedGateway(const CheckedGateway&) = delete;
  CheckedGateway& operator=(const CheckedGateway&) = delete;

  int listener() const { return listener_; }
  const Config& config() const { return config_; }
  uint64_t turns() const { return turns_; }
  // An event was cut through for want of memory; a receive has waited for a slot.
  bool torn();
  // Memory has been short: receives have waited while there was no slot, or streams were given up.
  bool scarce();
  const Metrics& metrics() { return gateway_.metrics(); }
  const ConfigSnapshot& snapshot() const { return *snapshot_; }

  // The steps in which a process ends; each may be told again.
  void say_close() { gateway_.say_close(); }
  void drain() { gateway_.drain(); }
  void end_all();
  // Another configuration, for all that begins from now on.
  void reload(Config config);

  // Clients of another worker, which shares the limit, come while there is room, or leave.
  void other_comes();
  void other_leaves();

  void turn();
  // Of a process with several workers: a turn of any of them, in the place of its own.
  std::function<void()> drive = nullptr;
  Loop& loop() { return loop_; }
  Gateway& gateway() { return gateway_; }
  // No operation is left, nor a socket.
  bool over() const { return loop_.operations() == 0 && kernel_.open_fds() == 0; }
  // Every connection has a deadline: with time alone, and the peers doing what they do, `rounds`
  // times the sum of all time-outs ends them all, and nothing is in use then.
  void run_until_idle(uint64_t rounds);
  // The end of the process: nothing is left, not even the listener.
  void stop();

 private:
  void turn_or_drive() { drive ? drive() : turn(); }
  void check_turn();
  void check_snapshots() const;
  void check_clients();
  void check_backlog();
  uint64_t all_timeouts_ms() const;
  void check_pool(const SlotPool& pool) const;
  void check_streams() const;
  void check_groups() const;
  void check_attempts();
  // Of a class of slots that has run out.
  struct Exhausted {
    uint64_t since_ns = 0;  // no slot came back
    uint32_t leased = 0;
  };
  void check_exhausted(const SlotPool& pool, Exhausted& exhausted);
  size_t own_fds() const;
  bool connections_left() const;
  void run_until_alone(uint64_t rounds);

  World& world_;
  Kernel& kernel_;
  Config config_;
  std::unique_ptr<Ring> ring_;
  int listener_;
  Loop loop_;
  MemoryLimit memory_limit_;
  SlotPool sse_event_;
  SlotPool http_response_;
  Memory memory_{sse_event_, http_response_, {}};
  LogQueue log_;
  MessageLog messages_{log_, LogLevel::kError};
  ClientLimit limit_;
  std::shared_ptr<const ConfigSnapshot> snapshot_;
  std::vector<std::weak_ptr<const ConfigSnapshot>> former_snapshots_;
  uint64_t others_ = 0;  // places that other workers' clients have
  Names names_;
  Gateway gateway_;
  uint64_t turns_ = 0;
  uint64_t unaccepted_since_ns_ = 0;
  uint64_t ends_since_ns_ = 0;
  bool scarce_ = false;
  // The most of what any route allows.
  uint64_t window_max_ = 0;
  uint64_t hold_max_ = 0;
  uint64_t overshoot_ = 0;  // of one event of a hub
  Exhausted events_exhausted_;
  Exhausted others_exhausted_;
};

}  // namespace sluice::sim
