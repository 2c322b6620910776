#include "net/stream/streams.h"

#include <utility>

#include "core/check.h"
#include "core/clock.h"
#include "net/base/limits.h"
#include "net/stream/stream.h"
#include "net/stream/worker_scripts.h"

namespace sluice {

namespace {

// Processes and workers differ, and a simulation repeats itself.
uint64_t seed_of(const WorkerContext& context) {
  uint64_t seed = context.number;
  for (char c : context.config().instance) seed = seed * 31 + static_cast<unsigned char>(c);
  return seed;
}

}  // namespace

Streams::Streams(WorkerContext& context, UpstreamSource& upstreams, StreamObserver& observer)
    : context_(context),
      upstreams_(upstreams),
      observer_(observer),
      staging_(context.memory),
      random_(seed_of(context)),
      encoders_(context.memory_limit),
      decoders_(context.memory_limit),
      taps_(context) {
  pieces_.reserve(limits::kEventPieces);
  context.loop.add_turn_hook(*this);
}

Streams::~Streams() {
  SLUICE_CHECK(streams_.empty());
}

Stream* Streams::make(ClientHalf& client) {
  ++context_.metrics.streams_started;
  // Ids are unique over workers.
  auto* stream = new Stream(*this, client, ++made_ << limits::kWorkerBits | context_.number);
  streams_.push_front(*stream);
  ++live_;
  return stream;
}

void Streams::event_stream_begun() {
  ++context_.metrics.event_streams;
  ++live_event_streams_;
}

void Streams::ended(Stream& stream) {
  ++context_.metrics.streams_ended;
  observer_.stream_ended(stream);
}

void Streams::upstream_back(uint32_t upstream) {
  for (unsigned i = 0; i < limits::kWokenPerResumed; ++i)
    if (Stream* stream = healing_waits_.take(upstream)) stream->on_upstream_back();
}

void Streams::bury(Stream* stream) {
  if (relieved_to_ == stream) relieved_to_ = next(*stream);
  streams_.remove(*stream);
  --live_;
  if (stream->event_stream()) --live_event_streams_;
  graveyard_.emplace_back(stream);
}

void Streams::shut_down() {
  for (Stream* stream = first(); stream;) {
    Stream* after = next(*stream);
    stream->shut_down();
    stream = after;
  }
}

void Streams::on_turn_end() {
  SlotPool& events = context_.memory.sse_event;
  SlotPool& others = context_.memory.http_message;
  uint32_t leased = events.leased() + others.leased();
  graveyard_.clear();
  if (scripts_) scripts_->scripts().collect(context_.snapshot->generation());
  relieve_memory();
  // Slots that came back here have missed this turn's waiters.
  bool some_came_back = events.leased() + others.leased() < leased;
  if (some_came_back && (events.awaited() || others.awaited())) context_.loop.turn_again();
}

// Nothing is left to receive into: events that are held for being incomplete, and requests that are
// kept for being sent again, must not wait for the very slots that they hold, and a peer that takes
// nothing must not keep others waiting. A round over all streams, some in each turn.
void Streams::relieve_memory() {
  const SlotPool& events = context_.memory.sse_event;
  const SlotPool& others = context_.memory.http_message;
  SlotPool* written = context_.memory.json;  // nothing waits for it
  if (!events.exhausted() && !others.exhausted() && !(written && written->write_refused())) return;
  if (!relieved_to_) {
    uint64_t now_ms = context_.loop.now_ms();
    if (now_ms < relieve_again_ms_) return;
    relieve_again_ms_ = now_ms + limits::kRelieveEveryMs;
    relieved_to_ = first();
  }
  for (unsigned i = 0; i < limits::kRelievedPerTurn && relieved_to_; ++i) {
    Stream* stream = std::exchange(relieved_to_, next(*relieved_to_));
    for (const SlotPool* pool : {&events, &others})
      if (pool->exhausted()) stream->relieve_memory(*pool);
    if (written && written->write_refused()) stream->relieve_memory(*written);
  }
  if (relieved_to_)
    context_.loop.turn_again();
  else if (written)
    written
        ->forget_refusal();  // what a refused stream gave back itself is no relief, so not before
}

FilterBench& Streams::filter_bench() {
  if (!filter_bench_)
    filter_bench_ =
        std::make_unique<FilterBench>(context_.number, limits::kFilterBenchBytes, thread_cpu_ns);
  return *filter_bench_;
}

Scripts& Streams::scripts() {
  if (!scripts_) scripts_ = std::make_unique<WorkerScripts>(context_, filter_bench());
  return scripts_->scripts();
}

void Streams::snapshot(ScriptMetrics& into) const {
  if (scripts_) scripts_->snapshot(into);
}

}  // namespace sluice
