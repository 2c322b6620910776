// A stream's content gate: its head and its events are held until one has content, so that before
// that another upstream may take this one's place, or the client may get a status. Bounded by time
// and bytes; then it opens. What is held lies outside the client's outbox, in a chain of staging.
#include <string>
#include <utility>

#include "net/base/limits.h"
#include "net/http/semantics.h"
#include "net/stream/stream.h"
#include "net/stream/streams.h"
#include "sse/events.h"

namespace sluice {

// True: the client gets this head with the first content.
bool Stream::hold_until_content(const Head& head) {
  LlmWatch* its = llm();
  if (!its || settings().gate == Gate::kOff || its->dialect == Dialect::kNone) return false;
  bool events = head.status() == 200 && head.body() != BodyKind::kNone && brings_events(head);
  if (!events || !without_content()) return false;
  if (!head_queued_) {
    auto bytes = static_cast<uint32_t>(head.bytes_used());
    if (!context().memory_limit.charge(&its->head_charged, bytes)) return false;
    its->head = std::make_unique<Head>(head);
  }
  its->holds = true;
  its->body_bytes_before = response_body_bytes_;
  its->until_ms = loop().now_ms() + settings().gate_time_ms;
  no_transform_ |= has_no_transform(head);
  set_phase(Phase::kFirstEvent);
  return true;
}

void Stream::hold_events(LlmWatch& llm, const Lease& lease, std::string_view run, uint32_t events) {
  llm.events += events;
  if (!llm.held)
    llm.held = std::move(attempt_.staged);
  else if (attempt_.staged)
    llm.held->bytes.append_chain(attempt_.staged->bytes);
  attempt_.staged.reset();
  if (!llm.held) llm.held = streams_.staging().take();
  Chain& chain = llm.held->bytes;
  if (run.size() <= lease.size() / limits::kSpillFraction) run = chain.append_copy(run);
  if (!run.empty()) chain.append(lease, run);
  if (chain.bytes() > limits::kGateBytes) (void)open_gate(GateOutcome::kBytes);
}

// False: the stream has failed.
bool Stream::open_gate(GateOutcome outcome) {
  LlmWatch& llm = *inspection_->llm;
  ++context().metrics.gates[static_cast<unsigned>(outcome)];
  llm.holds = false;
  context().memory_limit.charge(&llm.head_charged, 0);
  std::unique_ptr<Head> head = std::move(llm.head);
  if (head_queued_)
    settle_request();
  else
    commit_response(*head);
  if (ended_ || aborted_ || phase_ == Phase::kDraining) return false;
  if (llm.begun) phase_ = Phase::kStreaming;
  append_held(llm);
  return !ended_ && !aborted_ && phase_ != Phase::kDraining;
}

// What was held goes the way that it would have gone. Filters look at a copy, since events may
// lie across slots here; they do so once a stream.
void Stream::append_held(LlmWatch& llm) {
  StagedPtr held = std::move(llm.held);
  if (!held) return;
  StagedPtr unfinished = std::move(attempt_.staged);
  attempt_.staged = std::move(held);
  if (notes_ids_) note_ids(staged_and({}));
  if (filtered() || metered() || llm.mark_is_late) {
    Pieces events = staged_and({});
    if (llm.mark_is_late) events = without_mark(events);
    std::string copy(events.size(), '\0');
    copy = events.flat(copy);
    attempt_.staged.reset();
    append_inspected(Lease(), copy, /*events=*/nullptr);
  } else {
    append_whole(Lease(), {});
  }
  attempt_.staged = std::move(unfinished);
  if (ended_ || aborted_) return;
  if (llm.events > 0) note_events(std::exchange(llm.events, 0));
  response_grew();
}

// It belongs to an attempt that is given up: the next one begins as this one did.
void Stream::drop_held(GateOutcome outcome) {
  LlmWatch& llm = *inspection_->llm;
  if (!llm.holds) return;
  ++context().metrics.gates[static_cast<unsigned>(outcome)];
  if (llm.held) context().metrics.discarded_bytes += llm.held->bytes.bytes();
  context().memory_limit.charge(&llm.head_charged, 0);
  response_body_bytes_ = llm.body_bytes_before;
  if (llm.mark_is_late) attempt_.late_bom = 1;  // the next attempt's is, too
  llm.mark_is_late = false;
  llm.holds = llm.begun = llm.known = llm.finished = llm.failed = llm.blind = false;
  llm.sure = llm.named;
  llm.head.reset();
  llm.held.reset();
  llm.events = 0;
}

}  // namespace sluice
