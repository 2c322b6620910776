#include "net/http2/client_stream.h"

#include <algorithm>
#include <string>
#include <vector>

#include "net/base/limits.h"
#include "net/http2/connection.h"

namespace sluice {

Http2Stream::Http2Stream(Http2ClientConn& conn, int32_t id)
    : conn_(conn),
      id_(id),
      still_since_ms_(conn.now_ms()),
      body_since_ms_(conn.now_ms()),
      turn_(conn.batch()) {}

void Http2Stream::response_ready() {
  if (!gone_) conn_.has_work(*this);
}

uint64_t Http2Stream::request_window() const {
  return conn_.stream_window();
}

std::string Http2Stream::client_ip() {
  return conn_.client_ip();
}

bool Http2Stream::client_trusted() {
  return conn_.client_trusted();
}

bool Http2Stream::client_secured() const {
  return conn_.client_secured();
}

uint16_t Http2Stream::https_port() const {
  return conn_.https_port();
}

std::string Http2Stream::client_subject() const {
  return conn_.client_subject();
}

// The stream has ended already. Where bytes of it are on their way they go on: a frame cannot be
// taken back.
void Http2Stream::drop() {
  if (gone_) return;
  go();
  if (in_codec_) conn_.session().reset(id_, Http2Code::kInternalError);
  conn_.wake_up();
}

// --- the request ---

void Http2Stream::on_body(const Lease& lease, std::string_view bytes) {
  body_since_ms_ = conn_.now_ms();
  unconsumed_ += static_cast<uint32_t>(bytes.size());
  if (!gone_) stream_->on_request_body(lease, bytes);
  open_window();
}

// What the client may send is what the stream has room for, but never more than the window that it
// was told of.
void Http2Stream::open_window() {
  if (!in_codec_ || unconsumed_ == 0) return;
  const uint64_t window = request_window();
  uint64_t room = gone_ ? window : stream_->request_credit();
  // An update leaves only for half a window or more. So as much stays open where nothing waits, or
  // nobody would open it again.
  if (!gone_ && stream_->request_backlog() == 0) room = std::max(room, window / 2);
  uint64_t closed = window - std::min(room, window);
  if (unconsumed_ <= closed) return;
  conn_.session().open_stream_window(id_, unconsumed_ - closed);
  unconsumed_ = static_cast<uint32_t>(closed);
  body_since_ms_ = conn_.now_ms();
  conn_.wake_up();
}

void Http2Stream::on_request_end() {
  if (request_ended_) return;
  request_ended_ = true;
  if (!gone_) stream_->on_request_end();
}

// --- the response ---

void Http2Stream::frame() {
  if (!in_codec_ || gone_) return;
  Outbox& response = stream_->response();
  bool had_head = head_framed_;
  if (!head_framed_) frame_heads();
  if (!head_framed_) return;
  if (waits_ && (response.has_work() || response.finished())) {
    waits_ = false;
    conn_.session().resume(id_);
  }
  if (!stream_->aborted() || response.has_work()) return;
  // A reset drops a head that the codec has not framed.
  if (!had_head)
    conn_.has_work(*this);
  else if (stream_->abort_due())
    conn_.session().reset(id_, Http2Code::kInternalError);
}

void Http2Stream::frame_heads() {
  Outbox& response = stream_->response();
  if (!response.has_head()) return;
  std::string text;
  response.copy_head(text);
  std::vector<Http2Field> fields;
  // Behind interim heads the final one, behind which a body of our own may lie.
  for (size_t at = 0; at < text.size() && !head_framed_;) {
    size_t size = read_written_head(std::string_view(text).substr(at), fields);
    at += size;
    response.take_head(size);
    if (is_interim(fields)) {
      conn_.session().respond_interim(id_, fields);
      continue;
    }
    head_framed_ = true;
    bool empty = response.finished() && response.backlog() == 0;
    conn_.session().respond(id_, fields, /*with_body=*/!empty);
  }
  stream_->on_client_sent(0);
}

Http2Session::Body Http2Stream::next_body(size_t size_max, std::span<iovec> pieces, size_t* used) {
  using Kind = Http2Session::Body::Kind;
  *used = 0;
  waits_ = true;
  if (gone_ || body_in_batch_) return {Kind::kNone};
  Outbox& response = stream_->response();
  bool ends = response.finished() && !stream_->aborted();
  if (!response.has_work()) {
    if (!ends) return {Kind::kNone};
    waits_ = false;
    return {.kind = Kind::kBytes, .last = true};
  }
  *used = response.build(pieces, size_max);
  size_t size = 0;
  for (const iovec& piece : pieces.first(*used)) size += piece.iov_len;
  if (size == 0) return {Kind::kNone};
  waits_ = false;
  body_in_batch_ = true;
  ++in_batches_;
  return {.kind = Kind::kBytes, .size = size, .last = ends && response.batch_is_last()};
}

void Http2Stream::sent(size_t bytes) {
  sent_bytes_ += bytes;
  stream_->on_client_sent(stream_->response().sent(bytes));
}

void Http2Stream::body_left() {
  if (raised_) {
    raised_ = false;
    if (in_codec_) conn_.session().set_urgency(id_, urgency_);
  }
  body_in_batch_ = false;
  --in_batches_;
  if (gone_) stream_->response().abandon();
  if (releasable() && !in_codec_)
    conn_.release(*this);
  else if (!gone_ && !end_framed_ &&
           (stream_->response().has_work() || stream_->aborted() || stream_->response().finished()))
    conn_.has_work(*this);
}

void Http2Stream::end_framed() {
  end_framed_ = true;
  ++in_batches_;
}

void Http2Stream::end_left() {
  --in_batches_;
  if (!gone_) {
    gone_ = true;
    stream_->on_client_done();
    // The answer is complete, so the rest of the request is of no use (RFC 9113 section 8.1).
    if (in_codec_) conn_.session().reset(id_, Http2Code::kNoError);
  }
  if (in_batches_ == 0) conn_.release(*this);
}

// --- endings ---

void Http2Stream::on_closed(uint32_t code) {
  in_codec_ = false;
  bool in_order = end_framed_ && code == static_cast<uint32_t>(Http2Code::kNoError);
  if (in_order) return;  // the end is on its way
  leave(Ending::kClientLeft);
  if (releasable()) conn_.release(*this);
}

void Http2Stream::leave(Ending ending) {
  if (gone_) return;
  go();
  if (stream_->aborted())
    stream_->on_client_done();
  else
    stream_->on_client_gone(ending);
}

// Behind the bytes of a batch under way nothing is kept that nobody will send.
void Http2Stream::go() {
  gone_ = true;
  if (body_in_batch_)
    conn_.has_orphans();
  else
    stream_->response().abandon();
}

void Http2Stream::release() {
  if (in_codec_) conn_.session().attach(id_, nullptr);
  stream_->client_released();
}

// What is in a batch waits for the connection, which has a time-out of its own; what has a window
// waits for its turn. The codec keeps an end, too, until the window has opened, though it has no
// bytes. The connection's window is closed to all while others get through it, one by one.
uint64_t Http2Stream::still_since_ms(uint64_t now_ms) {
  const Outbox& response = stream_->response();
  const Http2Session& session = conn_.session();
  bool waits = response.has_work() || (head_framed_ && response.finished() && !end_framed_);
  bool closed = session.stream_window(id_) <= 0;
  uint64_t sent = closed ? sent_bytes_ : conn_.body_bytes_sent();
  closed |= session.connection_window() <= 0;
  if (gone_ || in_batches_ > 0 || !waits || !closed || seen_sent_ != sent) {
    seen_sent_ = sent;
    still_since_ms_ = now_ms;
  }
  return still_since_ms_;
}

// --- its turn ---

void Http2Stream::set_urgency(int urgency) {
  urgency_ = static_cast<uint8_t>(urgency & 7);
  if (!raised_) conn_.session().set_urgency(id_, urgency);
}

void Http2Stream::raise() {
  raised_ = true;
  conn_.session().set_urgency(id_, 0);
}

bool Http2Stream::has_more_than(size_t size) const {
  return !gone_ && stream_->response().backlog() > size &&
         conn_.session().stream_window(id_) > static_cast<int64_t>(size);
}

bool Http2Stream::awaits_turn() const {
  return in_codec_ && !gone_ && !body_in_batch_ && head_framed_ && has_more_than(0);
}

}  // namespace sluice
