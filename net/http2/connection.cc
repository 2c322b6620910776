#include "net/http2/connection.h"

#include <algorithm>
#include <array>
#include <poll.h>
#include <utility>

#include "core/check.h"
#include "core/socket.h"
#include "net/base/limits.h"

namespace sluice {

namespace {

// RFC 9113 section 6.
enum FrameType : uint8_t {
  kData = 0,
  kHeaders = 1,
  kPriority = 2,
  kResetStream = 3,
  kSettings = 4,
  kPushPromise = 5,
  kPing = 6,
  kGoAway = 7,
  kWindowUpdate = 8,
  kContinuation = 9,
  kPriorityUpdate = 16,  // RFC 9218 section 7.1
};
constexpr uint8_t kEndStream = 1;
constexpr uint64_t kOrphansEveryMs = limits::kShedAfterMs / 8;

Http2Session::Limits limits_of(const WorkerContext& context) {
  const Config& config = context.config();
  return {.streams_max = static_cast<uint32_t>(config.http2_max_streams),
          .stream_window = static_cast<uint32_t>(config.http2_stream_window),
          .connection_window = static_cast<uint32_t>(config.http2_connection_window),
          .header_list_bytes = static_cast<uint32_t>(config.max_header_size)};
}

// Resets by which we say that the peer has broken a rule; the others are our own affair.
bool is_provoked(uint32_t code) {
  return code != static_cast<uint32_t>(Http2Code::kNoError) &&
         code != static_cast<uint32_t>(Http2Code::kInternalError) &&
         code != static_cast<uint32_t>(Http2Code::kCancel);
}

}  // namespace

Http2ClientConn::Http2ClientConn(AcceptedKeeper& keeper, Streams& streams, ConnStart start,
                                 std::string_view first)
    : AcceptedConn(streams.context().memory, std::move(start)),
      keeper_(keeper),
      streams_(streams),
      stream_window_(static_cast<uint32_t>(streams.context().config().http2_stream_window)),
      session_(*this, limits_of(streams.context())),
      guard_(loop().now_ms()),
      idle_since_ms_(loop().now_ms()) {
  ++context().metrics.http2_connections;
  if (uint64_t timeout_ms = context().default_settings().header_timeout_ms; timeout_ms > 0)
    schedule(loop().now_ms() + timeout_ms);
  if (!first.empty()) feed({}, first);
  wake();
}

Http2ClientConn::~Http2ClientConn() = default;

// --- what comes ---

void Http2ClientConn::on_bytes(const Lease& lease, std::string_view bytes, uint64_t) {
  context().metrics.bytes_from_clients += bytes.size();
  feed(lease, bytes);
}

void Http2ClientConn::feed(const Lease& lease, std::string_view bytes) {
  if (given_up_ || closing()) return;
  lease_ = &lease;
  Http2Session::Received received = session_.receive(bytes);
  lease_ = nullptr;
  touched_ = true;
  wake();
  if (closing()) return;
  if (!charge(peers_bytes())) {
    head_.reset();
    (void)charge(0);
    give_up(Http2Code::kEnhanceYourCalm);
  } else if (received != Http2Session::Received::kWell) {
    refuse_bytes(received);
  }
}

// What the peer makes the codec keep (tables, heads in part, frames that want an answer), and the
// head that is arriving.
size_t Http2ClientConn::peers_bytes() const {
  size_t ours = limits::kHttp2CodecBytes + all_.size() * limits::kHttp2CodecStreamBytes;
  size_t codec = session_.bytes_held();
  return (codec > ours ? codec - ours : 0) + (head_ ? head_->bytes_held() : 0);
}

// What the codec itself has no answer to.
void Http2ClientConn::refuse_bytes(Http2Session::Received why) {
  Metrics& metrics = context().metrics;
  if (why == Http2Session::Received::kEndless) {
    ++metrics.http2_floods[static_cast<unsigned>(Http2Flood::kContinuation)];
    give_up(Http2Code::kEnhanceYourCalm);
    return;
  }
  if (why == Http2Session::Received::kNotHttp2)
    ++metrics.bad_requests[static_cast<unsigned>(ParseError::kNotHttp)];
  else if (why == Http2Session::Received::kFlood)
    ++metrics.http2_floods[static_cast<unsigned>(Http2Flood::kPing)];
  end_all(Ending::kClientLeft, CloseMode::kOrderly);
}

void Http2ClientConn::on_frame_begun(const Http2FrameHeader& frame, bool late) {
  switch (frame.type) {
    case kData:
      if (late)
        flood(Http2Flood::kLateData);
      else if (frame.size == 0 && (frame.flags & kEndStream) == 0)
        flood(Http2Flood::kEmptyData);
      break;
    case kHeaders:
    case kPushPromise:
    case kContinuation:
      break;
    case kGoAway:
      flood(Http2Flood::kGoAway);
      break;
    case kResetStream:
      flood(Http2Flood::kReset);
      break;
    case kSettings:
      flood(Http2Flood::kSettings);
      break;
    case kPing:
      flood(Http2Flood::kPing);
      break;
    case kWindowUpdate:
      flood(Http2Flood::kWindowUpdate);
      break;
    case kPriority:
    case kPriorityUpdate:
      flood(Http2Flood::kPriority);
      break;
    default:
      flood(Http2Flood::kUnknown);
  }
}

void Http2ClientConn::on_frame_forbidden(Http2Code code) {
  if (!given_up_) give_up(code);
}

void Http2ClientConn::flood(Http2Flood kind) {
  if (given_up_ || guard_.allow(loop().now_ms())) return;
  ++context().metrics.http2_floods[static_cast<unsigned>(kind)];
  give_up(Http2Code::kEnhanceYourCalm);
}

// Says why, if the client takes it in time, and hears nothing more.
void Http2ClientConn::give_up(Http2Code code) {
  given_up_ = true;
  given_up_ms_ = loop().now_ms();
  schedule(given_up_ms_ + limits::kLingerMs);
  touched_ = true;
  session_.terminate(code);
  leave_all(Ending::kClientLeft);
  wake();
}

void Http2ClientConn::on_head_begun(int32_t /*id*/, bool trailers) {
  head_.reset();
  if (trailers) return;
  head_ = std::make_unique<Http2RequestHead>(context().head_limits());
  head_since_ms_ = loop().now_ms();
  if (uint64_t timeout_ms = context().default_settings().header_timeout_ms; timeout_ms > 0)
    schedule(head_since_ms_ + timeout_ms);
}

void Http2ClientConn::on_field(std::string_view name, std::string_view value) {
  if (head_) head_->add(name, value);
}

void Http2ClientConn::on_bad_head() {
  head_.reset();
  head_since_ms_ = 0;
  ++context().metrics.bad_requests[static_cast<unsigned>(ParseError::kBadField)];
}

void Http2ClientConn::on_head(int32_t id, bool ends) {
  std::unique_ptr<Http2RequestHead> arrived = std::move(head_);
  head_since_ms_ = 0;
  if (!arrived || given_up_) return;
  // The client will read that it was not processed, and may send it elsewhere.
  if (drain_ == Drain::kRefusing) {
    session_.reset(id, Http2Code::kRefusedStream);
    return;
  }
  // It may try again, which is no fault (section 8.7), and has sent some of its body by then.
  if (!all_.empty() && !takes_place()) {
    ++context().metrics.http2_no_place;
    guard_.earn(ends ? 1 : 1 + limits::kHttp2LateFrames);
    session_.reset(id, Http2Code::kRefusedStream);
    return;
  }
  served_ = true;
  client_ip();  // while there is a peer to ask about
  all_.push_back(std::make_unique<Http2Stream>(*this, id));
  Http2Stream& half = *all_.back();
  half.place = all_.size() - 1;
  half.carry(*streams_.make(half));
  session_.attach(id, &half);
  half.set_urgency(take_urgency(id, arrived->urgency()));

  Stream& stream = half.stream();
  std::unique_ptr<Head> head = context().heads.acquire();
  ParseError error = arrived->finish(ends, *head);
  if (error == ParseError::kNone) {
    stream.on_request_head(std::move(head), /*keep_alive=*/true);
  } else {
    ++context().metrics.bad_requests[static_cast<unsigned>(error)];
    stream.keep_facts(*head);
    context().heads.release(std::move(head));
    std::string detail = std::string("The request is not valid: ") + parse_error_name(error) + ".";
    stream.refuse(parse_error_status(error), detail, Ending::kRefused, parse_error_name(error));
  }
  if (ends) half.on_request_end();
  // As answers in HTTP/1 say that their connection ends.
  if (context().says_close()) drain();
  uint64_t next_ms = UINT64_MAX;
  check_stream(half, loop().now_ms(), &next_ms);
  if (next_ms != UINT64_MAX) schedule(next_ms);
}

// The connection's own place serves one request.
bool Http2ClientConn::takes_place() {
  if (context().config().serves_only_hubs()) return true;
  if (!keeper_.take_place_for_request()) return false;
  ++places_;
  return true;
}

void Http2ClientConn::on_body(Http2Stream& stream, std::string_view bytes) {
  stream.on_body(*lease_, bytes);
}

void Http2ClientConn::on_reset(bool ours, uint32_t code) {
  auto& resets = ours ? context().metrics.http2_resets_sent : context().metrics.http2_resets;
  ++resets[http2_code_index(code)];
  if (ours && is_provoked(code)) flood(Http2Flood::kProvoked);
}

// By an error it says that it takes no answer any more (RFC 9113 section 6.8).
void Http2ClientConn::on_peer_ends(uint32_t code) {
  if (code != static_cast<uint32_t>(Http2Code::kNoError) && !given_up_)
    give_up(Http2Code::kNoError);
}

void Http2ClientConn::on_priority(Http2Stream& stream, std::string_view priority) {
  stream.set_urgency(urgency_of(priority));
}

// It counts once the stream begins, in the place of its head's own word (RFC 9218 section 7.1). Of
// more streams than may be under way the first are forgotten.
void Http2ClientConn::on_early_priority(int32_t id, std::string_view priority) {
  std::erase_if(early_, [id](const EarlyPriority& one) { return one.id == id; });
  if (early_.size() >= limits::kHttp2EarlyPriorities) early_.erase(early_.begin());
  early_.push_back({id, urgency_of(priority)});
}

// Of the stream that begins; those before it will not.
int Http2ClientConn::take_urgency(int32_t id, int otherwise) {
  for (const EarlyPriority& one : early_)
    if (one.id == id) otherwise = one.urgency;
  std::erase_if(early_, [id](const EarlyPriority& one) { return one.id <= id; });
  return otherwise;
}

void Http2ClientConn::on_end_said(uint32_t code) {
  ++context().metrics.http2_goaways[http2_code_index(code)];
}

uint64_t Http2ClientConn::receive_credit() {
  // What comes may want an answer, and so wait for those before to leave.
  bool behind = own_.size() - own_at_ > limits::kHttp2OwnBytes ||
                session_.queued() > limits::kHttp2QueuedFrames;
  return given_up_ || behind ? 0 : limits::kHttp2ReceiveBytes;
}

uint32_t Http2ClientConn::watch_events() {
  return receive_ended() ? 0 : POLLRDHUP;
}

// --- what leaves ---

void Http2ClientConn::has_work(Http2Stream& stream) {
  if (!stream.ready) {
    stream.ready = true;
    ready_.push_back(&stream);
  }
  wake();
}

void Http2ClientConn::prepare_flush() {
  if (send_in_flight() || !parts_.empty() || !session_.over()) return;
  leave_all(Ending::kClientLeft);
  linger(limits::kLingerMs, limits::kLingerMs);
}

bool Http2ClientConn::has_output() {
  return !parts_.empty() || touched_ || !ready_.empty() || session_.wants_to_send();
}

size_t Http2ClientConn::build_batch(std::span<iovec> pieces) {
  if (parts_.empty()) frame_batch();
  size_t used = 0;
  size_t own_at = own_at_;
  for (size_t at = part_at_; at < parts_.size(); ++at) {
    const Part& part = parts_[at];
    if (part.stream && part.size > 0) {
      used += part.stream->describe(pieces.subspan(used));
    } else if (!part.stream) {
      pieces[used++] = {own_.data() + own_at, part.size};
      own_at += part.size;
    }
  }
  return used;
}

void Http2ClientConn::frame_batch() {
  touched_ = false;
  batch_since_ms_ = loop().now_ms();
  batch_bytes_ = batch_pieces_ = 0;
  ++batch_;
  most_urgent_ = holds_back_ = kLeastUrgent;
  held_back_ = false;
  framing_.swap(ready_);
  for (Http2Stream* stream : framing_) stream->ready = false;
  for (Http2Stream* stream : framing_) stream->frame();
  framing_.clear();
  if (!session_.frame()) {
    end_all(Ending::kClientLeft, CloseMode::kReset);
    return;
  }
  if (held_back_ || !has_room()) {  // there may be more, once this has left
    touched_ = true;
    raise_one();
  }
  parts_left();  // ends whose streams' bytes left before
}

// Streams that are less urgent wait for the others, but not for ever: of several batches one begins
// with the one that has waited longest.
void Http2ClientConn::raise_one() {
  if (++urgent_batches_ < limits::kHttp2UrgentBatches) return;
  urgent_batches_ = 0;
  Http2Stream* longest = nullptr;
  for (const auto& stream : all_) {
    if (stream->urgency() <= most_urgent_ || !stream->awaits_turn()) continue;
    if (!longest || batch_ - stream->turn() > batch_ - longest->turn()) longest = stream.get();
  }
  if (longest) longest->raise();
}

bool Http2ClientConn::has_room() {
  return batch_bytes_ < limits::kSendBatchBytes &&
         batch_pieces_ + 2 + limits::kHttp2StreamPieces <= limits::kSendBatchPieces;
}

void Http2ClientConn::on_output(std::string_view bytes) {
  own_.append(bytes);
  batch_bytes_ += bytes.size();
  if (!parts_.empty() && !parts_.back().stream) {
    parts_.back().size += bytes.size();
  } else {
    parts_.push_back({nullptr, bytes.size()});
    ++batch_pieces_;
  }
  if (ends_with_head_) parts_.push_back({std::exchange(ends_with_head_, nullptr), 0});
}

Http2Session::Body Http2ClientConn::next_body(Http2Stream& stream, size_t size_max) {
  if (!has_room()) return {Http2Session::Body::Kind::kFull};
  // Somebody more urgent has more, for which the next batch is.
  if (stream.urgency() > holds_back_) {
    held_back_ = true;
    return {Http2Session::Body::Kind::kFull};
  }
  std::array<iovec, limits::kHttp2StreamPieces> pieces;
  size_t used = 0;
  Http2Session::Body body = stream.next_body(size_max, pieces, &used);
  batch_pieces_ += used;
  promised_ = body.size;
  if (body.size > 0) {
    stream.take_turn(batch_);
    int8_t urgency = static_cast<int8_t>(stream.urgency());
    most_urgent_ = std::min(most_urgent_, urgency);
    // A frame as large as can be seldom is the last that has come.
    bool full = body.size == size_max &&
                static_cast<size_t>(session_.stream_window(stream.id())) > body.size;
    if (!body.last && (full || stream.has_more_than(body.size)))
      holds_back_ = std::min(holds_back_, urgency);
  }
  return body;
}

void Http2ClientConn::on_body_frame(Http2Stream& stream, std::string_view header) {
  on_output(header);
  guard_.earn(limits::kHttp2UpdatesPerFrame +
              static_cast<uint32_t>(promised_ / limits::kHttp2BytesPerUpdate));
  if (promised_ == 0) return;
  batch_bytes_ += promised_;
  parts_.push_back({&stream, std::exchange(promised_, 0)});
}

void Http2ClientConn::on_end_framed(Http2Stream& stream, bool by_head) {
  stream.end_framed();
  if (by_head)
    ends_with_head_ = &stream;
  else
    parts_.push_back({&stream, 0});
}

void Http2ClientConn::on_sent(uint64_t bytes) {
  while (bytes > 0) {
    Part& part = parts_[part_at_];
    size_t size = std::min<uint64_t>(bytes, part.size);
    if (part.stream) {
      part.stream->sent(size);
      body_bytes_sent_ += size;
    } else {
      own_at_ += size;
    }
    part.size -= size;
    bytes -= size;
    if (part.size > 0) return;
    ++part_at_;
    if (part.stream) part.stream->body_left();
    if (closing()) return;
    parts_left();
  }
}

// Passes ends that stand behind what has left, and makes room once all has.
void Http2ClientConn::parts_left() {
  while (part_at_ < parts_.size() && parts_[part_at_].size == 0)
    parts_[part_at_++].stream->end_left();
  if (part_at_ < parts_.size()) return;
  // Headers of bodies' frames need little. More of it comes seldom, with the heads of answers.
  bool seldom = own_.size() > parts_.size() * kHttp2FrameHeaderBytes;
  parts_.clear();
  orphans_ = false;
  part_at_ = 0;
  own_at_ = 0;
  own_.clear();
  if (seldom || own_.capacity() > limits::kHttp2OwnBytesKept) own_.shrink_to_fit();
}

void Http2ClientConn::has_orphans() {
  orphans_ = true;
  schedule(loop().now_ms() + kOrphansEveryMs);
}

// As a stream that takes nothing is shed for its slots (Stream::relieve_memory()). Those of streams
// that have gone are this connection's to give back, with all that it carries.
bool Http2ClientConn::pins_slots(uint64_t now_ms) const {
  if (!orphans_ || now_ms < batch_since_ms_ + limits::kShedAfterMs) return false;
  return std::ranges::any_of(
      std::array{&memory_.sse_event, &memory_.http_message}, [this](const SlotPool* pool) {
        return pool->exhausted() && std::ranges::any_of(parts_, [pool](const Part& part) {
                 return part.size > 0 && part.stream && part.stream->orphan_in(*pool);
               });
      });
}

// --- endings ---

void Http2ClientConn::release(Http2Stream& stream) {
  stream.release();
  if (stream.ready) std::erase(ready_, &stream);
  size_t its_place = stream.place;
  std::swap(all_[its_place], all_.back());
  all_[its_place]->place = its_place;
  all_.pop_back();
  if (places_ > 0 && places_ >= all_.size()) {
    --places_;
    keeper_.give_place_back();
  }
  if (!all_.empty() || closing()) return;
  idle_since_ms_ = loop().now_ms();
  if (uint64_t timeout_ms = context().default_settings().keepalive_timeout_ms; timeout_ms > 0)
    schedule(idle_since_ms_ + timeout_ms);
  wake();
}

void Http2ClientConn::leave_all(Ending ending) {
  for (size_t i = all_.size(); i-- > 0;) all_[i]->leave(ending);
}

void Http2ClientConn::end_all(Ending ending, CloseMode mode) {
  leave_all(ending);
  close(mode);
}

void Http2ClientConn::on_receive_end(int) {
  end_all(Ending::kClientLeft, CloseMode::kOrderly);
}

void Http2ClientConn::on_send_error(int) {
  end_all(Ending::kClientLeft, CloseMode::kOrderly);
}

void Http2ClientConn::on_hang_up(uint32_t) {
  end_all(Ending::kClientLeft, CloseMode::kOrderly);
}

void Http2ClientConn::on_closed() {
  leave_all(Ending::kClientLeft);
  while (!all_.empty()) release(*all_.back());
  keeper_.client_closed(*this);
}

// In two steps (RFC 9113 section 6.8): a request that crosses the notice is served yet.
void Http2ClientConn::drain() {
  if (lingering()) {
    linger(limits::kLingerMs, limits::kLingerMs);
    return;
  }
  if (closing() || given_up_ || drain_ != Drain::kNone) return;
  drain_ = Drain::kNoticed;
  noticed_ms_ = loop().now_ms();
  session_.announce_end();
  touched_ = true;
  schedule(noticed_ms_ + limits::kHttp2NoticeMs);
  wake();
}

void Http2ClientConn::on_ping_answered() {
  if (drain_ == Drain::kNoticed) refuse_further();
}

void Http2ClientConn::refuse_further() {
  drain_ = Drain::kRefusing;
  session_.refuse_further();
  touched_ = true;
  wake();
}

void Http2ClientConn::shut_down() {
  bool told = false;
  for (size_t i = all_.size(); i-- > 0;) {
    Stream& stream = all_[i]->stream();
    if (stream.tell_shut_down())
      told = true;
    else
      stream.shut_down();
  }
  if (told) return;
  end_all(Ending::kShutdown, CloseMode::kOrderly);
}

// --- time ---

void Http2ClientConn::on_timer() {
  if (lingering()) {
    check_linger();
    return;
  }
  uint64_t now_ms = loop().now_ms();
  uint64_t next_ms = UINT64_MAX;
  // True if it is time; else the timer comes back then.
  auto due = [&](uint64_t since_ms, uint64_t timeout_ms) {
    if (timeout_ms == 0) return false;
    if (now_ms >= since_ms + timeout_ms) return true;
    next_ms = std::min(next_ms, since_ms + timeout_ms);
    return false;
  };
  const StreamSettings& settings = context().default_settings();
  if (given_up_ && due(given_up_ms_, limits::kLingerMs)) {
    close(CloseMode::kReset);
    return;
  }
  if (settings.write_timeout_ms > 0 &&
      now_ms >= send_still_since_ms() + settings.write_timeout_ms) {
    ++context().metrics.http2_stalled;
    end_all(Ending::kClientStalled, CloseMode::kReset);
    return;
  }
  if (pins_slots(now_ms)) {
    end_all(Ending::kOverloaded, CloseMode::kReset);
    return;
  }
  if (orphans_) next_ms = now_ms + kOrphansEveryMs;
  if (drain_ == Drain::kNoticed && due(noticed_ms_, limits::kHttp2NoticeMs)) refuse_further();
  if (head_since_ms_ != 0 &&
      due(std::max(head_since_ms_, listening_since_ms()), settings.header_timeout_ms)) {
    ++context().metrics.refusals[static_cast<unsigned>(Refusal::kHeaderTimeout)];
    give_up(Http2Code::kEnhanceYourCalm);
    return;
  }
  uint64_t idle_ms = served_ ? settings.keepalive_timeout_ms : settings.header_timeout_ms;
  if (all_.empty() && head_since_ms_ == 0 && !given_up_ &&
      due(std::max(idle_since_ms_, listening_since_ms()), idle_ms)) {
    give_up(Http2Code::kNoError);
    return;
  }
  for (size_t i = all_.size(); i-- > 0;) check_stream(*all_[i], now_ms, &next_ms);
  if (send_in_flight() && settings.write_timeout_ms > 0)
    next_ms = std::min(next_ms, now_ms + std::max<uint64_t>(settings.write_timeout_ms / 2, 1));
  if (next_ms != UINT64_MAX) schedule(next_ms);
}

// What of its time-outs the client is to keep, and when to look again.
void Http2ClientConn::check_stream(Http2Stream& half, uint64_t now_ms, uint64_t* next_ms) {
  // Who is not read, for want of slots or behind what it does not take, is not late.
  uint64_t silent_since_ms =
      half.window_is_closed() ? now_ms : std::max(half.body_since_ms(), listening_since_ms());
  switch (half.stream().late(silent_since_ms, half.still_since_ms(now_ms), next_ms)) {
    case Stream::Late::kNothing:
      break;
    case Stream::Late::kBody:
      half.stream().refuse_late(Refusal::kBodyTimeout);
      break;
    case Stream::Late::kResponse:
      ++context().metrics.http2_stalled;
      half.leave(Ending::kClientStalled);
      session_.reset(half.id(), Http2Code::kCancel);
      touched_ = true;
      wake();
      break;
  }
}

// --- who the client is ---

std::string Http2ClientConn::client_ip() {
  return peer().known() ? peer().address().ip() : "";
}

bool Http2ClientConn::client_trusted() {
  return peer().known() && context().trusts(peer().address());
}

}  // namespace sluice
