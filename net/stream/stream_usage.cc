// Where a stream meets its usage: the request is read, and made to ask for usage, on its way to the
// upstream; events and bodies are read on their way to the client, before any filter sees them.
// What is booked follows at the stream's end (net/observe/usage_text.h). A stream whose usage
// nobody counts passes none of this.
#include <array>
#include <optional>
#include <string>
#include <utility>

#include "core/text.h"
#include "net/base/limits.h"
#include "net/http/semantics.h"
#include "net/http/text.h"
#include "net/stream/stream.h"
#include "net/stream/streams.h"

namespace sluice {

namespace {

constexpr std::string_view kBlanks = "                                                ";
static_assert(kBlanks.size() >= RequestReader::kInsertionBytesMax);

bool has_json_type(const Head& head) {
  std::string_view type = head.find("content-type").value_or("");
  type = type.substr(0, type.find(';'));
  while (!type.empty() && is_blank(type.back())) type.remove_suffix(1);
  constexpr std::string_view kSuffix = "+json";
  return equals_ignoring_case(type, "application/json") ||
         (type.size() > kSuffix.size() &&
          equals_ignoring_case(type.substr(type.size() - kSuffix.size()), kSuffix));
}

// A field vouches for the body's bytes, so they stay as they are.
bool is_sealed(const Head& head) {
  for (const char* field : {"content-md5", "digest", "content-digest", "repr-digest", "signature",
                            "x-amz-content-sha256"})
    if (head.find(field)) return true;
  return false;
}

}  // namespace

// Any request with a JSON body may go to a model. Where path or route say that one does, no field
// of the client's keeps it from being counted. OpenAI's completions have to be asked for usage; the
// extra chunk that this brings can be kept from the client where events are seen.
// False: there is no memory for it, and to count nothing would be worse than to refuse the request.
bool Stream::choose_usage(const Head& head, std::string_view path) {
  if (!settings().usage || head.body() == BodyKind::kNone || is_path_without_cost(path))
    return true;
  bool to_model = dialect() != Dialect::kNone || dialect_of_path(path) != Dialect::kNone;
  bool json = has_json_type(head);
  if (!to_model && !json) return true;
  bool packed = applied_coding(head) != AppliedCoding::kNone;
  if (!inspection_) inspection_ = std::make_unique<Inspection>();
  auto& request = inspection_->request;
  if (!request) request = std::make_unique<RequestReader>();
  if (packed) request->take_as_packed();
  auto made = std::make_unique<Metering>(context().memory_limit, *request);
  if (!made->charge()) {
    keep_alive_ = false;
    fail(Ending::kOverloaded);
    return false;
  }
  inspection_->metering = std::move(made);
  Metering& metering = *inspection_->metering;
  metering.to_model = to_model;
  metering.asks = dialect() == Dialect::kOpenAi && head.method() == "POST" && json && !packed &&
                  settings().framing == EventFraming::kEvent && !is_sealed(head);
  // How much longer the body gets is known when it has passed. Blanks make up for the rest, so its
  // length can be told before, and it is not held.
  if (metering.asks && head.body() == BodyKind::kLength && head.content_length() > 0)
    metering.growth_left = RequestReader::kInsertionBytesMax;
  return true;
}

void Stream::append_asking_for_usage(const Lease& lease, std::string_view bytes) {
  std::optional<RequestReader::Insertion> insertion = read_request(bytes);
  if (!insertion || !metered() || !inspection_->metering->asks) {
    append_request(lease, bytes);
    return;
  }
  Metering& metering = *inspection_->metering;
  append_request(lease, bytes.substr(0, insertion->at));
  if (ended_ || phase_ == Phase::kDraining || !outgoing_) return;
  outgoing_->bytes.append_static(insertion->text);
  if (metering.growth_left > 0)
    metering.growth_left -= static_cast<uint32_t>(insertion->text.size());
  append_request(lease, bytes.substr(insertion->at));
}

void Stream::pad_request() {
  if (ended_ || phase_ == Phase::kDraining || !outgoing_) return;
  Metering& metering = *inspection_->metering;
  outgoing_->bytes.append_static(kBlanks.substr(0, std::exchange(metering.growth_left, 0)));
}

// An event stream of which whole events are not held, or which came in lines, or which its client
// gets packed, is read as one text. Of an attempt before this one the client has nothing.
void Stream::begin_metering(const Head& response) {
  using Reads = Metering::Reads;
  Metering& metering = *inspection_->metering;
  metering.answer.reset();
  metering.packed.reset();
  metering.meter = UsageMeter(*inspection_->request);
  metering.reads = Reads::kNothing;
  if (brings_events(response) && settings().framing == EventFraming::kEvent)
    metering.reads = Reads::kEvents;
  else if (has_json_type(response) || has_event_stream_type(response))
    metering.reads = Reads::kBody;
  AppliedCoding coding = applied_coding(response);
  if (metering.reads == Reads::kBody && coding != AppliedCoding::kNone && !unpacking())
    metering.packed = std::make_unique<PackedAnswer>(streams_.decoders(), coding, context().memory);
}

void Stream::meter_body(const Lease& lease, std::string_view bytes) {
  Metering& metering = *inspection_->metering;
  if (metering.drain) metering.drain->on_body(bytes.size());
  if (metering.reads != Metering::Reads::kBody) return;
  if (metering.packed)
    metering.packed->read(lease, bytes, metering.meter);
  else
    metering.meter.on_body(bytes);
}

// True: the client does not get it. It has left, or it has not asked for what we have.
bool Stream::meter_event(const EventSight& sight) {
  Metering& metering = *inspection_->metering;
  if (metering.reads != Metering::Reads::kEvents) return false;
  UsageMeter::Seen seen = metering.meter.on_event(sight.data, sight.members, loop().now_ns());
  UsageCounts& counts = context().metrics.usage;
  if (seen.has_content) {
    if (metering.meter.times().count == 1)
      counts.time_to_first_content.add(loop().now_ns() - started_ns_);
    else
      counts.content_gap.add(seen.gap_ns);
  }
  if (metering.drain) return true;
  const RequestReader& request = metering.meter.request();
  bool unasked = metering.asks && request.inserted() && !request.asks_for_usage();
  if (!seen.is_usage_alone || !unasked) return false;
  ++counts.hidden_chunks;
  return true;
}

void Stream::meter_torn(const Pieces& bytes, bool begins) {
  Metering& metering = *inspection_->metering;
  if (metering.reads != Metering::Reads::kEvents) return;
  for (Pieces rest = bytes; !rest.empty(); rest.remove_prefix(rest.first().size())) {
    metering.meter.on_torn_event(rest.first(), begins);
    begins = false;
  }
}

void Stream::meter_run(uint32_t events) {
  Metering& metering = *inspection_->metering;
  if (metering.drain) return;
  metering.clumps.on_read(events, unsent_events_, response_.batch_under_way(),
                          settings().pace_ms > 0, context().metrics.usage.clumped);
}

// --- an answer that is no stream tells of its usage in its head ---

// True: the client gets this head with the whole body, or once that is too long to be held.
bool Stream::hold_for_usage(const Head& head) {
  if (!metered() || head_queued_ || wants_event_stream_) return false;
  Metering& metering = *inspection_->metering;
  bool answers = head.status() < 300 && head.body() != BodyKind::kNone && has_json_type(head);
  if (!answers || metering.reads != Metering::Reads::kBody) return false;
  metering.answer = KeptAnswer::of(context().memory_limit, head, upstream_index, /*until_ms=*/0,
                                   limits::kUsageAnswerBytes);
  if (!metering.answer) return false;
  set_phase(Phase::kFirstEvent);
  return true;
}

// False: they are to be appended as ever.
bool Stream::append_held_answer(std::string_view bytes) {
  return held_answer()->append(bytes) || !give_held_answer(/*whole=*/false);
}

// False: the stream has failed.
bool Stream::give_held_answer(bool whole) {
  Metering& metering = *inspection_->metering;
  std::unique_ptr<KeptAnswer> answer = std::move(metering.answer);
  metering.whole = whole;
  bool streams = phase_ == Phase::kStreaming;
  commit_response(answer->head());
  if (ended_ || aborted_ || phase_ == Phase::kDraining) return false;
  if (streams) phase_ = Phase::kStreaming;
  if (!response_.append_written(answer->body())) {
    fail(Ending::kOverloaded);
    return false;
  }
  response_grew();
  return true;
}

std::string Stream::usage_field() const {
  std::string text;
  if (!usage() || !inspection_->metering->whole) return text;
  UsageMeter::Bill its = bill();
  for (size_t kind = 0; kind < kTokenKinds; ++kind) {
    if (!its.usage.has(static_cast<TokenKind>(kind))) continue;
    text += kTokenKindNames[kind];
    text += '=';
    append_number(text, its.usage.tokens[kind]);
    text += ", ";
  }
  text += "source=";
  text += kUsageSourceNames[static_cast<unsigned>(its.source)];
  return text;
}

// --- a client that has left ---

// The upstream may finish what its client no longer waits for. False: it is cancelled.
bool Stream::begin_drain() {
  if (!metered() || settings().drain_for_usage_ms == 0 || drains_count() >= limits::kUsageDrainsMax)
    return false;
  bool works =
      (attempt_.upstream || has_packed()) && hears_upstream() && phase_ >= Phase::kAwaitingHead;
  if (!works || !request_arrived_ || request_backlog() > 0 || context().draining) return false;
  auto& drain = inspection_->metering->drain;
  drain = std::make_unique<UsageDrain>(*this, *client_,
                                       loop().now_ms() + settings().drain_for_usage_ms);
  client_ = drain.get();
  go_on_reading();
  return true;
}

uint32_t& Stream::drains_count() const {
  return context().metrics.usage.drains_live;
}

void Stream::end_drain() {
  if (!client_) return;
  if (!ended_) {
    bool complete = response_.finished() && !aborted_;
    ++context().metrics.usage.drains[complete ? 0 : 1];
    let_go_of_upstream(Ending::kClientLeft);
    end(Ending::kClientLeft);
  }
  if (inspection_->metering->drain->has_connection()) return;
  client_ = nullptr;
  delete_if_unused();
}

// A request of which nothing says that it goes to a model, and whose answer was none of a model, is
// not booked.
const UsageMeter* Stream::usage() const {
  if (!metered()) return nullptr;
  const Metering& metering = *inspection_->metering;
  bool booked = metering.to_model || dialect() != Dialect::kNone || metering.meter.has_seen_any();
  return booked ? &metering.meter : nullptr;
}

// An upstream that had not answered yet when its client left has worked on the request all the
// same.
UsageMeter::Bill Stream::bill() const {
  const Metering& metering = *inspection_->metering;
  bool answered = attempt_.status >= 200 && attempt_.status < 300;
  bool works = attempt_.status == 0 && phase_ == Phase::kAwaitingHead &&
               ending_side(ending_) == Side::kClient;
  return metering.meter.bill(works || (answered && metering.reads != Metering::Reads::kNothing));
}

}  // namespace sluice
