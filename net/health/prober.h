// Active health: asks upstreams now and then whether they are well, as the routes that name them
// want it. Every worker's gateway has one, and that of the first worker asks for the whole process;
// what it learns stands on the board, where all workers read it. An upstream has one probe at a
// time, and all together have no more than limits::kProbesMax; others wait their turn. Starts and
// intervals are jittered by chance that is the process's own, so that gateways do not probe in
// step. Owned by the gateway, used on its worker's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "core/intrusive_list.h"
#include "core/random.h"
#include "core/timer_wheel.h"
#include "net/health/probe.h"
#include "net/health/probe_record.h"

namespace sluice {

class Prober final : public ProbeOwner {
 public:
  // Where to connect to, in the order in which to try; asked for each probe. None: nobody knows,
  // which is a failure of the upstream's.
  using FindAddresses = std::function<std::vector<Address>(const Upstream&)>;

  // What a connection begins with to an upstream that is reached like that; null: it is plain.
  using MakeWire =
      std::function<std::unique_ptr<WireQueue>(const std::shared_ptr<const TlsClient>& tls)>;

  Prober(WorkerContext& context, FindAddresses find_addresses, MakeWire make_wire);
  Prober(const Prober&) = delete;
  Prober& operator=(const Prober&) = delete;

  // The configuration is another one from here on.
  void reload();
  // Nobody is asked any more; what is known stays on the board.
  void stop();
  unsigned under_way() const { return under_way_; }

  // ProbeOwner
  void on_probe_answered(uint32_t id, int status) override;
  void on_probe_failed(uint32_t id, EjectReason reason) override;
  void on_probe_closed(uint32_t id) override;

 private:
  // One upstream, once it has been checked.
  struct Target final : TimerOwner {
    Target(Prober& its_prober, UpstreamHealth& health)
        : prober(its_prober), timer(this), record(health) {}
    void on_timer() override { prober.on_due(*this); }

    Prober& prober;
    HealthCheck check;  // none: it is not checked any more
    Timer timer;
    ListLink<Target> queued;
    uint64_t next_ms = 0;    // when to ask again
    Probe* probe = nullptr;  // until it has closed
    ProbeRecord record;
  };

  void take_over_all();
  void take_over(Target& target, const HealthCheck& check);
  void ask_at(Target& target, uint64_t at_ms);
  void on_due(Target& target);
  void ask(Target& target);
  Probe* begin_probe(Target& target);
  void leave_alone(Target& target);
  void report(const Target& target, ProbeRecord::Change change) const;
  uint64_t jittered_interval_ms(const Target& target);
  uint64_t now_ms() const { return context_.loop.now_ms(); }

  WorkerContext& context_;
  FindAddresses find_addresses_;
  MakeWire make_wire_;
  ConfigRef snapshot_;  // which the checks are of
  Random random_;
  std::vector<std::unique_ptr<Target>> targets_;   // by their numbers; null: never checked
  IntrusiveQueue<Target, &Target::queued> queue_;  // those that are due and have no place
  unsigned under_way_ = 0;
  bool stopped_ = false;
};

}  // namespace sluice
