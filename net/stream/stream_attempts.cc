// A stream's attempts: how it gets an upstream, what is kept so that another attempt can follow,
// and when one does.
#include <utility>

#include "core/check.h"
#include "net/stream/stream.h"
#include "net/stream/streams.h"

namespace sluice {

// Without room for the head another attempt gets the request as it was first written.
void Stream::keep_head(const Head& head) {
  if (!keeps_request() || head.body() != BodyKind::kNone || !facts_.keep_head(head)) return;
  uint32_t charged = 0;
  if (!context().memory_limit.charge(&charged, static_cast<uint32_t>(facts_.head_bytes())))
    facts_.drop_head();
}

void Stream::give_head_back() {
  if (!owns_head()) return;
  auto charged = static_cast<uint32_t>(facts_.head_bytes());
  context().memory_limit.charge(&charged, 0);
  facts_.drop_head();
}

// False: it has been refused, or waits.
bool Stream::write_request_anew() {
  std::unique_ptr<Head> head = context().heads.acquire();
  facts_.restore_head(*head);
  bool written = write_request(*head);
  context().heads.release(std::move(head));
  return written;
}

void Stream::ask_for_upstream(bool fresh) {
  if (!upstream_asked_) streams_.retry_budget().request_begins(upstream().id);
  upstream_asked_ = true;
  attempt_.under_way = true;
  SLUICE_CHECK(outgoing_);
  streams_.upstreams().acquire(*this, fresh);
}

void Stream::on_queued() {
  set_phase(Phase::kQueued);
}

void Stream::on_resolving() {
  set_phase(Phase::kResolving);
}

void Stream::on_upstream(UpstreamHalf& upstream, bool reused) {
  attempt_.upstream = &upstream;
  attempt_.reused = reused;
  outgoing_->bytes.keep_for_replay((reused && repeatable_) || (keeps_request() && !owns_head()));
  set_phase(reused ? Phase::kAwaitingHead : Phase::kConnecting);
  upstream.request_ready();
}

void Stream::on_upstream_connected() {
  set_phase(Phase::kAwaitingHead);
}

void Stream::on_no_upstream(Ending ending, const char* reason) {
  if (!request_arrived_) keep_alive_ = false;  // what is still to come will not be read
  lose_attempt(ending, reason, /*nothing_sent=*/true);
}

// A kept-alive connection that ended before any byte of the response was stale, most likely; but
// the upstream may have read the request, and a proxy must not have it executed twice (RFC 9110
// section 9.2.2). So it goes out again, once, on a fresh connection, where nothing of it was
// written, or where twice is as good as once.
void Stream::on_upstream_lost(Ending ending, const char* reason, bool nothing_sent) {
  if (answer_arrives()) drop_arriving_answer();
  if (!hears_upstream()) return;
  end_attempt(ending);
  if (attempt_.reused && !attempt_.response_begun && !retried_) {
    retry_ = nothing_sent || (repeatable_ && outgoing_ && outgoing_->bytes.kept_for_replay());
    if (retry_) return;
    if (!repeatable_) reason = "not_idempotent";
  }
  if (!unpacked_to(ending, reason)) return;
  lose_attempt(ending, reason, nothing_sent);
}

void Stream::upstream_released() {
  attempt_.upstream = nullptr;
  if (retry_ && !ended_) {
    retry_ = false;
    retried_ = true;
    if (recovery_ && recovery_->next_attempt_ms != 0)
      await_attempt();
    else
      begin_next_attempt();
    return;
  }
  // Nobody is left to send it, unless what waits packed has yet to show that another upstream is to
  // be asked.
  if (!has_packed() || !at_hand()) outgoing_.reset();
  delete_if_unused();
}

bool Stream::replace_attempt(Ending because) {
  bool whole = framed_ && settings().framing == EventFraming::kEvent && !attempt_.torn;
  if (head_queued_ && !whole) return false;
  if (!hears_upstream() || !attempt_.upstream) return false;
  if (!at_hand()) return false;
  end_attempt(because);
  leave_attempt();
  return true;
}

// What has not come whole of an event is dropped. The next attempt begins once this one's
// connection has let go.
void Stream::leave_attempt() {
  if (llm()) drop_held(GateOutcome::kFailedOver);
  discard_unfinished();
  if (waits_for_connection()) streams_.upstreams().forget(*this);
  retry_ = attempt_.upstream != nullptr;
  if (!retry_)
    await_attempt();
  else if (!answer_arrives())
    attempt_.upstream->cancel();
}

void Stream::clear_attempt() {
  bool mark_is_late = attempt_.late_bom > 0 || response_body_bytes_ > 0;
  if (recovery_) recovery_->arriving.reset();
  stop_unpacking();
  attempt_ = {};
  attempt_.late_bom = mark_is_late ? 1 : 0;
}

void Stream::begin_next_attempt() {
  bool fails_over = recovery_ && recovery_->tried != 0 && !healing_waits();
  if (!fails_over && attempt_.reused && !attempt_.response_begun)
    ++context().metrics.upstream_retries;
  clear_attempt();
  if (fails_over && !begin_retry()) return;
  if (owns_head()) {
    outgoing_.reset();
    if (!write_request_anew()) return;
  } else if (outgoing_->bytes.kept_for_replay()) {
    outgoing_->bytes.rewind();
  }
  ask_for_upstream(true);
}

void Stream::end_attempt(Ending ending) {
  if (!std::exchange(attempt_.under_way, false)) return;
  AttemptOutcome outcome{.ending = ending, .status = attempt_.status};
  outcome.stale = attempt_.reused && !attempt_.response_begun;
  streams_.upstreams().attempt_ended(*this, outcome);
}

void Stream::let_go_of_upstream(Ending ending) {
  if (llm()) drop_held(GateOutcome::kEnded);
  end_attempt(ending);
  end_wait();
  if (waits_for_connection()) streams_.upstreams().forget(*this);
  retry_ = false;
  if (attempt_.upstream) attempt_.upstream->cancel();
}

}  // namespace sluice
