// A worker's part of a hub: its log, its readers by topic, and what connects both with the hub's
// home. Of the home's worker it holds the home itself, and carries its changes to all workers. What
// comes wakes the readers of that stream or category; they read on in the flush phase, some in each
// turn, so that many readers do not hold up everybody else. Owned by Hubs, used on its worker's
// thread; lives as long as the worker, whatever is reloaded.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/loop.h"
#include "core/spares.h"
#include "net/base/hub_counts.h"
#include "net/context/worker_context.h"
#include "net/hub/block_slots.h"
#include "net/hub/cursor.h"
#include "net/hub/event_coder.h"
#include "net/hub/exchange.h"
#include "net/hub/groups.h"
#include "net/hub/hub_request.h"
#include "net/hub/lease_holders.h"
#include "net/hub/log.h"
#include "net/hub/page_reads.h"
#include "net/hub/serving_time.h"
#include "net/hub/unstored.h"

namespace sluice {

class LocalHub final : public ChangeSink, public FlushTask {
 public:
  LocalHub(WorkerContext& context, HubProcess& process, HubExchange& exchange, BlockSlots& slots,
           TextCoder& coder);
  ~LocalHub() override;
  LocalHub(const LocalHub&) = delete;
  LocalHub& operator=(const LocalHub&) = delete;

  const Log& log() const { return log_; }
  Log& log() { return log_; }
  uint32_t epoch() const { return epoch_; }
  HubExchange& exchange() { return exchange_; }
  HubCounts& counts() { return counts_; }
  EventCoder& coder() { return coder_; }
  // Of its history, with coded forms and the indexes of all workers.
  uint64_t bytes() const {
    return log_.bytes() + (process_.workers() - 1) * log_.index_bytes() +
           exchange_.coded_bytes.load(std::memory_order_relaxed);
  }
  // Of its store; null: the hub is in memory alone.
  PageReads* pages() { return pages_.get(); }
  HubCounts snapshot() const;

  void set_limits(const StreamSettings& settings);
  // The streams that are fed from sources; at the home `watcher` is to look when one of them has
  // its first subscriber.
  void set_fed(std::set<std::string, std::less<>> streams) { fed_ = std::move(streams); }
  void set_source_watcher(FlushTask* watcher) { source_watcher_ = watcher; }
  bool is_fed(std::string_view stream) const { return fed_.contains(stream); }

  // To ask the home with, empty.
  std::unique_ptr<HomeCall> new_call() { return calls_.acquire(); }
  // Asks the home; the asker hears of it, maybe at once. Where serving readers takes most of the
  // time, an answer leaves behind what the turn has for them, so that a publisher that waits for it
  // does not run ahead of them. False: it cannot be asked, or has stopped, and nobody hears of it.
  bool ask(std::unique_ptr<HomeCall> call);
  // The home has appended what this worker has not heard of yet. wait() tells the request when it
  // has.
  bool behind() const;
  void wait(HubRequest& request);

  // The topic is there as long as it has readers.
  void join(Subscription& subscription, const HubCall::Source& source, bool stays);
  void leave(Subscription& subscription, bool stays);
  // The reader has more to read, in its turn.
  void wake(HubRequest& reader);
  void forget(HubRequest& request);
  LeaseHolders& holders() { return holders_; }
  // The newest id of its source that the store had at the start, for whoever asks first.
  std::string take_stored_origin(const std::string& stream) {
    auto there = origins_.extract(stream);
    return there.empty() ? std::string() : std::move(there.mapped());
  }

  // Looks at what other workers have sent.
  void on_news();
  // Once a second: evicts what is too old.
  void tick();
  void on_turn_end();
  void on_flush() override;

 private:
  // ChangeSink
  void append(Block& block, const EventDraft& draft) override;
  void evict_through(uint64_t global) override;
  void forget() override;

  static std::string key_of(const Topic& topic) {
    return (topic.is_category ? 'c' : 's') + topic.name;
  }
  bool is_home() const { return context_.number == process_.home(); }
  bool wants_source(const HubCall::Source& source) const;
  void look_at_sources();
  void bind(Topic& topic, Topic* told);
  void bind_new(const LogStream& stream);
  static void unbind(Topic* topic);
  void wake_readers(Topic* topic);
  void index(Block& block);
  void drop_longest_empty();
  void show(Block& block);
  void serve(HomeCall& call);
  void settle(std::unique_ptr<HomeCall> call, unsigned worker);
  void answer_from_home(std::unique_ptr<HomeCall> call, unsigned worker);
  void answer(std::unique_ptr<HomeCall> call);
  void give_answer(std::unique_ptr<HomeCall> call);
  void tell_all(const HubChange& change);
  void tell_evicted();
  void wake_workers();
  bool lanes_have_room();
  void wake_waiting();
  // net/hub/local_hub_store.cc
  void restore(HubStore& store);
  void restore_consumers(const HubHistory& history);
  std::optional<PublishResult::Status> refusal() const;
  bool waits_for_store(const HomeCall& call) const;
  void wait_for_store(std::unique_ptr<HomeCall> call, unsigned worker);
  bool store_fails() const;
  void refuse_reads();
  void store_event(Block& block, const EventDraft& draft);
  void store_rest(const HomeCall& call);
  void on_store_news();
  void on_stored(HubBatch& batch);
  void on_not_stored(StoreOutcome outcome);
  void log_state(StoreState state, const std::string& reason);
  // net/hub/local_hub_groups.cc
  void serve_group(HomeCall& call);
  void tell_of_groups();

  WorkerContext& context_;
  HubProcess& process_;
  HubExchange& exchange_;
  const uint32_t epoch_;
  Log log_;
  EventCoder coder_;
  std::unique_ptr<Home> home_;      // null: it is another worker's
  std::unique_ptr<Groups> groups_;  // the same
  uint64_t lease_ms_ = 0;
  LeaseHolders holders_{*this};
  std::unique_ptr<Unstored> unstored_;           // null: nothing is stored
  std::unique_ptr<PageReads> pages_;             // null: there is no store
  StoreState store_state_ = StoreState::kReady;  // as it has told
  Spares<HomeCall> calls_;
  ServingTime serving_;
  std::vector<std::unique_ptr<HomeCall>> answers_;  // publishers', once readers have been served
  size_t asked_ = 0;                                // calls of this worker that have no answer yet
  bool changed_ = false;                            // other workers are to be woken
  uint64_t evicted_ = 0;    // through there, of which they have not been told; 0: they have
  uint64_t forgotten_ = 0;  // streams, the same
  std::unordered_map<std::string, std::unique_ptr<Topic>> topics_;  // by kind and name
  IntrusiveQueue<HubRequest, &HubRequest::in_ready> ready_;
  IntrusiveQueue<HubRequest, &HubRequest::in_ready> waiting_;
  HubCounts counts_;
  std::set<std::string, std::less<>> fed_;
  std::map<std::string, std::string> origins_;  // of the streams that were fed, by stream
  FlushTask* source_watcher_ = nullptr;
};

}  // namespace sluice
