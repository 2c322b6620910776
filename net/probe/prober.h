// Active health: asks upstreams now and then whether they are well, as the routes that name them
// want it. Every worker's gateway has one, and that of the first worker asks for the whole process;
// what it learns stands on the board, where all workers read it. An upstream has one probe at a
// time, and all together have no more than limits::kProbesMax; others wait their turn. Starts and
// intervals are jittered by chance that is the process's own, so that gateways do not probe in
// step. Owned by the gateway, used on its worker's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "core/intrusive_list.h"
#include "core/random.h"
#include "core/timer_wheel.h"
#include "net/probe/probe.h"
#include "net/probe/probe_record.h"

namespace sluice {

// Where upstreams are.
class ProbeTargets {
 public:
  // Where to connect to, in the order in which to try; asked for each probe. None: there is
  // nowhere, which is a failure of the upstream's; nullopt: that is not known yet.
  virtual std::optional<std::vector<Address>> addresses_to_probe(const Upstream& upstream) = 0;
  // What a connection to it begins with; null: it is plain.
  virtual std::unique_ptr<WireQueue> wire_to_probe(const Upstream& upstream) = 0;
  // That address has failed, or did not answer.
  virtual void probe_failed_at(const Upstream& upstream, const Address& address) = 0;

 protected:
  ~ProbeTargets() = default;
};

class Prober final : public ProbeOwner {
 public:
  Prober(WorkerContext& context, ProbeTargets& where);
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
  void on_address_failed(uint32_t id, const Address& address) override;

 private:
  // One upstream, as long as it is checked and a probe of it is open.
  struct Target final : TimerOwner {
    Target(Prober& its_prober, UpstreamHealth& health)
        : prober(its_prober), timer(this), record(health) {}
    void on_timer() override { prober.on_due(*this); }

    Prober& prober;
    HealthCheck check;  // none: it is not checked any more
    InUse id_in_use;    // also while a last probe closes
    Timer timer;
    ListLink<Target> queued;
    uint64_t next_ms = 0;    // when to ask again
    Probe* probe = nullptr;  // until it has closed
    ProbeRecord record;
  };

  void take_over_all();
  void take_over(Target& target, const HealthCheck& check);
  void forget_if_over(uint32_t id);
  void ask_at(Target& target, uint64_t at_ms);
  void on_due(Target& target);
  void ask(Target& target);
  Probe* begin_probe(Target& target);
  void leave_alone(Target& target);
  void report(const Target& target, ProbeRecord::Change change) const;
  uint64_t jittered_interval_ms(const Target& target);
  uint64_t now_ms() const { return context_.loop.now_ms(); }

  WorkerContext& context_;
  ProbeTargets& where_;
  ConfigRef snapshot_;  // which the checks are of
  Random random_;
  std::vector<std::unique_ptr<Target>> targets_;   // by their numbers; null: not checked
  IntrusiveQueue<Target, &Target::queued> queue_;  // those that are due and have no place
  unsigned under_way_ = 0;
  bool stopped_ = false;
};

}  // namespace sluice
