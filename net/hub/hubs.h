// All hubs of one worker, by name, and the requests that they answer: the source of upstream halves
// for routes with `hub=NAME`. A hub is made with the first configuration that names it, on every
// worker, and stays as long as the process, so that a reload loses nothing. Owned by the gateway,
// used on its worker's thread; outlives its streams.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/loop.h"
#include "core/random.h"
#include "core/spares.h"
#include "core/timer_wheel.h"
#include "net/base/hub_counts.h"
#include "net/context/worker_context.h"
#include "net/filter/json_check.h"
#include "net/hub/block_slots.h"
#include "net/hub/call.h"
#include "net/hub/exchange.h"
#include "net/hub/hub_request.h"
#include "net/hub/local_hub.h"
#include "net/stream/halves.h"

namespace sluice {

class Hubs final : public UpstreamSource, public TurnHook, public TimerOwner {
 public:
  // `process`: null where this is the only worker.
  Hubs(WorkerContext& context, HubProcess* process);
  ~Hubs();
  Hubs(const Hubs&) = delete;
  Hubs& operator=(const Hubs&) = delete;

  // UpstreamSource
  void on_request_head(const Stream& stream, const Head& head) override;
  bool choose(Stream& stream, uint64_t tried) override;
  bool stands(const Stream&) override { return true; }
  void acquire(Stream& stream, bool fresh) override;
  void attempt_answered(const Stream&, int) override {}
  void attempt_ended(const Stream&, const AttemptOutcome&) override {}
  void forget(Stream&) override {}
  const RequestWriter& writer(const Stream& stream) const override;

  // The configuration is another one from here on.
  void reload();
  // Other workers have sent something.
  void on_news();
  // Subscribers are told to come back later, and end.
  void drain();
  // False: other workers may still ask this one, and on_news() tells when they do not.
  bool may_end() const { return process_.may_end(context_.number); }
  std::vector<HubCounts> counts() const;

  void on_turn_end() override;
  void on_timer() override;

  // Whether this worker decides the hubs' logs.
  bool is_home() const { return context_.number == process_.home(); }
  // Made where there is none of that name.
  LocalHub& hub(const std::string& name);

  // --- called by requests ---

  WorkerContext& context() { return context_; }
  Random& random() { return random_; }
  JsonCheck& json_check();
  // An empty string for building an answer in; the next caller's.
  std::string& scratch() {
    scratch_.clear();
    return scratch_;
  }
  void give_back(std::unique_ptr<HubCall> call) { calls_.release(std::move(call)); }
  void bury(HubRequest& request);

 private:
  WorkerContext& context_;
  std::unique_ptr<HubProcess> own_process_;
  HubProcess& process_;
  Random random_;
  Timer timer_;
  BlockSlots slots_;
  std::string scratch_;
  Spares<HubCall> calls_;  // before the requests, which give back to it
  TextCoder coder_;
  std::map<std::string, std::unique_ptr<LocalHub>> hubs_;
  IntrusiveList<HubRequest, &HubRequest::in_all> requests_;
  std::vector<std::unique_ptr<HubRequest>> graveyard_;
  std::optional<JsonCheck> json_check_;
  // Of the stream whose head came last.
  uint64_t called_stream_ = UINT64_MAX;
  std::unique_ptr<HubCall> call_;
  bool call_has_body_ = false;
};

}  // namespace sluice
