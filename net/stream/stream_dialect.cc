// What a stream is in a dialect of language models: what it is taken for, what its events say, how
// it is kept alive, and how it ends. The dialect looks at the upstream's events first, before any
// filter; a stream without one passes none of this.
#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>

#include "core/text.h"
#include "net/base/limits.h"
#include "net/http/semantics.h"
#include "net/llm/error_event.h"
#include "net/llm/heartbeat.h"
#include "net/stream/stream.h"
#include "net/stream/streams.h"
#include "sse/events.h"

namespace sluice {

namespace {

Dialect named_dialect(DialectChoice choice) {
  switch (choice) {
    case DialectChoice::kOpenAi:
      return Dialect::kOpenAi;
    case DialectChoice::kResponses:
      return Dialect::kResponses;
    case DialectChoice::kAnthropic:
      return Dialect::kAnthropic;
    case DialectChoice::kAuto:
    case DialectChoice::kNone:
      break;
  }
  return Dialect::kNone;
}

// About the request itself, so any upstream would say the same.
bool is_clients_fault(std::string_view error) {
  static constexpr std::array<std::string_view, 4> kFaults = {
      "\"invalid_request_error\"", "\"invalid_prompt\"", "\"request_too_large\"",
      "\"content_filter\""};
  return std::ranges::any_of(
      kFaults, [error](std::string_view fault) { return error.find(fault) != error.npos; });
}

uint64_t sequence_number(const EventSight& sight) {
  std::string_view data = sight.data;
  size_t at = sight.members.first(Member::kSequenceNumber);
  if (at == EventMembers::kNone) return 0;
  size_t end = std::min(data.find_first_not_of("0123456789", at), data.size());
  return parse_decimal(data.substr(at, end - at)).value_or(0);
}

}  // namespace

// --- what it is taken for ---

void Stream::choose_dialect(const Head& request, std::string_view path) {
  DialectChoice choice = settings().dialect;
  if (choice == DialectChoice::kNone || settings().framing != EventFraming::kEvent) return;
  Dialect dialect = named_dialect(choice);
  if (choice == DialectChoice::kAuto && request.method() == "POST") {
    dialect = dialect_of_path(path);
    if (dialect == Dialect::kNone && request.find("anthropic-version"))
      dialect = Dialect::kAnthropic;
  }
  if (dialect == Dialect::kNone) return;
  watch(dialect);
  inspection_->request = std::make_unique<RequestReader>();
}

void Stream::watch(Dialect dialect) {
  if (!inspection_) inspection_ = std::make_unique<Inspection>();
  inspection_->llm = std::make_unique<LlmWatch>();
  LlmWatch& llm = *inspection_->llm;
  llm.dialect = dialect;
  llm.named = llm.sure = settings().dialect != DialectChoice::kAuto;
}

// Many SDKs say only in the body that they want an event stream.
std::optional<RequestReader::Insertion> Stream::read_request(std::string_view bytes) {
  bool open = llm() && !wants_event_stream_ && !head_queued_ && !method_is_head_;
  if (!metered() && (!open || request_body_bytes_ > limits::kLlmRequestBytes)) return {};
  RequestReader& request = *inspection_->request;
  std::optional<RequestReader::Insertion> insertion = request.read(bytes);
  if (!open || !request.streams()) return insertion;
  wants_event_stream_ = true;
  uint64_t after_ms = settings().heartbeat_head_after_ms;
  if (after_ms > 0) loop().timers().schedule_earlier(timer_, started_ns_ / 1'000'000 + after_ms);
  return insertion;
}

// The first events of a stream that nothing else has spoken for.
void Stream::look_for_dialect(std::string_view run) {
  if (settings().dialect != DialectChoice::kAuto || settings().framing != EventFraming::kEvent)
    return;
  EventLook& look = streams_.event_look();
  EventReader events(without_mark(staged_and(run)));
  for (Pieces event; look.read_next(events, event);) {
    EventSight sight = look.sight(Dialect::kNone);
    if (sight.role == EventRole::kHeartbeat) continue;
    Dialect dialect = dialect_of_event(sight);
    if (dialect != Dialect::kNone) watch(dialect);
    return;
  }
}

// --- its events ---

// What a gate still holds may open it. Leaves in `run` what may pass or be held. False: nothing
// may.
bool Stream::look_at_held_events(std::string_view& run, uint32_t& events) {
  LlmWatch& llm = *inspection_->llm;
  bool opens = false;
  size_t ahead = held();  // of the first event
  size_t seen = 0;
  EventLook& look = streams_.event_look();
  EventReader reader(staged_and(run));
  for (Pieces event; look.read_next(reader, event); ahead = 0) {
    if (is_late()) {
      drop_late(run, seen, events);
      run = run.substr(0, seen);
      break;
    }
    seen += event.size() - ahead;
    EventSight sight = look_at_event(llm, event);
    if (opens) continue;
    if (sight.role == EventRole::kError && !is_clients_fault(sight.data) &&
        fail_over(Failure::kStatus, Ending::kUpstreamBadResponse, /*nothing_sent=*/false))
      return false;
    opens = sight.role != EventRole::kHeartbeat && sight.role != EventRole::kLifecycle;
  }
  if (run.empty()) return false;
  return !opens || open_gate(GateOutcome::kContent);
}

// It has been read.
EventSight Stream::look_at_event(LlmWatch& llm, const Pieces& event) {
  EventLook& look = streams_.event_look();
  if (!std::exchange(llm.begun, true)) look.read(without_mark(event));
  EventSight sight = look.sight(llm.dialect, &llm.shared_begin);
  if (sight.role == EventRole::kHeartbeat) return sight;
  if (!llm.known) {
    llm.known = true;
    llm.acts = llm.named || !no_transform_;
    Dialect marks = dialect_of_event(sight);
    llm.sure |= marks == llm.dialect;
    if (!llm.named && marks != Dialect::kNone && marks != llm.dialect) {
      llm.dialect = marks;
      llm.sure = true;
      sight = look.sight(marks);
    }
    // A path that other services use, too.
    if (!llm.named && !llm.sure && sight.role == EventRole::kOther) llm.dialect = Dialect::kNone;
    ++context().metrics.dialect_streams[static_cast<unsigned>(llm.dialect)];
  }
  if (llm.dialect == Dialect::kNone) return sight;
  llm.finished |= sight.finishes;
  if (sight.role == EventRole::kEnd && !std::exchange(llm.over, true))
    await_end_behind_last_event();
  llm.failed |= sight.role == EventRole::kError;
  if (llm.dialect == Dialect::kResponses) llm.last_number = sequence_number(sight);
  return sight;
}

// What comes behind the last event, from `from` of the run on, or from what is staged.
void Stream::drop_late(std::string_view run, size_t from, uint32_t& events) {
  uint32_t late = 0;
  EventLook& look = streams_.event_look();
  EventReader reader(from == 0 ? staged_and(run) : Pieces(run.substr(from)));
  for (Pieces event; look.read_next(reader, event);)
    if (look.sight(Dialect::kNone).role != EventRole::kHeartbeat) ++late;
  context().metrics.late_events += late;
  events -= std::min(events, late);
  if (from == 0) attempt_.staged.reset();
}

// An event that is cut through is seen by its begin only.
void Stream::look_at_part() {
  LlmWatch& llm = *inspection_->llm;
  if (llm.dialect == Dialect::kNone) return;
  if (is_late()) {
    ++context().metrics.late_events;
    attempt_.staged.reset();
    attempt_.withheld = true;
    return;
  }
  Pieces part = staged_and({});
  streams_.event_look().read(part);
  EventSight sight = look_at_event(llm, part);
  llm.blind |= sight.type.empty();
  llm.end_due_ms = 0;  // the rest of the last event is yet to come
}

// --- its silences and its end ---

std::string_view Stream::heartbeat() const {
  HeartbeatForm form = settings().heartbeat_form;
  const LlmWatch* its = llm();
  bool in_dialect = its && its->dialect != Dialect::kNone;
  bool open = in_dialect ? its->known && !its->holds && !its->over && !its->failed : events_ > 0;
  return heartbeat_in(dialect(), form, open);
}

// A clean end that its dialect knows to be none. Some servers leave the last event out behind the
// reason why they finished: where nobody has said what they speak, that will do.
bool Stream::lacks_last_event() const {
  const LlmWatch* its = llm();
  if (!its || its->dialect == Dialect::kNone || !receives_events()) return false;
  bool complete = its->over || its->failed || (its->finished && !its->named);
  return its->sure && !its->blind && !complete;
}

// The client need not wait for an upstream that stays silent there, or goes on.
void Stream::await_end_behind_last_event() {
  uint64_t due_ms = loop().now_ms() + limits::kLastEventMs;
  llm()->end_due_ms = due_ms;
  loop().timers().schedule_earlier(timer_, due_ms);
}

// Whatever has become of the upstream since, the client has all of its answer.
void Stream::end_behind_last_event(Ending ending) {
  let_go_of_upstream(ending);
  discard_unfinished();
  response_.finish();
  set_phase(Phase::kDraining);
  client_->response_ready();
}

// Between two events, to a client that has not been told by the upstream.
bool Stream::can_tell_error() const {
  const LlmWatch* its = llm();
  if (!its || its->dialect == Dialect::kNone || !settings().error_event) return false;
  bool allowed = its->named || !no_transform_;
  return allowed && framed_ && !attempt_.torn && !its->over && !its->failed;
}

void Stream::tell_error(Ending ending) {
  std::string event;
  append_error_event(event, dialect(), ending, llm()->known ? llm()->last_number + 1 : 0);
  response_.append_own(event);
  if (tapped()) copy_own_to_taps(event);
  ++context().metrics.error_events[static_cast<unsigned>(dialect())];
}

bool Stream::tell_shut_down() {
  if (ended_ || aborted_ || !head_queued_ || phase_ == Phase::kDraining || !can_tell_error())
    return false;
  fail(Ending::kShutdown);
  return true;
}

}  // namespace sluice
