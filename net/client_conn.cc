#include "net/client_conn.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <poll.h>

#include "core/check.h"
#include "core/limits.h"
#include "core/socket.h"
#include "net/body_run.h"
#include "net/gateway.h"

namespace sluice {

ClientConn::ClientConn(Gateway& gateway, int fd)
    : Conn(gateway.loop(), gateway.memory(), fd),
      gateway_(gateway),
      state_since_ms_(gateway.loop().now_ms()),
      settings_(&gateway.default_settings()) {
  schedule(state_since_ms_ + settings_->header_timeout_ms);
  wake();
}

ClientConn::~ClientConn() = default;

void ClientConn::schedule(uint64_t deadline_ms) {
  loop_.timers().schedule_earlier(timer_, deadline_ms);
}

// --- reading requests ---

bool ClientConn::reads_requests() const {
  return state_ != State::kResponding && state_ != State::kRefused && !closing() && !lingering();
}

void ClientConn::on_bytes(const Lease& lease, std::string_view bytes, uint64_t /*after_ms*/) {
  gateway_.metrics().bytes_from_clients += bytes.size();
  if (pending_ || state_ == State::kResponding)
    read_ahead(bytes);
  else if (size_t used = feed(lease, bytes); state_ == State::kResponding)
    read_ahead(bytes.substr(used));
}

void ClientConn::read_ahead(std::string_view bytes) {
  if (bytes.empty()) return;
  if (!pending_) pending_ = std::make_unique<Chain>(memory_, memory_.http_response);
  pending_->append_copy(bytes);
}

// Feeds requests to the parser up to the end of one; returns the bytes used.
size_t ClientConn::feed(const Lease& lease, std::string_view bytes) {
  size_t size = bytes.size();
  BodyRun body(lease);
  bool more = true;
  while (more && reads_requests()) {
    if (state_ == State::kIdle && !head_) {
      if (bytes.empty()) break;
      head_ = gateway_.heads().acquire();
      parser_ = std::make_unique<Http1Parser>(Http1Parser::Role::kRequest, gateway_.http1_limits());
      parser_->begin(head_.get());
    }
    Http1Parser::Step step = parser_->feed(bytes, body);
    bytes.remove_prefix(step.consumed);
    if (std::string_view run = body.take(); !run.empty()) stream_->on_request_body(lease, run);
    if (!stream_ && !parser_->idle()) {
      stream_ = gateway_.new_stream(*this);
      client_ip();  // while there is a peer to ask about
      state_ = State::kHead;
      state_since_ms_ = loop_.now_ms();
      schedule(state_since_ms_ + settings_->header_timeout_ms);
    }
    on_step(step.event);
    // A head is followed by one more step, be it with no bytes: a message without a body ends.
    more = step.event == Http1Parser::Event::kHead || !bytes.empty();
  }
  return size - bytes.size();
}

void ClientConn::on_step(Http1Parser::Event event) {
  switch (event) {
    case Http1Parser::Event::kNeedMore:
      break;
    case Http1Parser::Event::kHead:
      SLUICE_CHECK(stream_ && head_);
      state_ = State::kBody;
      stream_->on_request_head(*head_, parser_->keep_alive());
      gateway_.heads().release(std::move(head_));
      if (stream_->has_route()) apply_route(stream_->settings());
      break;
    case Http1Parser::Event::kEnd:
      SLUICE_CHECK(stream_);
      state_ = State::kResponding;
      state_since_ms_ = loop_.now_ms();
      parser_.reset();
      stream_->on_request_end();
      break;
    case Http1Parser::Event::kError:
      refuse_bytes();
      break;
  }
}

void ClientConn::apply_route(const StreamSettings& settings) {
  if (settings.write_timeout_ms > 0) schedule(loop_.now_ms() + settings.write_timeout_ms / 2);
  if (settings.body_timeout_ms > 0) schedule(loop_.now_ms() + settings.body_timeout_ms);
  if (settings.client_sndbuf != settings_->client_sndbuf)
    set_send_buffer(fd(), settings.client_sndbuf);
  if (settings.client_notsent_lowat != settings_->client_notsent_lowat)
    set_unsent_low_water(fd(), settings.client_notsent_lowat);
  settings_ = &settings;
}

void ClientConn::refuse_bytes() {
  Http1Error error = parser_->error();
  ++gateway_.metrics().bad_requests[static_cast<unsigned>(error)];
  if (!stream_) stream_ = gateway_.new_stream(*this);
  state_ = State::kRefused;
  if (head_) gateway_.heads().release(std::move(head_));
  stream_->forbid_keep_alive();
  std::string detail = std::string("The request is not valid: ") + http1_error_name(error) + ".";
  stream_->refuse(http1_error_status(error), detail, Ending::kRefused, http1_error_name(error));
}

// Pipelined requests that were read ahead, once their turn has come.
void ClientConn::feed_pending() {
  while (pending_ && reads_requests()) {
    std::array<iovec, 1> piece;
    uint64_t covered = 0;
    pending_->fill(piece, 0, limits::kPipelineBytes, &covered);
    Lease lease = pending_->front();
    pending_->consume(feed(lease, {static_cast<const char*>(piece[0].iov_base), piece[0].iov_len}));
    if (pending_->empty()) pending_.reset();
  }
}

uint64_t ClientConn::receive_budget() {
  switch (state_) {
    case State::kIdle:
    case State::kHead:
      return limits::kPipelineBytes;
    case State::kBody:
      return stream_->request_budget();
    case State::kResponding: {
      uint64_t ahead = pending_ ? pending_->bytes() : 0;
      return ahead * 2 > limits::kPipelineBytes ? 0 : limits::kPipelineBytes - ahead;
    }
    case State::kRefused:
      break;
  }
  return 0;
}

SlotPool& ClientConn::receive_pool() {
  return memory_.http_response;
}

// --- the client leaves ---

uint32_t ClientConn::watch_events() {
  // Where a FIN is allowed a poll would report it for ever (the kernel adds POLLRDHUP to every
  // mask), also while bytes before it are unread: a reset shows with the next write then, a
  // heartbeat at the latest.
  return stream_ && !receive_ended() && !stream_->half_close_allowed() ? POLLRDHUP : 0;
}

void ClientConn::on_hang_up() {
  client_gone(Ending::kClientLeft);
}

void ClientConn::on_receive_end(int error) {
  if (!stream_) {
    close(CloseMode::kOrderly);
    return;
  }
  bool half_close = error == 0 && state_ == State::kResponding && stream_->half_close_allowed();
  if (!half_close) client_gone(Ending::kClientLeft);
}

void ClientConn::on_send_error(int) {
  client_gone(Ending::kClientLeft);
}

void ClientConn::client_gone(Ending ending) {
  if (stream_) stream_->on_client_gone(ending);
  close(ending == Ending::kClientStalled ? CloseMode::kReset : CloseMode::kOrderly);
}

void ClientConn::drop() {
  close(stream_ && stream_->close_delimited() ? CloseMode::kReset : CloseMode::kOrderly);
}

void ClientConn::on_closed() {
  if (head_) gateway_.heads().release(std::move(head_));
  pending_.reset();
  if (stream_) stream_->client_released();
  stream_ = nullptr;
  gateway_.client_closed(*this);
}

// --- sending responses ---

void ClientConn::prepare_flush() {
  if (!stream_) {
    if (pending_) feed_pending();
    // After a FIN no request can be completed any more.
    if (receive_ended() && reads_requests()) client_gone(Ending::kClientLeft);
    if (!stream_ || closing()) return;
  }
  if (send_in_flight()) return;
  if (stream_->aborted() && !stream_->response().has_work())
    finish_aborted();
  else if (stream_->response().complete())
    finish_response();
}

// The end must not look like one: no last chunk, no full length, or a reset.
void ClientConn::finish_aborted() {
  bool reset = stream_->close_delimited();
  stream_->on_client_done();
  stream_->client_released();
  stream_ = nullptr;
  if (reset)
    close(CloseMode::kReset);
  else
    linger();
}

void ClientConn::on_sent(uint64_t body_bytes) {
  stream_->on_client_sent(body_bytes);
}

// Another request may follow the response that is being sent.
bool ClientConn::reusable() const {
  // After a FIN that was allowed, requests that came before it are still to be answered.
  bool more_to_come = !receive_ended() || pending_;
  return state_ == State::kResponding && stream_->keep_alive() && more_to_come &&
         !gateway_.draining();
}

void ClientConn::finish_response() {
  bool keeps_open = reusable();
  stream_->on_client_done();
  stream_->client_released();
  stream_ = nullptr;
  if (!keeps_open) {
    linger();
    return;
  }
  state_ = State::kIdle;
  served_ = true;
  state_since_ms_ = loop_.now_ms();
  if (settings_->keepalive_timeout_ms > 0)
    schedule(state_since_ms_ + settings_->keepalive_timeout_ms);
  if (pending_) wake();
}

void ClientConn::drain() {
  if (stream_)
    stream_->forbid_keep_alive();
  else if (!closing() && !lingering())
    close(CloseMode::kOrderly);
}

// --- time ---

uint64_t ClientConn::write_timeout_ms() const {
  return stream_ && stream_->has_route() ? stream_->settings().write_timeout_ms
                                         : gateway_.default_settings().write_timeout_ms;
}

void ClientConn::refuse_late(Refusal refusal, std::string_view detail) {
  ++gateway_.metrics().refusals[static_cast<unsigned>(refusal)];
  state_ = State::kRefused;
  if (head_) gateway_.heads().release(std::move(head_));
  stream_->forbid_keep_alive();
  stream_->refuse(408, detail, Ending::kClientTimedOut, refusal_name(refusal));
}

void ClientConn::on_timer() {
  uint64_t now_ms = loop_.now_ms();
  if (lingering()) {
    close(CloseMode::kOrderly);
    return;
  }
  uint64_t header_due = state_since_ms_ + settings_->header_timeout_ms;
  if (state_ == State::kIdle) {
    // A connection that never sent a request gets the header's time, one that did the idle time.
    uint64_t timeout_ms = served_ ? settings_->keepalive_timeout_ms : settings_->header_timeout_ms;
    if (timeout_ms == 0) return;
    if (now_ms >= state_since_ms_ + timeout_ms)
      close(CloseMode::kOrderly);
    else
      schedule(state_since_ms_ + timeout_ms);
    return;
  }
  if (state_ == State::kHead && settings_->header_timeout_ms > 0) {
    if (now_ms >= header_due)
      refuse_late(Refusal::kHeaderTimeout, "The request's head did not arrive in time.");
    else
      schedule(header_due);
  }
  if (state_ == State::kBody && stream_->has_route()) {
    uint64_t timeout_ms = stream_->settings().body_timeout_ms;
    uint64_t due = waiting_since_ms() + timeout_ms;
    if (timeout_ms > 0 && now_ms >= due)
      refuse_late(Refusal::kBodyTimeout, "The request's body did not arrive in time.");
    else if (timeout_ms > 0)
      schedule(due);
  }
  if (uint64_t timeout_ms = write_timeout_ms(); timeout_ms > 0) {
    if (send_stalled(timeout_ms))
      client_gone(Ending::kClientStalled);
    else
      schedule(now_ms + std::max<uint64_t>(timeout_ms / 2, 1));
  }
}

// --- who the client is ---

std::string_view ClientConn::client_ip() {
  if (peer_ip_.empty()) {
    Address peer;
    peer.size = peer_address(fd(), &peer.storage);
    if (peer.size > 0) {
      peer_ip_ = peer.ip();
      trusted_ = gateway_.trusts(peer);
    }
  }
  return peer_ip_;
}

bool ClientConn::client_trusted() {
  client_ip();
  return trusted_;
}

}  // namespace sluice
