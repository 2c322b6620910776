// All streams of one worker: makes them, keeps the live ones, deletes them once they have ended,
// and asks them for memory where there is none left. Owned by the gateway, used on its worker's
// thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "core/loop.h"
#include "core/random.h"
#include "net/coding/decoders.h"
#include "net/coding/encoders.h"
#include "net/context/worker_context.h"
#include "net/filter/filters.h"
#include "net/llm/dialect.h"
#include "net/stream/healing_waits.h"
#include "net/stream/retry_budget.h"
#include "net/stream/staging.h"
#include "net/stream/stream.h"
#include "net/stream/taps.h"

namespace sluice {

class Scripts;
class WorkerScripts;

// Told of each stream's end, while the stream is still whole.
class StreamObserver {
 public:
  virtual void stream_ended(const Stream& stream) = 0;

 protected:
  ~StreamObserver() = default;
};

class Streams final : public TurnHook {
  using List = IntrusiveList<Stream, &Stream::in_live>;

 public:
  Streams(WorkerContext& context, UpstreamSource& upstreams, StreamObserver& observer);
  ~Streams();
  Streams(const Streams&) = delete;
  Streams& operator=(const Streams&) = delete;

  WorkerContext& context() const { return context_; }
  UpstreamSource& upstreams() const { return upstreams_; }
  Staging& staging() { return staging_; }
  RetryBudget& retry_budget() { return retry_budget_; }
  HealingWaits& healing_waits() { return healing_waits_; }
  Random& random() { return random_; }
  Encoders& encoders() { return encoders_; }
  const Encoders& encoders() const { return encoders_; }
  Decoders& decoders() { return decoders_; }
  const Decoders& decoders() const { return decoders_; }
  Taps& taps() { return taps_; }
  // Somebody begins to watch; and now and then: who has left is forgotten.
  TapAnswer add_tap(std::shared_ptr<Tap> tap);
  void sweep_taps();
  // Room for the pieces of an event; the next caller's. It grows for one in more pieces than most
  // have, and stays so.
  std::vector<std::string_view>& pieces() { return pieces_; }

  EventLook& event_look() { return event_look_; }

  // Made when the first event is filtered.
  FilterBench& filter_bench();
  std::vector<FilterCounts> filter_counts() const {
    return filter_bench_ ? filter_bench_->counts : std::vector<FilterCounts>();
  }
  // Made for the first stream of a route with one.
  Scripts& scripts();
  void snapshot(ScriptMetrics& into) const;

  Stream* make(ClientHalf& client);
  // Ends all, now.
  void shut_down();

  // --- called by streams ---

  // The stream's response is framed from here on.
  void event_stream_begun();
  void ended(Stream& stream);
  // One has been resumed there.
  void upstream_back(uint32_t upstream);
  // Deletes the stream at the end of the turn.
  void bury(Stream* stream);

  // The newest first, and then the next ones.
  Stream* first() const { return streams_.front(); }
  static Stream* next(const Stream& stream) { return List::next(stream); }
  size_t live() const { return live_; }
  size_t live_event_streams() const { return live_event_streams_; }

  void on_turn_end() override;

 private:
  void relieve_memory();

  WorkerContext& context_;
  UpstreamSource& upstreams_;
  StreamObserver& observer_;
  Staging staging_;  // before the streams, which give back to it
  List streams_;
  size_t live_ = 0;  // in that list
  size_t live_event_streams_ = 0;
  std::vector<std::unique_ptr<Stream>> graveyard_;
  Stream* relieved_to_ = nullptr;  // the next to be asked for memory, during a round
  uint64_t relieve_again_ms_ = 0;  // no other round before
  uint64_t made_ = 0;
  RetryBudget retry_budget_;
  HealingWaits healing_waits_;
  Random random_;
  Encoders encoders_;
  Decoders decoders_;
  Taps taps_;
  std::vector<std::string_view> pieces_;
  std::unique_ptr<FilterBench> filter_bench_;
  std::unique_ptr<WorkerScripts> scripts_;
  EventLook event_look_;
};

}  // namespace sluice
