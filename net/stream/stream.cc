#include "net/stream/stream.h"

#include <algorithm>

#include "core/check.h"
#include "core/clock.h"
#include "net/base/limits.h"
#include "net/http/semantics.h"
#include "net/stream/streams.h"

namespace sluice {

static_assert(sizeof(Stream) <= 384, "the allocator's next class is 448 bytes");

namespace {

// Copied where it waits, so that it does not pin a whole slot.
bool is_small(const Lease& lease, std::string_view bytes) {
  return bytes.size() <= lease.size() / limits::kSpillFraction;
}

}  // namespace

Stream::Stream(Streams& streams, ClientHalf& client, uint64_t id)
    : streams_(streams),
      client_(&client),
      response_(context().memory, context().memory.sse_event),
      phase_since_ms_(loop().now_ms()),
      timer_(this),
      snapshot_(context().snapshot),
      id_(id),
      started_ns_(loop().now_ns()) {}

WorkerContext& Stream::context() const {
  return streams_.context();
}

Loop& Stream::loop() const {
  return context().loop;
}

Stream::~Stream() {
  SLUICE_CHECK(!in_live.linked());
  SLUICE_CHECK(!recovery_ || !recovery_->in_wait.linked());
}

void Stream::set_phase(Phase phase) {
  phase_ = phase;
  phase_since_ms_ = loop().now_ms();
  uint64_t next = deadline_ms();
  if (next != TimerWheel::kNever) loop().timers().schedule_earlier(timer_, next);
}

// --- the response ---

void Stream::on_response_begun() {
  attempt_.response_begun = true;
  if (!outgoing_) return;
  if (!keeps_request() || outgoing_->bytes.kept_body_bytes() > kept_body_max()) keep_no_request();
}

void Stream::on_response_head(const Head& head) {
  if (!hears_upstream()) return;
  uint64_t now_ms = loop().now_ms();
  last_upstream_ms_ = now_ms;
  if (head.status() < 200) {
    if (++attempt_.interim_heads > limits::kInterimHeadsMax) {
      fail(Ending::kUpstreamBadResponse, "too_many_interim_heads");
      return;
    }
    if (client_->writer().knows_interim() && !head_queued_) {
      std::string& text = context().scratch();
      client_->writer().write_interim_head(head, text);
      if (response_.backlog() == 0) last_output_ms_ = now_ms;
      // Where there is no memory for it, the client does without.
      if (response_.append_head(text)) client_->response_ready();
      if (head.status() == 100 && awaits_go_ahead_) {
        awaits_go_ahead_ = false;
        told_to_go_on_ = true;
        phase_since_ms_ = now_ms;  // now it is the upstream that waits
      }
    }
    return;
  }
  attempt_.status = static_cast<uint16_t>(head.status());
  streams_.upstreams().attempt_answered(*this, head.status());
  if (without_content() && fails_over_from(head)) return;
  if (healing_waits()) {
    on_comeback(head);
    return;
  }
  if (metered()) begin_metering(head);
  if (hold_until_content(head) || hold_for_usage(head)) return;
  if (head_queued_) {
    if (head.status() == 200 && brings_events(head)) {
      no_transform_ |= has_no_transform(head);
      settle_request();
      set_phase(Phase::kFirstEvent);
    } else {
      fail(Ending::kUpstreamBadResponse);  // a 200 event stream has been promised
    }
    return;
  }
  commit_response(head);
}

void Stream::commit_response(const Head& head) {
  if (!settle_encoding(head)) return;
  status_ = static_cast<uint16_t>(head.status());
  bool has_body = head.body() != BodyKind::kNone;
  bool readable = unpacking() || is_event_stream(head);
  bool event_stream = readable && settings().framing != EventFraming::kOff;
  framed_ = has_body && event_stream;
  no_transform_ |= has_no_transform(head);
  // An answer before the request is complete: what is still to come cannot be told from the next.
  if (context().says_close() || !request_arrived_) keep_alive_ = false;
  ResponseRewrite rewrite;
  rewrite.keep_alive = keep_alive_;
  rewrite.event_stream = event_stream;
  rewrite.date = context().http_date();
  std::unique_ptr<Packer> packer = packer_for(head);
  if (packer) rewrite.coding = coding_;
  rewrite.decoded = unpacking() != nullptr;
  rewrite.varies = varies(head);
  std::string usage = usage_field();
  rewrite.usage = usage;
  std::string& text = context().scratch();
  WrittenHead written = client_->writer().write_head(head, rewrite, text);
  if (!response_.append_head(text)) {
    framed_ = false;
    fail(Ending::kOverloaded);
    return;
  }
  promise(written);
  if (framed_) streams_.event_stream_begun();
  if (!framed_) response_.spill_to(context().memory.http_message);
  if (packer) response_.pack(std::move(packer));
  if (streams_.taps().any()) join_taps();
  if (framed_ && filtered() && context().memory.json) response_.spill_to(*context().memory.json);
  settle_request();
  head_queued_ = true;
  last_output_ms_ = loop().now_ms();
  window_since_ms_ = low_bits(last_output_ms_);
  set_phase(Phase::kFirstEvent);
  client_->response_ready();
}

// What the client has been told of the body's end.
void Stream::promise(const WrittenHead& written) {
  response_.set_framing(written.framing);
  close_delimited_ = written.ends_with_connection;
  if (close_delimited_) keep_alive_ = false;
}

void Stream::on_response_body(const Lease& lease, std::string_view bytes) {
  if (!hears_upstream()) {
    if (answer_arrives()) append_answer(bytes);
    return;
  }
  note_body(bytes.size());
  if (unpacking())
    unpack(lease, bytes);
  else
    append_body(lease, bytes);
}

void Stream::on_response_event(const Lease& lease, std::string_view event) {
  bool plain = framed_ && !inspection_ && !resumes_;
  if (!plain) {
    on_response_body(lease, event);
    return;
  }
  if (!hears_upstream()) return;
  note_body(event.size());
  adapt_window(event.size());
  append_run(lease, event, 1);
}

void Stream::note_body(size_t bytes) {
  if (phase_ == Phase::kFirstEvent) phase_ = Phase::kStreaming;
  last_upstream_ms_ = loop().now_ms();
  response_body_bytes_ += bytes;
}

void Stream::append_body(const Lease& lease, std::string_view bytes) {
  adapt_window(bytes.size());
  if (attempt_.late_bom > 0) bytes = without_late_bom(bytes);
  if (metered()) meter_body(lease, bytes);
  if (held_answer() && append_held_answer(bytes)) return;
  if (!receives_events()) {
    append_whole(lease, bytes);
    response_grew();
    return;
  }
  Framer::Result found = attempt_.framer.feed(bytes);
  if (found.whole > 0) {
    std::string_view run = bytes.substr(0, found.whole);
    if (resumes_)
      append_resumed(lease, run, found.events);
    else
      append_run(lease, run, found.events);
  }
  // An event may have had the attempt replaced; what follows it was of the former one.
  if (found.whole < bytes.size() && hears_upstream() && attempt_.response_begun)
    append_unfinished(lease, bytes.substr(found.whole));
}

// What leaves in this turn goes by reference; what has to wait is copied where it is small, so
// that it does not pin a whole slot.
void Stream::append_response(const Lease& lease, std::string_view bytes) {
  if (!lease) {
    if (!bytes.empty() && !response_.append_written(bytes)) fail(Ending::kOverloaded);
    return;
  }
  if (response_.batch_under_way() && is_small(lease, bytes)) bytes = response_.append_copy(bytes);
  if (!bytes.empty()) response_.append(lease, bytes);
}

// A byte order mark counts only as the first bytes of a stream (html.spec.whatwg.org 9.2.5). Behind
// a heartbeat of ours, or an attempt before, it would be content, so it is left out there: the one
// byte sequence that is ever dropped from an event stream.
std::string_view Stream::without_late_bom(std::string_view bytes) {
  constexpr std::string_view kBom = "\xEF\xBB\xBF";
  while (attempt_.late_bom > 0 && !bytes.empty()) {
    size_t seen = attempt_.late_bom - 1U;
    if (bytes.front() != kBom[seen]) {
      attempt_.framer.feed(kBom.substr(0, seen));
      if (seen > 0) staged().append_static(kBom.substr(0, seen));
      attempt_.late_bom = 0;
    } else {
      bytes.remove_prefix(1);
      attempt_.late_bom = seen + 1 == kBom.size() ? 0 : static_cast<uint8_t>(attempt_.late_bom + 1);
    }
  }
  return bytes;
}

// Whole events, behind what was staged of the first.
void Stream::append_run(const Lease& lease, std::string_view run, uint32_t events) {
  if (events_ == 0 && !llm()) look_for_dialect(run);
  if (notes_ids_) {
    if (attempt_.torn)
      note_ids_behind_torn(run);
    else
      note_ids(staged_and(run));
  }
  if (metered()) meter_run(events);
  if (!pass_on(lease, run, events)) return;
  if (notes_ids_) tell_late_gap();
  if (events > 0) note_events(events);
  // An upstream that gives ids does so from the first events on.
  if (notes_ids_ && !healing() && events_ > limits::kEventsWithoutIdMax) {
    notes_ids_ = false;
    give_head_back();
  }
  response_grew();
}

// A part of an event whose end is yet to come.
void Stream::append_unfinished(const Lease& lease, std::string_view bytes) {
  size_t lines = 0;
  if (settings().framing == EventFraming::kLine) lines = bytes.find_last_of("\r\n") + 1;
  if (lines > 0) {
    append_whole(lease, bytes.substr(0, lines));
    response_grew();
    bytes.remove_prefix(lines);
  }
  if (bytes.empty()) return;
  attempt_.behind_cr = bytes.ends_with('\r');
  if (attempt_.torn && metered()) meter_torn(bytes, /*begins=*/false);
  if (attempt_.withheld) return;
  if (attempt_.torn) {
    append_response(lease, bytes);
    response_grew();
    return;
  }
  stage(lease, bytes);
  if (held() > settings().event_hold) tear_held();
}

// Bytes that complete what was staged, if anything was.
void Stream::append_whole(const Lease& lease, std::string_view bytes) {
  if (tapped()) copy_to_taps(bytes);
  append_staged();
  append_response(lease, bytes);
  attempt_.torn = false;
}

void Stream::stage(const Lease& lease, std::string_view bytes) {
  Chain& chain = staged();
  if (is_small(lease, bytes)) bytes = response_.stage_copy(chain, bytes);
  if (!bytes.empty()) chain.append(lease, bytes);
}

void Stream::append_staged() {
  if (!attempt_.staged) return;
  response_.append_staged(attempt_.staged->bytes);
  attempt_.staged.reset();
}

Chain& Stream::staged() {
  if (!attempt_.staged) attempt_.staged = streams_.staging().take();
  return attempt_.staged->bytes;
}

void Stream::relieve_memory(const SlotPool& pool) {
  if (!retry_ && outgoing_ && outgoing_->bytes.keeps_in(pool)) keep_no_request();
  if (gate_holds() && llm()->held && llm()->held->bytes.holds_in(pool) &&
      !open_gate(GateOutcome::kBytes))
    return;
  if (attempt_.staged && attempt_.staged->bytes.holds_in(pool)) tear_held();
  if (waits_for_client(pool) || waits_for_upstream(pool)) shed();
}

bool Stream::waits_for_client(const SlotPool& pool) const {
  // Of a head alone it is known when it was written.
  uint64_t since_ms = unsent_since_ns_ != 0 ? unsent_since_ns_ / 1'000'000 : last_output_ms_;
  bool holds = response_.holds_in(pool) || (unpacking() && unpacking()->unpacker.holds_in(pool));
  return response_.backlog() > 0 && holds && loop().now_ms() - since_ms >= limits::kShedAfterMs;
}

bool Stream::waits_for_upstream(const SlotPool& pool) const {
  return request_backlog() > 0 && outgoing_->bytes.holds_in(pool) &&
         low_bits(loop().now_ms()) - outgoing_->moved_ms >= limits::kShedAfterMs;
}

// A client that still waits for its answer is told; one that does not read is not waited for.
void Stream::shed() {
  if (ended_) return;
  if (!head_queued_) {
    fail(Ending::kOverloaded);
    return;
  }
  let_go_of_upstream(Ending::kOverloaded);
  end(Ending::kOverloaded);
  client_->drop();
}

void Stream::tear_held() {
  if (notes_ids_ && !may_tear()) return;
  if (gate_holds() && !open_gate(GateOutcome::kBytes)) return;
  if (llm()) look_at_part();
  attempt_.torn = true;
  if (metered()) meter_torn(staged_and({}), /*begins=*/true);
  if (attempt_.withheld || (filtered() && withhold_held())) return;
  if (tapped()) streams_.taps().drop(inspection_->taps, 1);
  ++context().metrics.torn_events;
  append_staged();
  response_grew();
}

void Stream::response_grew() {
  if (unsent_since_ns_ == 0) unsent_since_ns_ = loop().now_ns();
  client_->response_ready();
}

void Stream::note_events(uint32_t count) {
  uint64_t now_ns = loop().now_ns();
  Metrics& metrics = context().metrics;
  metrics.events += count;
  if (events_ == 0) {
    uint64_t after_us = (now_ns - started_ns_) / 1000;
    first_event_us_ = static_cast<uint32_t>(std::min<uint64_t>(after_us, UINT32_MAX));
    metrics.time_to_first_event.add(now_ns - started_ns_);
  } else {
    metrics.event_gap.add(now_ns - last_event_ns_);
  }
  if (count > 1) metrics.event_gap.add(0, count - 1);
  last_event_ns_ = now_ns;
  events_ += count;
  unsent_events_ += count;
}

void Stream::on_response_end() {
  if (answer_arrives()) recovery_->kept = std::move(recovery_->arriving);
  if (!hears_upstream() || !unpacked_to(Ending::kComplete, "")) return;
  if (notes_ids_ && settings().heal == Heal::kAlways && !is_over() &&
      heal(Failure::kEnded, Ending::kComplete))
    return;
  if (lacks_last_event()) {
    end_attempt(Ending::kUpstreamTruncated);
    lose_attempt(Ending::kUpstreamTruncated, "no_last_event", /*nothing_sent=*/false);
    return;
  }
  if (gate_holds() && !open_gate(GateOutcome::kEnded)) return;
  if (held_answer() && !give_held_answer(/*whole=*/true)) return;
  // An event that the upstream ended without its blank line is the client's to discard
  // (html.spec.whatwg.org 9.2.6): bytes are never altered. No filter has seen it.
  if (filtered() || is_over()) discard_unfinished();
  append_staged();
  if (attempt_.late_bom > 1)
    response_.append_static(std::string_view("\xEF\xBB").substr(0, attempt_.late_bom - 1U));
  on_over();
}

// The upstream has nothing more to say.
void Stream::on_over() {
  end_attempt(Ending::kComplete);
  response_.finish();
  set_phase(Phase::kDraining);
  client_->response_ready();
}

// Paced reads: what comes until the next one leaves together. Neither the first event nor the rest
// of one waits for it, nor does the upstream's end behind the last one.
void Stream::on_read_dry() {
  if (settings().pace_ms == 0 || !hears_upstream() || events_ == 0 || is_late() ||
      !attempt_.framer.at_boundary())
    return;
  uint64_t until_ms = loop().now_ms() + settings().pace_ms;
  paced_ = true;
  paced_until_ms_ = low_bits(until_ms);
  loop().timers().schedule_earlier(timer_, until_ms);
}

uint64_t Stream::response_credit() {
  if (ended_ || phase_ == Phase::kDraining || paced_) return 0;
  uint64_t now_ns = loop().now_ns();
  // Before the window is compared with anything: it may be smaller now.
  if (stalled_since_ns_ != 0 && now_ns - stalled_since_ns_ > limits::kFastWindowMs * 1'000'000)
    reset_window();
  // Staged bytes of an unfinished event are not charged, so that holding never waits for itself;
  // --event-hold bounds them.
  uint64_t backlog = response_.backlog();
  // While others wait for a slot, this stream has to send its held bytes first.
  bool gives_way = backlog > 0 && others_wait_for_slots();
  if (backlog * 2 > window_ || gives_way) {
    if (stalled_since_ns_ == 0) {
      stalled_since_ns_ = now_ns;
      ++context().metrics.stalls;
      if (context().memory_tight()) reset_window();
    }
    return 0;
  }
  if (has_packed()) return 0;
  if (stalled_since_ns_ != 0) {
    context().metrics.stall_ns += now_ns - stalled_since_ns_;
    stalled_since_ns_ = 0;
    if (metered()) inspection_->metering->clumps.read_on_late();
    last_upstream_ms_ = loop().now_ms();  // it was we who did not listen
  }
  // The head decides which class of slots the body goes to: one receive, and then anew. So it is
  // where reads are paced.
  bool one_read = phase_ <= Phase::kAwaitingHead || (framed_ && settings().pace_ms > 0);
  return one_read ? 1 : window_ - backlog;
}

bool Stream::others_wait_for_slots() const {
  const Memory& memory = context().memory;
  return framed_ ? memory.sse_event.has_waiters() : memory.http_message.has_waiters();
}

// Judged over more bytes than the kernel takes for a client that reads nothing.
void Stream::adapt_window(size_t received) {
  window_used_ += static_cast<uint32_t>(received);
  if (window_used_ < std::max(limits::kWindowTrialBytes, window_)) return;
  uint64_t windows = window_used_ / window_;
  window_used_ = 0;
  uint64_t now_ms = loop().now_ms();
  uint64_t lasted_ms = low_bits(now_ms) - window_since_ms_;
  window_since_ms_ = low_bits(now_ms);
  if (lasted_ms < windows * limits::kFastWindowMs && !context().memory_tight())
    set_window(uint64_t{window_} * 2);
  else if (lasted_ms > windows * limits::kSlowWindowMs)
    set_window(window_ / 2);
}

void Stream::set_window(uint64_t bytes) {
  bool was_fast = fast();
  window_ =
      static_cast<uint32_t>(std::clamp(bytes, settings().buffer_size, settings().buffer_size_max));
  if (client_ && fast() != was_fast) client_->fit_send_buffer();
}

// The client is not as fast as its kernel was.
void Stream::reset_window() {
  set_window(0);
  window_used_ = 0;
  window_since_ms_ = low_bits(loop().now_ms());
}

void Stream::on_client_sent(uint64_t body_bytes) {
  context().metrics.bytes_to_clients += body_bytes;
  uint64_t now_ns = loop().now_ns();
  last_output_ms_ = loop().now_ms();
  if (unsent_since_ns_ != 0 && body_bytes > 0) {
    if (unsent_events_ > 0)
      context().metrics.residence.add(now_ns - unsent_since_ns_, unsent_events_);
    unsent_events_ = 0;
    // A client that takes a byte at a time keeps its slot as one does that takes nothing.
    if (response_.gave_way()) unsent_since_ns_ = response_.backlog() > 0 ? now_ns : 0;
  }
  if (aborted_) loop().timers().schedule_earlier(timer_, abort_due_ms());
  if (has_packed() || stalled_since_ns_ != 0) go_on_reading();
}

// The client takes more. What waits packed comes first, but not from here: a send may be being
// looked at.
void Stream::go_on_reading() {
  if (has_packed())
    loop().timers().schedule_earlier(timer_, loop().now_ms());
  else if (attempt_.upstream)
    attempt_.upstream->read_on();
}

// --- endings ---

void Stream::refuse(int status, std::string_view detail, Ending ending, const char* reason,
                    std::string_view location) {
  // With the whole answer on its way there is nothing left to say.
  if (ended_ || phase_ == Phase::kDraining) return;
  let_go_of_upstream(ending);
  if (head_queued_) {
    fail(ending, reason);
    return;
  }
  reason_ = reason;
  if (!request_arrived_ && phase_ != Phase::kRequest) keep_alive_ = false;
  std::string& text = context().scratch();
  ProblemResponse problem{.status = status, .detail = detail, .close = !keep_alive_};
  problem.head_only = method_is_head_;
  problem.date = context().http_date();
  problem.location = location;
  // Spread, so that clients do not come back all at once.
  problem.retry_after_s =
      status == 503 ? 1 + static_cast<int>((id_ >> limits::kWorkerBits) % 3) : 0;
  keep_alive_ &= client_->writer().write_problem(problem, text);
  (void)response_.append_head(text, /*ours=*/true);
  response_.finish();
  head_queued_ = true;
  status_ = static_cast<uint16_t>(status);
  ending_ = ending;
  last_output_ms_ = loop().now_ms();
  set_phase(Phase::kDraining);
  client_->response_ready();
}

void Stream::refuse_late(Refusal refusal) {
  ++context().metrics.refusals[static_cast<unsigned>(refusal)];
  bool head = refusal == Refusal::kHeaderTimeout;
  refuse(408,
         head ? "The request's head did not arrive in time."
              : "The request's body did not arrive in time.",
         Ending::kClientTimedOut, refusal_name(refusal));
}

void Stream::fail(Ending ending, const char* reason) {
  if (ended_ || aborted_) return;
  if (!head_queued_) {
    refuse(ending_status(ending), ending_detail(ending), ending, reason);
    return;
  }
  reason_ = reason;
  let_go_of_upstream(ending);
  discard_unfinished();
  if (can_tell_error()) tell_error(ending);
  if (response_.has_work()) last_output_ms_ = loop().now_ms();
  aborted_ = true;
  if (!abort_due()) loop().timers().schedule_earlier(timer_, abort_due_ms());
  keep_alive_ = false;
  ending_ = ending;
  set_phase(Phase::kDraining);
  client_->response_aborted();
}

// The part of an event that nobody will complete.
void Stream::discard_unfinished() {
  stop_unpacking();
  context().metrics.discarded_bytes += held();
  attempt_.staged.reset();
}

void Stream::on_client_gone(Ending ending) {
  if (ended_ || (ending == Ending::kClientLeft && begin_drain())) return;
  if (waits_for_connection() || attempt_.upstream) {
    ++context().metrics.upstream_cancels[static_cast<unsigned>(phase_)];
    bool had_some = attempt_.response_begun || response_body_bytes_ > 0;
    if (!had_some) ++context().metrics.cancelled_before_first_byte;
  }
  let_go_of_upstream(ending);
  end(aborted_ ? ending_ : ending);
}

void Stream::on_client_done() {
  end(ending_);
}

void Stream::shut_down() {
  if (ended_) return;
  let_go_of_upstream(Ending::kShutdown);
  end(Ending::kShutdown);
  client_->drop();
}

void Stream::end(Ending ending) {
  SLUICE_CHECK(!ended_);
  ended_ = true;
  ending_ = ending;
  attempt_.staged.reset();
  stop_unpacking();
  if (streams_.taps().any()) tell_taps_of_end();
  loop().timers().cancel(timer_);
  give_head_back();
  if (recovery_) {
    recovery_->healing.reset();
    recovery_->kept.reset();
    recovery_->arriving.reset();
  }
  if (stalled_since_ns_ != 0) context().metrics.stall_ns += loop().now_ns() - stalled_since_ns_;
  if (inspection_) end_scripts();
  streams_.ended(*this);
}

void Stream::client_released() {
  if (drains() && inspection_->metering->drain->has_connection()) {
    inspection_->metering->drain->connection_released();
    if (has_packed() || stalled_since_ns_ != 0) go_on_reading();
    if (!ended_) return;
  }
  client_ = nullptr;
  delete_if_unused();
}

void Stream::delete_if_unused() {
  if (ended_ && !client_ && !attempt_.upstream) streams_.bury(this);
}

const Upstream* Stream::upstream_tried() const {
  return upstream_asked_ ? &upstream() : nullptr;
}

std::string_view Stream::upstream_url() const {
  return upstream_asked_ ? std::string_view(upstream().url) : std::string_view();
}

std::string Stream::client_ip() const {
  if (!facts_.client().empty()) return std::string(facts_.client());
  return client_ ? client_->client_ip() : "";
}

}  // namespace sluice
