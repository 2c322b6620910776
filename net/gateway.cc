#include "net/gateway.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <sys/socket.h>
#include <utility>

#include "core/check.h"
#include "core/clock.h"
#include "core/limits.h"
#include "core/socket.h"
#include "core/text.h"
#include "net/client_address.h"
#include "net/client_conn.h"
#include "net/http1_rewrite.h"
#include "net/stream.h"

namespace sluice {

namespace {

constexpr uint64_t kHousekeepingMs = 1000;
constexpr size_t kHeadsKept = 64;

const StreamSettings& before_a_route(const Config& config) {
  const Route* route = find_route(config, "/");
  return route ? route->settings : config.defaults;
}

// What ends an accept without a fault of ours: we asked for it, or the connection itself had
// failed.
bool next_may_be_fine(int error) {
  switch (error) {
    case ECANCELED:
    case EINTR:
    case EAGAIN:
    case ECONNABORTED:
    case EPROTO:
    // Errors of the network, which Linux passes on when it accepts (accept(2)).
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
      return true;
    default:
      return false;
  }
}

}  // namespace

// --- Listener ---

Listener::Listener(Gateway& gateway, int fd)
    : gateway_(gateway), timer_(this), fd_(fd), index_(gateway.loop().attach(this)) {
  // Accepted sockets inherit these, which spares several system calls for each.
  set_no_delay(fd);
  set_keepalive(fd, gateway.default_settings().client_tcp_keepalive_ms);
  set_send_buffer(fd, gateway.default_settings().client_sndbuf);
  set_unsent_low_water(fd, gateway.default_settings().client_notsent_lowat);
  arm();
}

Listener::~Listener() {
  SLUICE_CHECK(fd_ < 0);
}

void Listener::arm() {
  if (armed_ || closing_) return;
  ClientLimit& limit = gateway_.client_limit();
  if (limit.full()) {
    if (!std::exchange(awaits_room_, true)) gateway_.on_full();
    rest();
    return;
  }
  awaits_room_ = false;
  armed_ = true;
  Ring& ring = gateway_.loop().ring();
  multishot_ = ring.features().multishot_accept && limit.reserve_backlog();
  backlog_reserved_ = multishot_;
  ring.accept(fd_, multishot_, gateway_.loop().begin(index_, OpKind::kAccept));
}

void Listener::on_completion(OpKind kind, const Completion& completion) {
  if (kind == OpKind::kAccept) {
    if (!completion.more()) {
      armed_ = false;
      if (std::exchange(backlog_reserved_, false)) gateway_.client_limit().return_backlog();
    }
    if (completion.result >= 0) {
      if (closing_)
        close_socket(completion.result);
      else
        gateway_.accepted(completion.result);
    }
    check_room();
    if (completion.result >= 0 || next_may_be_fine(-completion.result)) {
      arm();
    } else if (!closing_) {
      gateway_.on_accept_error(-completion.result);
      rest();
    }
  }
  // As with connections: the kernel may not have found it.
  bool missed = kind == OpKind::kCancel && completion.result == -ENOENT;
  if (missed && armed_ && !multishot_ && !closing_) cancel();
  if (closing_) gateway_.loop().flush_later(*this);
}

// Those who leave another worker's are not heard of here.
void Listener::rest() {
  gateway_.loop().timers().schedule(timer_, gateway_.loop().now_ms() + limits::kAcceptPauseMs);
}

void Listener::on_timer() {
  arm();
}

void Listener::check_room() {
  if (armed_ && multishot_ && !gateway_.client_limit().backlogs_fit()) cancel();
}

void Listener::client_left() {
  if (!awaits_room_) return;
  gateway_.loop().timers().cancel(timer_);
  arm();
}

void Listener::cancel() {
  Loop& loop = gateway_.loop();
  multishot_ = false;
  if (armed_)
    loop.ring().cancel(loop.id_of(index_, OpKind::kAccept), loop.begin(index_, OpKind::kCancel));
}

void Listener::close() {
  closing_ = true;
  Loop& loop = gateway_.loop();
  loop.timers().cancel(timer_);
  // Wakes the accept, and clients are refused from now on, before the last completion is in.
  shutdown_socket(fd_);
  cancel();
  loop.flush_later(*this);
}

void Listener::on_flush() {
  if (!closing_ || fd_ < 0 || gateway_.loop().outstanding(index_) > 0) return;
  close_socket(fd_);
  fd_ = -1;
  gateway_.loop().detach(index_);
  gateway_.loop().destroy_later(std::unique_ptr<OpTarget>(this));
}

// --- Gateway ---

Gateway::Gateway(Loop& loop, Memory& memory, PoolBudget& budget, const Config& config,
                 const std::vector<int>& listeners, MessageLog& messages, AccessLog* access_log,
                 ClientLimit& client_limit, unsigned worker)
    : loop_(loop),
      memory_(memory),
      budget_(budget),
      config_(config),
      default_settings_(before_a_route(config)),
      http1_limits_{config.max_header_size, config.max_headers},
      messages_(messages),
      access_log_(access_log),
      client_limit_(client_limit),
      worker_(worker),
      timer_(this),
      metrics_(config.routes.size()),
      heads_(kHeadsKept),
      upstreams_(*this, config),
      via_("sluice-" + config.instance) {
  loop.add_turn_hook(*this);
  loop.timers().schedule(timer_, loop.now_ms() + kHousekeepingMs);
  for (int fd : listeners) listeners_.push_back(new Listener(*this, fd));
}

Gateway::~Gateway() {
  SLUICE_CHECK(clients_.empty() && !streams_);
}

std::string& Gateway::scratch() {
  scratch_.clear();
  return scratch_;
}

const Route* Gateway::find_route(std::string_view path) const {
  return sluice::find_route(config_, path);
}

bool Gateway::trusts(const Address& client) const {
  return in_any(config_.trusted_proxies, client);
}

std::string Gateway::request_id(const Stream& stream) const {
  std::array<char, 16> hex{};
  char* end = std::to_chars(hex.data(), hex.data() + hex.size(), stream.id(), 16).ptr;
  return config_.instance + '-' + std::string(hex.data(), end);
}

std::string_view Gateway::http_date() {
  uint64_t now_ms = wall_clock_ms();
  if (now_ms / 1000 != date_of_s_) {
    date_of_s_ = now_ms / 1000;
    date_ = sluice::http_date(now_ms);
  }
  return date_;
}

void Gateway::accepted(int fd) {
  client_limit_.enter();
  ++metrics_.client_connections;
  // Deletes itself when it has closed.
  auto* conn = new ClientConn(*this, fd);
  conn->place = clients_.size();
  clients_.push_back(conn);
}

void Gateway::on_full() {
  ++metrics_.accept_pauses;
  warn_seldom(full_warning_due_ms_, "RLIMIT_NOFILE leaves room for " +
                                        std::to_string(client_limit_.most()) +
                                        " clients; others wait until one leaves");
}

void Gateway::on_accept_error(int error) {
  ++metrics_.accept_pauses;
  ++metrics_.accept_errors;
  warn_seldom(accept_warning_due_ms_, std::string("cannot accept clients: ") +
                                          std::strerror(error) + "; it is tried again and again");
}

void Gateway::warn_seldom(uint64_t& due_ms, std::string_view text) {
  if (loop_.now_ms() < due_ms) return;
  due_ms = loop_.now_ms() + limits::kAcceptWarningMs;
  warn(text);
}

void Gateway::warn(std::string_view text) {
  messages_.write(LogLevel::kWarn, loop_.now_ms(), text);
}

void Gateway::client_closed(ClientConn& conn) {
  client_limit_.leave();
  ++metrics_.client_connections_closed;
  clients_[conn.place] = clients_.back();
  clients_[conn.place]->place = conn.place;
  clients_.pop_back();
  for (Listener* listener : listeners_) listener->client_left();
  stop_if_done();
}

Stream* Gateway::new_stream(ClientConn& conn) {
  ++metrics_.streams_started;
  // Ids are unique over workers.
  auto* stream = new Stream(*this, conn, ++streams_made_ << limits::kWorkerBits | worker_);
  stream->next_live = streams_;
  stream->live_link = &streams_;
  if (streams_) streams_->live_link = &stream->next_live;
  streams_ = stream;
  ++live_streams_;
  return stream;
}

void Gateway::event_stream_begun() {
  ++metrics_.event_streams;
  ++live_event_streams_;
}

void Gateway::stream_ended(Stream& stream) {
  ++metrics_.streams_ended;
  ++metrics_.endings[static_cast<unsigned>(stream.ending())];
  size_t route = stream.has_route() ? static_cast<size_t>(&stream.route() - config_.routes.data())
                                    : config_.routes.size();
  if (int status = stream.status(); status > 0 && status < RouteMetrics::kStatusMax)
    ++metrics_.routes[route].by_status[static_cast<size_t>(status)];
  else
    ++metrics_.routes[route].unanswered;
  log_ending(stream);
  if (access_log_) access_log_->write(stream, loop_.now_ns());
}

// What went wrong on the upstream's side or ours is worth a warning; the rest is for debugging.
void Gateway::log_ending(const Stream& stream) {
  Side side = ending_side(stream.ending());
  bool worth_a_warning = side == Side::kUpstream || side == Side::kSelf;
  LogLevel level = worth_a_warning ? LogLevel::kWarn : LogLevel::kDebug;
  if (!messages_.on(level)) return;
  std::string& text = scratch();
  text += ending_name(stream.ending());
  if (!stream.reason().empty()) {
    text += " (";
    text += stream.reason();
    text += ')';
  }
  text += ": ";
  append_json_escaped(text, stream.facts().method());
  text += ' ';
  append_json_escaped(text, stream.facts().target());
  text += " from ";
  text += stream.client_ip();
  text += " to ";
  text += stream.has_route() ? stream.upstream_url() : "no route";
  // Where the URL does not say it.
  if (const Upstream* upstream = stream.upstream_tried();
      upstream && !upstream->address.is_unix()) {
    std::string address = upstream->address.text();
    if (address != upstream->host) text += " (" + address + ')';
  }
  text += ", request ";
  append_json_escaped(text, stream.facts().id());
  text += ", after " + std::to_string(stream.events()) + " events";
  messages_.write(level, loop_.now_ms(), text);
}

void Gateway::bury(Stream* stream) {
  *stream->live_link = stream->next_live;
  if (stream->next_live) stream->next_live->live_link = stream->live_link;
  stream->live_link = nullptr;
  if (relieved_to_ == stream) relieved_to_ = stream->next_live;
  --live_streams_;
  if (stream->event_stream()) --live_event_streams_;
  graveyard_.emplace_back(stream);
}

void Gateway::on_turn_end() {
  SlotPool& events = memory_.sse_event;
  SlotPool& others = memory_.http_response;
  uint32_t leased = events.leased() + others.leased();
  graveyard_.clear();
  relieve_memory();
  // Slots that came back here have missed this turn's waiters.
  bool some_came_back = events.leased() + others.leased() < leased;
  if (some_came_back && (events.has_waiters() || others.has_waiters())) loop_.turn_again();
}

// Nothing is left to receive into: events that are held for being incomplete, and requests that are
// kept for being sent again, must not wait for the very slots that they hold, and a peer that takes
// nothing must not keep others waiting. A round over all streams, some in each turn.
void Gateway::relieve_memory() {
  const SlotPool& events = memory_.sse_event;
  const SlotPool& others = memory_.http_response;
  if (!events.exhausted() && !others.exhausted()) return;
  if (!relieved_to_) {
    if (loop_.now_ms() < relieve_again_ms_) return;
    relieve_again_ms_ = loop_.now_ms() + limits::kRelieveEveryMs;
    relieved_to_ = streams_;
  }
  for (unsigned i = 0; i < limits::kRelievedPerTurn && relieved_to_; ++i) {
    Stream* stream = std::exchange(relieved_to_, relieved_to_->next_live);
    for (const SlotPool* pool : {&events, &others})
      if (pool->exhausted()) stream->relieve_memory(*pool);
  }
  if (relieved_to_) loop_.turn_again();
}

void Gateway::on_timer() {
  if (ending_steps_ > 0) {
    end_some();
    return;
  }
  for (Listener* listener : listeners_) listener->check_room();
  memory_.sse_event.trim();
  memory_.http_response.trim();
  loop_.timers().schedule(timer_, loop_.now_ms() + kHousekeepingMs);
}

void Gateway::drain() {
  if (draining_) return;
  draining_ = true;
  for (Listener* listener : listeners_) listener->close();
  listeners_.clear();
  upstreams_.close_idle();
  for (ClientConn* conn : clients_) conn->drain();
  stop_if_done();
}

void Gateway::end_all() {
  drain();
  to_end_ = not_ended_ = clients_.size();
  end_some();
}

// From the back: a client that leaves meanwhile gives its place to the last one, so that who has
// not been ended stays in front of who has.
void Gateway::end_some() {
  constexpr uint64_t kSteps = limits::kEndingMs / limits::kEndingStepMs;
  if (++ending_steps_ > kSteps) {
    abort_all();
    return;
  }
  uint64_t ended = (to_end_ * ending_steps_ + kSteps - 1) / kSteps;
  not_ended_ = std::min(not_ended_, clients_.size());
  while (not_ended_ > to_end_ - ended) clients_[--not_ended_]->shut_down();
  loop_.timers().schedule(timer_, loop_.now_ms() + limits::kEndingStepMs);
}

void Gateway::abort_all() {
  drain();
  for (Stream* stream = streams_; stream;) {
    Stream* next = stream->next_live;
    stream->shut_down();
    stream = next;
  }
  for (ClientConn* conn : clients_) conn->drop();
}

void Gateway::stop_if_done() {
  if (draining_ && clients_.empty() && upstreams_.connections() == 0) loop_.stop();
}

void Gateway::snapshot(WorkerSnapshot& into) const {
  into.metrics = metrics_;
  into.ring = loop_.ring().counters();
  into.loop = loop_.counters();
  into.operations = loop_.operations();
  into.client_connections = clients_.size();
  into.upstream_connections = upstreams_.connections();
  into.upstream_idle = upstreams_.idle();
  into.streams = live_streams_;
  into.event_streams = live_event_streams_;
  for (const SlotPool* pool : {&memory_.sse_event, &memory_.http_response})
    into.pools.push_back({pool->name(), pool->slot_bytes(), pool->slots(), pool->provided(),
                          pool->free(), pool->leased(), pool->heap_blocks(), pool->high_water(),
                          pool->counters()});
}

void Gateway::list_streams(std::vector<StreamInfo>& into) const {
  size_t listed = 0;
  into.reserve(std::min(live_streams_, limits::kStreamsListed));
  for (Stream* stream = streams_; stream && listed < limits::kStreamsListed;
       stream = stream->next_live, ++listed) {
    into.push_back({.id = stream->id(),
                    .request_id = std::string(stream->facts().id()),
                    .worker = worker_,
                    .route = stream->has_route() ? stream->route().path : "",
                    .upstream = std::string(stream->upstream_url()),
                    .method = std::string(stream->facts().method()),
                    .target = std::string(stream->facts().target()),
                    .client = std::string(stream->client_ip()),
                    .phase = std::string(phase_name(stream->phase())),
                    .status = stream->status(),
                    .age_ms = (loop_.now_ns() - stream->started_ns()) / 1'000'000,
                    .events = stream->events(),
                    .bytes = stream->response_body_bytes(),
                    .window = stream->window(),
                    .backlog = stream->response().backlog(),
                    .held = stream->response().held(),
                    .event_stream = stream->event_stream(),
                    .stalled = stream->stalled()});
  }
}

}  // namespace sluice
