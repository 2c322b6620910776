#include "net/http1/client_conn.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <poll.h>
#include <utility>

#include "core/check.h"
#include "core/socket.h"
#include "net/base/limits.h"

namespace sluice {

ClientConn::RouteTraits ClientConn::RouteTraits::of(const StreamSettings& settings) {
  return {.header_timeout_ms = static_cast<uint32_t>(settings.header_timeout_ms),
          .keepalive_timeout_ms = static_cast<uint32_t>(settings.keepalive_timeout_ms),
          .tcp_keepalive_ms = static_cast<uint32_t>(settings.client_tcp_keepalive_ms),
          .sndbuf = static_cast<uint32_t>(settings.client_sndbuf),
          .notsent_lowat = static_cast<uint32_t>(settings.client_notsent_lowat)};
}

ClientConn::ClientConn(ClientKeeper& keeper, ConnStart start, std::string_view first)
    : AcceptedConn(keeper.streams().context().memory, std::move(start)),
      keeper_(keeper),
      route_(RouteTraits::of(context().default_settings())),
      state_since_ms_(loop().now_ms()) {
  schedule(state_since_ms_ + route_.header_timeout_ms);
  context().metrics.bytes_from_clients += first.size();
  read_ahead(first);
  wake();
}

ClientConn::~ClientConn() = default;

void ClientConn::schedule(uint64_t deadline_ms) {
  loop().timers().schedule_earlier(timer_, deadline_ms);
}

// --- reading requests ---

bool ClientConn::reads_requests() const {
  return state_ <= State::kBody && !closing() && !lingering();
}

void ClientConn::on_bytes(const Lease& lease, std::string_view bytes, uint64_t /*after_ms*/) {
  context().metrics.bytes_from_clients += bytes.size();
  if (ahead_ || state_ == State::kResponding)
    read_ahead(bytes);
  else if (size_t used = feed(lease, bytes, BodyRun(lease)); state_ >= State::kResponding)
    read_ahead(bytes.substr(used));
  account();
}

// In their own size: a slot for each client that sends a byte too early would be a slot too many.
void ClientConn::read_ahead(std::string_view bytes) {
  if (bytes.empty() || lost_ahead_) return;
  if (!ahead_) ahead_ = std::make_unique<ReadAhead>();
  ahead_->bytes.append(bytes);
}

// What lies here and in no slot counts towards --pool-max. Where that is used up, a request that is
// arriving is refused; those read ahead are dropped, and the connection ends after the response,
// which tells the client that they were not seen (RFC 9112 section 9.3.2).
void ClientConn::account() {
  if (state_ == State::kLeaving) {  // for HTTP/2, with a few bytes of our own
    (void)charge(0);
    return;
  }
  size_t head_bytes = arriving_head() ? arriving_head()->bytes_held() : 0;
  if (charge(head_bytes + (ahead_ ? ahead_->bytes.capacity() : 0))) return;
  if (ahead_) {
    ahead_.reset();
    lost_ahead_ = true;
    if (charge(head_bytes)) return;
  }
  if (!stream_) stream_ = keeper_.streams().make(*this);
  stop_reading();
  stream_->refuse(ending_status(Ending::kOverloaded), ending_detail(Ending::kOverloaded),
                  Ending::kOverloaded);
  charge(0);
}

ClientConn::Arriving::Arriving(WorkerContext& context)
    : parser(Http1Parser::Role::kRequest, context.head_limits()), head(context.heads.acquire()) {
  parser.begin(head.get());
}

void ClientConn::release_head() {
  if (arriving_head()) context().heads.release(std::move(arriving_->head));
}

// Feeds requests to the parser up to the end of one; returns the bytes used. They lie in the
// lease's slot, or in none.
size_t ClientConn::feed(const Lease& lease, std::string_view bytes, BodyRun body) {
  size_t size = bytes.size();
  bool more = true;
  while (more && reads_requests()) {
    if (state_ == State::kIdle && !arriving_) {
      if (bytes.empty()) break;
      arriving_ = std::make_unique<Arriving>(context());
      http10_ = false;
    }
    Http1Parser::Step step = arriving_->parser.feed(bytes, body);
    bytes.remove_prefix(step.consumed);
    if (std::string_view run = body.take(); !run.empty()) stream_->on_request_body(lease, run);
    if (may_become_http2()) {
      if (step.event != Http1Parser::Event::kError) break;
      become_http2();
      break;
    }
    if (!stream_ && !arriving_->parser.idle()) {
      stream_ = keeper_.streams().make(*this);
      client_ip();  // while there is a peer to ask about
      state_ = State::kHead;
      state_since_ms_ = loop().now_ms();
      schedule(state_since_ms_ + route_.header_timeout_ms);
    }
    on_step(step.event);
    // A head is followed by one more step, be it with no bytes: a message without a body ends.
    more = step.event == Http1Parser::Event::kHead || !bytes.empty();
  }
  return size - bytes.size();
}

// Only a connection's first bytes say so.
bool ClientConn::may_become_http2() const {
  return !stream_ && !served_ && arriving_->parser.reads_http2_preface() &&
         context().config().http2;
}

void ClientConn::become_http2() {
  state_ = State::kLeaving;
  leave();
}

void ClientConn::on_handed_over(ConnStart start) {
  release_head();
  std::string first(kHttp2PrefaceStart);  // which has been parsed
  if (ahead_) first += ahead_->rest();
  keeper_.http2_began(*this, std::move(start), first);
}

void ClientConn::on_step(Http1Parser::Event event) {
  switch (event) {
    case Http1Parser::Event::kNeedMore:
      break;
    case Http1Parser::Event::kHead:
      SLUICE_CHECK(stream_ && arriving_head());
      state_ = State::kBody;
      state_since_ms_ = loop().now_ms();
      http10_ = arriving_head()->version_minor() == 0;
      stream_->on_request_head(std::move(arriving_->head), arriving_->parser.keep_alive());
      if (stream_->has_route()) apply_route(stream_->settings());
      check_client();
      break;
    case Http1Parser::Event::kEnd:
      SLUICE_CHECK(stream_);
      state_ = State::kResponding;
      state_since_ms_ = loop().now_ms();
      arriving_.reset();
      stream_->on_request_end();
      break;
    case Http1Parser::Event::kError:
      refuse_bytes();
      break;
  }
}

void ClientConn::apply_route(const StreamSettings& settings) {
  RouteTraits route = RouteTraits::of(settings);
  if (route.sndbuf != route_.sndbuf || grown_) set_send_buffer(fd(), route.sndbuf);
  grown_ = false;
  if (route.notsent_lowat != route_.notsent_lowat) set_unsent_low_water(fd(), route.notsent_lowat);
  if (route.tcp_keepalive_ms != route_.tcp_keepalive_ms)
    set_keepalive(fd(), route.tcp_keepalive_ms);
  route_ = route;
}

void ClientConn::refuse_bytes() {
  ParseError error = arriving_->parser.error();
  ++context().metrics.bad_requests[static_cast<unsigned>(error)];
  if (!stream_) stream_ = keeper_.streams().make(*this);
  stop_reading();
  std::string detail = std::string("The request is not valid: ") + parse_error_name(error) + ".";
  stream_->refuse(parse_error_status(error), detail, Ending::kRefused, parse_error_name(error));
}

void ClientConn::stop_reading() {
  state_ = State::kRefused;
  if (arriving_head()) stream_->keep_facts(*arriving_head());  // what of it has arrived
  release_head();
  stream_->forbid_keep_alive();
}

// Pipelined requests that were read ahead, once their turn has come.
void ClientConn::feed_ahead() {
  while (ahead_ && reads_requests()) {
    ahead_->used += feed({}, ahead_->rest(), BodyRun(ahead_->bytes.data()));
    if (ahead_->rest().empty()) ahead_.reset();
  }
  account();
}

uint64_t ClientConn::receive_credit() {
  switch (state_) {
    case State::kIdle:
    case State::kHead:
      return ahead_ ? 0 : limits::kPipelineBytes;  // first what has come
    case State::kBody:
      return stream_->request_credit();
    case State::kResponding:
      // The client's next request can wait where it is; its leaving is watched for. Where a FIN is
      // no leaving, only a receive tells it from a reset.
      return stream_->half_close_allowed() && !ahead_ && !lost_ahead_ ? 1 : 0;
    case State::kRefused:
    case State::kLeaving:
      break;
  }
  return 0;
}

SlotPool& ClientConn::receive_pool() {
  return memory_.http_message;
}

// As where its bytes were received: stalled event streams cannot keep others from being answered.
SlotPool& ClientConn::send_pool() {
  bool small = stream_ && stream_->event_stream() && !stream_->wide();
  return small ? memory_.sse_event : memory_.http_message;
}

// --- the client leaves ---

uint32_t ClientConn::watch_events() {
  // Where a FIN is allowed a poll would report it for ever (the kernel adds POLLRDHUP to every
  // mask), also while bytes before it are unread: a reset shows with the next write then, a
  // heartbeat at the latest. While a head arrives its route is not known, and nothing to be told.
  if (!stream_ || state_ == State::kHead || receive_ended()) return 0;
  return stream_->half_close_allowed() ? 0 : POLLRDHUP;
}

void ClientConn::on_hang_up(uint32_t events) {
  // Asked for under an earlier request's route. A FIN behind a request that is yet to be read may
  // be allowed by its route: the receive tells of it when that has been read.
  bool only_fin = (events & (POLLERR | POLLHUP)) == 0;
  bool unread = !stream_ || state_ == State::kHead;
  if (only_fin && (unread || stream_->half_close_allowed())) return;
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
  if (stream_ && arriving_head()) stream_->keep_facts(*arriving_head());
  if (stream_) stream_->on_client_gone(ending);
  // It may have shut down its sending side only, and read on: what the connection delimits must not
  // end in order for it.
  bool reset = ending == Ending::kClientStalled || (stream_ && stream_->close_delimited());
  close(reset ? CloseMode::kReset : CloseMode::kOrderly);
}

void ClientConn::drop() {
  // As after --write-timeout: if memory is short, the client's unread bytes go, too.
  bool stood_still = stream_ && stream_->ending() == Ending::kOverloaded;
  bool reset = stood_still || (stream_ && stream_->close_delimited());
  close(reset ? CloseMode::kReset : CloseMode::kOrderly);
}

void ClientConn::on_closed() {
  release_head();
  ahead_.reset();
  if (stream_) stream_->client_released();
  stream_ = nullptr;
  keeper_.client_closed(*this);
}

// --- sending responses ---

void ClientConn::fit_send_buffer() {
  grown_ = stream_->fast() && route_.sndbuf > 0;
  uint64_t bytes = route_.sndbuf;
  if (grown_) bytes = std::max(bytes, stream_->settings().socket_buffer_max);
  set_send_buffer(fd(), bytes);
}

void ClientConn::prepare_flush() {
  if (!stream_) {
    if (ahead_) feed_ahead();
    // After a FIN no request can be completed any more.
    if (receive_ended() && reads_requests()) client_gone(Ending::kClientLeft);
    if (!stream_ || closing()) return;
  }
  if (send_in_flight()) return;
  if (stream_->aborted() && abort_due() && !stream_->response().has_work())
    finish_aborted();
  else if (!stream_->aborted() && stream_->response().complete())
    finish_response();
}

// A FIN overtakes nothing. But a client that unpacks what it reads may see the end first.
bool ClientConn::abort_due() const {
  bool waits = stream_->close_delimited() || stream_->response().packer();
  return !waits || stream_->abort_due();
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
    linger_after_response();
}

void ClientConn::linger_after_response() {
  // A drain does not wait for an upload that has its answer.
  if (state_ == State::kResponding || context().draining)
    linger(limits::kLingerMs, limits::kLingerMs);
  else
    linger(limits::kUploadLingerMs, limits::kUploadSilenceMs);
}

void ClientConn::on_sent(uint64_t bytes) {
  stream_->on_client_sent(stream_->response().sent(bytes));
}

// In the midst of a response, as after most events.
bool ClientConn::settled() {
  if (!stream_) return false;
  const Outbox& response = stream_->response();
  return !response.has_work() && !response.finished() && !stream_->aborted();
}

// Another request may follow the response that is being sent.
bool ClientConn::reusable() const {
  // After a FIN that was allowed, requests that came before it are still to be answered.
  bool more_to_come = !receive_ended() || ahead_;
  return state_ == State::kResponding && stream_->keep_alive() && more_to_come && !lost_ahead_ &&
         !context().draining && !sending_ended();
}

void ClientConn::finish_response() {
  bool keeps_open = reusable();
  stream_->on_client_done();
  stream_->client_released();
  stream_ = nullptr;
  if (!keeps_open) {
    linger_after_response();
    return;
  }
  state_ = State::kIdle;
  served_ = true;
  state_since_ms_ = loop().now_ms();
  if (route_.keepalive_timeout_ms > 0) schedule(state_since_ms_ + route_.keepalive_timeout_ms);
  if (ahead_) wake();
}

void ClientConn::drain() {
  if (stream_)
    stream_->forbid_keep_alive();
  else if (lingering())
    linger(limits::kLingerMs, limits::kLingerMs);
  else if (!closing())
    close(CloseMode::kOrderly);
}

void ClientConn::shut_down() {
  if (stream_ && stream_->tell_shut_down()) return;
  if (stream_) stream_->shut_down();
  drop();
}

// --- time ---

void ClientConn::refuse_late(Refusal refusal) {
  stop_reading();
  stream_->refuse_late(refusal);
}

void ClientConn::on_timer() {
  uint64_t now_ms = loop().now_ms();
  if (lingering()) {
    check_linger();
    return;
  }
  uint64_t header_due = state_since_ms_ + route_.header_timeout_ms;
  if (state_ == State::kIdle) {
    // A connection that never sent a request gets the header's time, one that did the idle time.
    uint64_t timeout_ms = served_ ? route_.keepalive_timeout_ms : route_.header_timeout_ms;
    if (timeout_ms == 0) return;
    if (now_ms >= state_since_ms_ + timeout_ms)
      close(CloseMode::kOrderly);
    else
      schedule(state_since_ms_ + timeout_ms);
    return;
  }
  if (state_ == State::kHead && route_.header_timeout_ms > 0) {
    if (now_ms >= header_due)
      refuse_late(Refusal::kHeaderTimeout);
    else
      schedule(header_due);
  }
  if (stream_) check_client();
}

void ClientConn::check_client() {
  // A body whose request came before its turn is waited for from then on.
  uint64_t silent_since_ms =
      state_ == State::kBody ? std::max(waiting_since_ms(), state_since_ms_) : loop().now_ms();
  uint64_t look_ms = TimerWheel::kNever;
  switch (stream_->late(silent_since_ms, send_still_since_ms(), &look_ms)) {
    case Stream::Late::kNothing:
      break;
    case Stream::Late::kBody:
      refuse_late(Refusal::kBodyTimeout);
      break;
    case Stream::Late::kResponse:
      client_gone(Ending::kClientStalled);
      return;
  }
  if (look_ms != TimerWheel::kNever) schedule(look_ms);
}

// --- who the client is ---

std::string ClientConn::client_ip() {
  return peer().known() ? peer().address().ip() : "";
}

// Asked anew for each request, since a reload may change the answer.
bool ClientConn::client_trusted() {
  return peer().known() && context().trusts(peer().address());
}

}  // namespace sluice
