// The workers of one process with hubs: a gateway, a loop and a kernel each, on one virtual clock.
// They exchange through the hubs' own rings and wake each other by messages that travel for a
// while. One worker turns at a time: any that has something to do, as the seed draws, and now and
// then one is left out for long. So each order of turns that threads may have comes up. The
// simulation owns it, as long as that process lives.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/timer_wheel.h"
#include "net/hub/exchange.h"
#include "tests/sim/checked_gateway.h"

namespace sluice::sim {

class HubWorkers {
 public:
  struct Options {
    Config config;
    Liberties liberties;
    unsigned workers = 1;
    HubLaneSizes lanes = {};
    double lags = 0;  // a worker gets no turn for a while
  };

  HubWorkers(World& world, const Options& options, const Features& features);
  ~HubWorkers();
  HubWorkers(const HubWorkers&) = delete;
  HubWorkers& operator=(const HubWorkers&) = delete;

  HubProcess& hubs() { return *hubs_; }
  // After its stores are open.
  void serve();

  unsigned count() const { return static_cast<unsigned>(workers_.size()); }
  void connect(unsigned worker, std::shared_ptr<Connection> connection);
  // One turn of one worker, or time goes on.
  void turn();
  uint64_t turns() const { return turns_; }
  void reload(const Config& config);
  // All of its workers, from here on.
  void drain();
  void end_all();
  void abort_all();
  // Each has ended, the home as the last one.
  bool ended() const;
  // Its stores are closed. What its kernels have yet to tell, they tell nobody.
  void close();
  // Nothing is left of what peers wanted, at any worker.
  void run_until_idle();
  // Of every worker's hub, which has to be the same.
  std::vector<HubCounts> counts();

 private:
  // A worker, and what its mailbox has for it.
  struct Worker final : TimerOwner {
    Worker() : mail(this) {}
    void on_timer() override { gateway->gateway().on_hub_news(); }

    std::unique_ptr<Kernel> kernel;
    std::unique_ptr<CheckedGateway> gateway;
    Timer mail;
    uint64_t lags_until_ns = 0;
  };

  CheckedGateway& enter(Worker& worker);
  template <typename Tell>
  void tell_all(Tell tell);
  bool post(unsigned number);
  bool has_work(Worker& worker);
  void end_those_that_are_over();

  World& world_;
  const Options options_;
  const Features features_;
  std::unique_ptr<HubProcess> hubs_;
  std::vector<std::unique_ptr<Worker>> workers_;
  uint64_t turns_ = 0;
  bool draining_ = false;
};

}  // namespace sluice::sim
