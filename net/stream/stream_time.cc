// A stream's clock: its time-outs, those that its client has to keep among them, its heartbeats,
// and the head that is committed early for them.
#include <algorithm>

#include "core/clock.h"
#include "net/base/limits.h"
#include "net/http/semantics.h"
#include "net/stream/stream.h"
#include "net/stream/streams.h"

namespace sluice {

namespace {

constexpr uint64_t kNever = TimerWheel::kNever;
constexpr uint64_t kLetGoMs = 10;

// `since` plus a time-out that is off when 0.
uint64_t deadline(uint64_t since_ms, uint64_t timeout_ms) {
  return timeout_ms == 0 ? kNever : since_ms + timeout_ms;
}

}  // namespace

bool Stream::heartbeat_possible() const {
  bool boundary_known = framed_ || (early_head_ && !attempt_.response_begun);
  return boundary_known && settings().heartbeat_ms > 0 &&
         (!no_transform_ || settings().heartbeat_named_by_route) && phase_ != Phase::kDraining;
}

// To a client that has its head already, an upstream without one is an upstream that is silent.
uint64_t Stream::head_timeout_ms() const {
  return head_queued_ ? settings().stream_idle_timeout_ms : settings().first_byte_timeout_ms;
}

// Until the next paced read; 0: it is due.
uint64_t Stream::pace_left_ms() const {
  auto left_ms = static_cast<int32_t>(paced_until_ms_ - low_bits(loop().now_ms()));
  return left_ms > 0 ? static_cast<uint64_t>(left_ms) : 0;
}

// The earliest time at which something may be due; activity since then is found out by then.
uint64_t Stream::deadline_ms() const {
  uint64_t due = kNever;
  switch (phase_) {
    case Phase::kRequest:
    case Phase::kDraining:
      return kNever;
    case Phase::kHealing:
      due = recovery_->next_attempt_ms;
      break;
    case Phase::kQueued:
    case Phase::kResolving:
    case Phase::kConnecting:
      due = deadline(phase_since_ms_, settings().connect_timeout_ms);
      break;
    case Phase::kAwaitingHead:
      due = deadline(phase_since_ms_, head_timeout_ms());
      break;
    case Phase::kFirstEvent:
    case Phase::kStreaming:
      due = deadline(last_upstream_ms_, settings().stream_idle_timeout_ms);
      break;
  }
  if (has_packed() && may_unpack()) due = loop().now_ms();
  if (paced_) due = std::min(due, loop().now_ms() + pace_left_ms());
  if (healing_waits())
    due = std::min(due, recovery_->healing->broken_since_ms + settings().heal_for_ms);
  if (gate_holds()) due = std::min(due, llm()->until_ms);
  if (is_late() && llm()->end_due_ms != 0) due = std::min(due, llm()->end_due_ms);
  if (heartbeat_possible()) due = std::min(due, last_output_ms_ + settings().heartbeat_ms);
  if (!head_queued_ && wants_event_stream_)
    due = std::min(due, deadline(started_ns_ / 1'000'000, settings().heartbeat_head_after_ms));
  return due;
}

// That a client takes something shows only between two looks, so there are two within the time-out.
// A body that was asked for later than the rest (Expect) is not due from the start.
Stream::Late Stream::late(uint64_t silent_since_ms, uint64_t still_since_ms,
                          uint64_t* look_ms) const {
  const StreamSettings& its = has_route() ? settings() : context().default_settings();
  uint64_t now_ms = loop().now_ms();
  if (now_ms >= deadline(still_since_ms, its.write_timeout_ms)) return Late::kResponse;
  if (its.write_timeout_ms > 0)
    *look_ms = std::min(*look_ms, now_ms + std::max<uint64_t>(its.write_timeout_ms / 2, 1));
  if (request_arrived_) return Late::kNothing;
  uint64_t since_ms = body_due() ? silent_since_ms : now_ms;
  if (told_to_go_on_) since_ms = std::max(since_ms, phase_since_ms_);
  uint64_t due_ms = deadline(since_ms, its.body_timeout_ms);
  if (now_ms >= due_ms) return Late::kBody;
  *look_ms = std::min(*look_ms, due_ms);
  return Late::kNothing;
}

uint64_t Stream::abort_due_ms() const {
  return last_output_ms_ + limits::kAbortDelayMs;
}

bool Stream::abort_due() const {
  return aborted_ && loop().now_ms() >= abort_due_ms();
}

void Stream::on_timer() {
  if (aborted_ && !ended_) {
    if (abort_due())
      client_->response_aborted();
    else
      loop().timers().schedule(timer_, abort_due_ms());
    return;
  }
  if (ended_ || phase_ == Phase::kDraining) return;
  uint64_t now_ms = loop().now_ms();
  if (answer_arrives() && now_ms >= recovery_->arriving->until_ms()) drop_arriving_answer();
  if (retry_) {  // this attempt is over, and its connection is about to let go
    loop().timers().schedule(timer_, now_ms + kLetGoMs);
    return;
  }
  if (end_behind_last_event_due()) {
    end_behind_last_event(Ending::kComplete);
    return;
  }
  if (has_packed()) {
    last_upstream_ms_ = now_ms;  // it is we who do not read
    unpack_on();
    if (ended_ || phase_ == Phase::kDraining) return;
    if (!has_packed() && attempt_.upstream) attempt_.upstream->read_on();
  }
  if (paced_ && pace_left_ms() == 0) {
    paced_ = false;
    if (attempt_.upstream) attempt_.upstream->read_on();
  }
  if (stalled_since_ns_ != 0 || (attempt_.upstream && !attempt_.upstream->receiving())) {
    last_upstream_ms_ = now_ms;
    // The head may have to wait behind the bytes of an earlier attempt.
    if (head_queued_ && phase_ == Phase::kAwaitingHead) phase_since_ms_ = now_ms;
  }
  if (!head_queued_ && wants_event_stream_ && settings().heartbeat_head_after_ms > 0 &&
      now_ms >= started_ns_ / 1'000'000 + settings().heartbeat_head_after_ms)
    commit_early_head();
  if (gate_holds() && now_ms >= llm()->until_ms) (void)open_gate(GateOutcome::kTime);
  if (heartbeat_possible() && now_ms >= last_output_ms_ + settings().heartbeat_ms) send_heartbeat();
  if (healing_waits() && now_ms >= recovery_->healing->broken_since_ms + settings().heal_for_ms) {
    give_up_healing();
  } else if (phase_ == Phase::kHealing && now_ms >= recovery_->next_attempt_ms) {
    on_attempt_due();
  } else if (phase_ == Phase::kQueued &&
             now_ms >= deadline(phase_since_ms_, settings().connect_timeout_ms)) {
    lose_silent_attempt(Ending::kUnavailable);
  } else if (phase_ == Phase::kResolving &&
             now_ms >= deadline(phase_since_ms_, settings().connect_timeout_ms)) {
    lose_silent_attempt(Ending::kUpstreamUnresolved);
  } else if (phase_ == Phase::kConnecting &&
             now_ms >= deadline(phase_since_ms_, settings().connect_timeout_ms)) {
    lose_silent_attempt(Ending::kUpstreamConnectTimeout);
  } else if (phase_ == Phase::kAwaitingHead &&
             now_ms >= deadline(phase_since_ms_, head_timeout_ms())) {
    lose_silent_attempt(head_queued_ ? Ending::kUpstreamIdleTimeout
                                     : Ending::kUpstreamFirstByteTimeout);
  } else if ((phase_ == Phase::kFirstEvent || phase_ == Phase::kStreaming) &&
             now_ms >= deadline(last_upstream_ms_, settings().stream_idle_timeout_ms)) {
    lose_silent_attempt(Ending::kUpstreamIdleTimeout);
  }
  if (ended_ || phase_ == Phase::kDraining) return;
  uint64_t next = deadline_ms();
  if (next != kNever) loop().timers().schedule(timer_, std::max(next, now_ms + 1));
}

void Stream::commit_early_head() {
  if (!request_arrived_ || (no_transform_ && !settings().heartbeat_named_by_route)) {
    wants_event_stream_ = false;  // not for this one
    return;
  }
  if (context().says_close()) keep_alive_ = false;
  std::string& text = context().scratch();
  WrittenHead written =
      client_->writer().write_early_head(keep_alive_, context().http_date(), text);
  (void)response_.append_head(text, /*ours=*/true);
  promise(written);
  status_ = 200;
  head_queued_ = early_head_ = true;
  framed_ = settings().framing != EventFraming::kOff;
  if (framed_) streams_.event_stream_begun();
  if (streams_.taps().any()) join_taps();
  last_output_ms_ = loop().now_ms();
  window_since_ms_ = low_bits(last_output_ms_);
  if (settings().heartbeat_ms > 0) send_heartbeat();
  client_->response_ready();
}

void Stream::send_heartbeat() {
  // Only between events, and only into silence: a client that is behind has bytes to read.
  last_output_ms_ = loop().now_ms();
  bool head_alone = early_head_ && !attempt_.response_begun && response_body_bytes_ == 0;
  bool silent = !response_.has_work() || head_alone;
  if (!silent || attempt_.torn || attempt_.staged || !attempt_.framer.at_boundary()) return;
  if (gate_holds() && response_body_bytes_ > 0) llm()->mark_is_late = true;
  if (response_body_bytes_ == 0) attempt_.late_bom = 1;
  std::string_view text = heartbeat();
  response_.append_static(text);
  if (tapped() && !text.starts_with(':')) copy_own_to_taps(text);
  ++context().metrics.heartbeats;
  client_->response_ready();
}

}  // namespace sluice
