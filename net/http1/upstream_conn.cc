#include "net/http1/upstream_conn.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include "core/check.h"
#include "core/socket.h"
#include "core/text.h"
#include "net/base/limits.h"
#include "net/http1/body_run.h"

namespace sluice {

UpstreamConn::UpstreamConn(UpstreamPool& pool, std::unique_ptr<WireQueue> wire)
    : Conn(pool.context().memory, {-1, std::move(wire)}),
      pool_(pool),
      parser_(Http1Parser::Role::kResponse, pool.context().head_limits()),
      made_by_(pool.tls_changes()) {
  ConnectRace::Owner& owner = *this;
  race_ =
      std::make_unique<ConnectRace>(loop(), owner, pool.addresses_to_try(), pool.socket_shape());
  (void)race_->start();  // assign() finds out
}

UpstreamConn::~UpstreamConn() = default;

void UpstreamConn::assign(Stream& stream, bool reused) {
  SLUICE_CHECK(!stream_);
  loop().timers().cancel(timer_);
  stream_ = &stream;
  in_message_ = head_done_ = sent_some_ = false;
  stream.on_upstream(*this, reused);
  if (race_ && race_->lost()) on_race_lost();
}

// The end may be there and its completion not: no request is to be the one to find out.
bool UpstreamConn::usable() const {
  return !closing() && !receive_ended() && receive_would_wait(fd());
}

void UpstreamConn::rest(uint64_t until_ms) {
  loop().timers().schedule(timer_, until_ms);
}

void UpstreamConn::on_timer() {
  close(CloseMode::kOrderly);
}

void UpstreamConn::on_race_won(int fd, const Address& to) {
  race_.reset();
  if (closing()) {
    close_socket(fd);
    return;
  }
  peer_ = Ip::of(to);
  pool_.address_connected(to);
  open(fd);
}

void UpstreamConn::on_race_lost() {
  if (closing()) return;
  int error = race_->error();
  ++context().metrics.upstream_connect_errors;
  if (!race_->no_socket()) {
    lose(error == ETIMEDOUT ? Ending::kUpstreamConnectTimeout : Ending::kUpstreamRefused,
         error_name(error));
    return;
  }
  context().warn("no socket for " + pool_.url() + ": " + std::strerror(error));
  lose(Ending::kUnavailable, "no_socket");
}

// An error is the handshake's: the request has not left, whatever is under way.
void UpstreamConn::on_connected(int error) {
  if (error != 0) {
    ++context().metrics.upstream_connect_errors;
    const char* reason = tls_reason(error);
    if (stream_) stream_->on_upstream_lost(Ending::kUpstreamTls, reason, /*nothing_sent=*/true);
    close(CloseMode::kOrderly);
    return;
  }
  wake();
  if (stream_) stream_->on_upstream_connected();
}

const char* UpstreamConn::tls_reason(int error) const {
  if (*transform_failure() != '\0') return transform_failure();
  return error == kCutShort ? "closed_in_the_handshake" : error_name(error);
}

uint64_t UpstreamConn::receive_credit() {
  // Idle: enough to see a close, or bytes that nobody asked for. It may still be armed when the
  // next response comes, which must not be read ahead of its pace.
  if (!stream_) return pool_.settings().paced ? 1 : limits::kIdleReceiveBytes;
  if (!asked_to_grow_ && stream_->fast()) grow();
  return stream_->response_credit();
}

// A window that closes again and again has each of our reads send the upstream's next bytes, on our
// CPU.
void UpstreamConn::grow() {
  asked_to_grow_ = true;
  SocketShape shape = pool_.socket_shape();
  grown_ = shape.receive_buffer_grows() && grow_receive_buffer(fd(), shape.receive_buffer_max);
}

SlotPool& UpstreamConn::receive_pool() {
  // Event streams have a class of their own, so that a crowd of stalled ones cannot keep new
  // requests and their answers' heads from being read. Those with a large window share the larger
  // slots as long as most of these are free.
  bool event_stream = stream_ && head_done_ && stream_->receives_events();
  const SlotPool& large = memory_.http_message;
  bool plenty = large.leased() * 2 < large.slots() && !context().memory_tight();
  if (event_stream && !(stream_->wide() && plenty)) return memory_.sse_event;
  return memory_.http_message;
}

void UpstreamConn::on_bytes(const Lease& lease, std::string_view bytes, uint64_t after_ms) {
  context().metrics.bytes_from_upstreams += bytes.size();
  bool socket_is_empty = bytes.size() < lease.size();
  delay_acks_if_quick(after_ms);
  if (!stream_) {
    close(CloseMode::kOrderly);  // a response that was not asked for
    return;
  }
  BodyRun body(lease);
  bool more = true;
  while (more && stream_ && !closing()) {
    if (!in_message_) {
      head_ = context().heads.acquire();
      parser_.limit(context().head_limits());
      parser_.begin(head_.get(), stream_->method_is_head());
      in_message_ = true;
      stream_->on_response_begun();
    }
    Http1Parser::Step step = parser_.feed(bytes, body);
    bytes.remove_prefix(step.consumed);
    if (std::string_view run = body.take(); !run.empty()) stream_->on_response_body(lease, run);
    more = !bytes.empty();
    switch (step.event) {
      case Http1Parser::Event::kNeedMore:
        break;
      case Http1Parser::Event::kHead:
        SLUICE_CHECK(head_);
        interim_ = head_->status() < 200;
        head_done_ = !interim_;
        stream_->on_response_head(*head_);
        context().heads.release(std::move(head_));
        charge(0);
        more = true;  // a message without a body ends in one more step
        break;
      case Http1Parser::Event::kEnd:
        in_message_ = false;
        if (!interim_) {
          finish_response(!bytes.empty());
          more = false;
        }
        break;
      case Http1Parser::Event::kError:
        ++context().metrics.bad_responses[static_cast<unsigned>(parser_.error())];
        lose(Ending::kUpstreamBadResponse, parse_error_name(parser_.error()));
        break;
    }
  }
  // A head that is arriving lies on the heap.
  if (head_ && !charge(head_->bytes_held())) lose(Ending::kOverloaded, "head");
  if (stream_ && socket_is_empty) stream_->on_read_dry();
}

// While events come quicker than the timer of a delayed ACK, it never runs out, and an ACK serves
// two of them. An upstream that sends with Nagle's algorithm waits for that timer once, whereupon
// the kernel acknowledges at once again: hence seldom, and not before events do flow.
void UpstreamConn::delay_acks_if_quick(uint64_t after_ms) {
  if (after_ms >= limits::kDelayedAckMs) return;
  if (++quick_reads_ % limits::kQuickReads != 0 || pool_.is_unix()) return;
  if (stream_ && !stream_->settings().upstream_quickack) delay_acks(fd());
}

void UpstreamConn::finish_response(bool bytes_left_over) {
  Stream& stream = *stream_;
  // A buffer that has grown stays so, and the next client may be slow.
  bool reusable = parser_.keep_alive() && !grown_ && stream.request_sent() && !send_in_flight() &&
                  !sends_no_more_ && !bytes_left_over && !receive_ended();
  // What is armed for a fast client is not for the next one, who may be slow.
  bool armed_wide = stream.window() > stream.settings().buffer_size;
  stream.on_response_end();
  if (reusable && !closing()) {
    if (armed_wide) renew_receive();
    stream_ = nullptr;
    pool_.release(*this);
    stream.upstream_released();
  } else {
    close(CloseMode::kOrderly);
  }
}

// A reset is told only once, and the send may have been the one to hear of it: what reads as a FIN
// then may have cut the response, which a body that ends with the connection would not show.
// Completions may come in any order, so a send that is in flight has to say first how it ended.
void UpstreamConn::on_receive_end(int error) {
  fin_in_doubt_ = error == 0 && send_in_flight();
  if (fin_in_doubt_)
    cancel_send();
  else
    end_of_bytes(error == 0 ? reset_behind_fin() : error);
}

void UpstreamConn::prepare_flush() {
  if (!fin_in_doubt_ || send_in_flight()) return;
  fin_in_doubt_ = false;
  end_of_bytes(reset_behind_fin());
}

// A unix socket that is reset in the middle of a send says how much it had sent, and then no more
// of the reset: where a part of the request has not left, what reads as a FIN is taken for one.
int UpstreamConn::reset_behind_fin() const {
  bool part_left = pool_.is_unix() && stream_ && stream_->request_has_work();
  return reset_heard_ == 0 && part_left ? ECONNRESET : reset_heard_;
}

void UpstreamConn::end_of_bytes(int error) {
  if (!stream_)
    close(CloseMode::kOrderly);
  else if (error == 0 && in_message_ && parser_.finish())
    finish_response(false);
  else if (*transform_failure() != '\0')
    lose(Ending::kUpstreamTls, transform_failure());
  else if (error == 0 || error == kCutShort)
    lose(Ending::kUpstreamTruncated, !in_message_ ? "no_answer" : head_done_ ? "" : "in_the_head");
  else
    lose(Ending::kUpstreamReset, error_name(error));
}

// The upstream reads no more. It may have answered before it closed, so the receive decides. EPIPE
// over TCP is a reset that came after the FIN, and so after all that there was to receive; of one
// that came instead of it the socket tells first. (Not so a unix socket: reset_behind_fin().)
void UpstreamConn::on_send_error(int error) {
  if (error == ECANCELED) return;
  sends_no_more_ = true;
  if (error != EPIPE || pool_.is_unix()) reset_heard_ = error;
}

void UpstreamConn::on_sent(uint64_t bytes) {
  sent_some_ = true;
  if (stream_) stream_->on_request_sent(stream_->request()->sent(bytes));
}

void UpstreamConn::lose(Ending ending, const char* reason) {
  if (stream_) stream_->on_upstream_lost(ending, reason, !sent_some_ && !send_in_flight());
  close(CloseMode::kOrderly);
}

void UpstreamConn::on_closed() {
  if (race_) race_->give_up();
  race_.reset();
  if (head_) context().heads.release(std::move(head_));
  Stream* stream = stream_;
  stream_ = nullptr;
  // First the stream: if it is to try again, the place that becomes free is its own.
  if (stream) stream->upstream_released();
  pool_.conn_closed(*this);
}

}  // namespace sluice
