#include "net/gateway/clients.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "core/check.h"
#include "core/socket.h"
#include "net/base/limits.h"
#include "net/tls/tls_server.h"

namespace sluice {

namespace {

// As the loop's table of targets has it (core/loop.cc).
constexpr size_t kClientsReserved = 1 << 15;

}  // namespace

Clients::Clients(Streams& streams, ClientLimit& limit, CloseWatcher& watcher)
    : ClientKeeper(streams), limit_(limit), watcher_(watcher), pace_(context().loop) {
  clients_.reserve(kClientsReserved);
}

Clients::~Clients() {
  SLUICE_CHECK(clients_.empty());
}

void Clients::listen(const std::vector<ListeningSocket>& sockets) {
  for (const auto& [identity, fd, options] : sockets) {
    auto* listener =
        new Listener(context().loop, limit_, context().default_settings(), *this, fd, options);
    listeners_.push_back({identity, listener, options.tls});
  }
}

void Clients::reload() {
  std::vector<std::string> wanted;
  for (const Listen& address : context().config().listen) wanted.push_back(address.identity());
  std::erase_if(listeners_, [&](const Listening& listening) {
    auto found = std::ranges::find(wanted, listening.identity);
    bool stays = found != wanted.end();
    if (stays) {
      wanted.erase(found);  // an address with port 0 may be there twice
      listening.listener->apply(context().default_settings());
    } else {
      listening.listener->retire();
    }
    return !stays;
  });
  hold_handshakes(handshakes_ >= context().config().tls_handshakes_max);
}

bool Clients::enter(int fd) {
  if (context().draining) {  // its listener was about to close
    close_socket(fd);
    return false;
  }
  limit_.enter();
  ++context().metrics.client_connections;
  return true;
}

void Clients::keep(AcceptedConn& conn) {
  conn.place = static_cast<uint32_t>(clients_.size());
  clients_.push_back(&conn);
}

void Clients::accepted(int fd, std::unique_ptr<Transform> transform) {
  if (!enter(fd)) return;
  if (transform) handshake_began();
  keep(begin({fd}, std::move(transform)));
}

// Connections delete themselves when they have closed, or handed over.
void Clients::accepted(int fd, const ListenOptions& options) {
  // A listener that a reload has retired may still have some, when there are no certificates left.
  if (options.tls && !context().config().tls_server) return close_socket(fd);
  if (!enter(fd)) return;
  ConnStart start{.fd = fd, .arrival = {.redirect_port = options.redirect_port}};
  if (options.tls) handshake_began();
  if (options.proxy_protocol)
    keep(*new ProxyConn(context().memory, *this, std::move(start),
                        context().default_settings().header_timeout_ms, options.tls));
  else
    keep(begin(std::move(start), options.tls ? make_tls() : nullptr));
}

std::unique_ptr<Transform> Clients::make_tls() {
  return accept_tls(context().config().tls_server, context().metrics.tls);
}

AcceptedConn& Clients::begin(ConnStart start, std::unique_ptr<Transform> transform,
                             std::string_view first) {
  if (!transform) return make_client(std::move(start), Protocol::kHttp1, first);
  start.wire = std::make_unique<WireQueue>(context().memory, std::move(transform));
  if (!first.empty()) start.wire->received({}, first, context().memory.http_message);
  return *new Handshake(context().memory, *this, std::move(start),
                        context().config().tls_handshake_timeout_ms);
}

void Clients::proxy_header_done(ProxyConn& conn, ConnStart start, std::string_view first) {
  ++context().metrics.proxy_headers[static_cast<unsigned>(conn.result())];
  // Where a reload has taken the certificates away meanwhile, what it began with is gone.
  if (conn.tls() && !context().config().tls_server) {
    close_socket(start.fd);
    handshake_ended();
    client_closed(conn);
    return;
  }
  AcceptedConn& next = begin(std::move(start), conn.tls() ? make_tls() : nullptr, first);
  take_place(next, conn);
  if (context().draining) next.drain();
}

void Clients::proxy_closed(ProxyConn& conn) {
  ++context().metrics.proxy_headers[static_cast<unsigned>(conn.result())];
  client_closed(conn);
  if (conn.tls()) handshake_ended();
}

void Clients::handshake_done(Handshake& handshake, ConnStart start) {
  // What ALPN has agreed to (RFC 9113 section 3.2).
  bool http2 = start.wire->protocol() == "h2";
  take_place(make_client(std::move(start), http2 ? Protocol::kHttp2 : Protocol::kHttp1), handshake);
  pace_.forget(handshake);
  handshake_ended();
}

void Clients::http2_began(AcceptedConn& conn, ConnStart start, std::string_view first) {
  AcceptedConn& next = make_client(std::move(start), Protocol::kHttp2, first);
  take_place(next, conn);
  if (context().draining) next.drain();
}

void Clients::take_place(AcceptedConn& conn, const AcceptedConn& of) {
  conn.place = of.place;
  clients_[conn.place] = &conn;
}

void Clients::handshake_closed(Handshake& handshake) {
  client_closed(handshake);
  pace_.forget(handshake);
  handshake_ended();
}

void Clients::handshake_began() {
  if (++handshakes_ == context().config().tls_handshakes_max) hold_handshakes(true);
}

void Clients::handshake_ended() {
  --handshakes_;
  hold_handshakes(handshakes_ >= context().config().tls_handshakes_max);
}

bool Clients::handshakes_are_crowded() const {
  return handshakes_ >= context().config().tls_handshakes_max;
}

// Those who come meanwhile wait in the backlog.
void Clients::hold_handshakes(bool hold) {
  for (Listening& listening : listeners_)
    if (listening.tls) listening.listener->hold(hold);
}

AcceptedConn& Clients::make_client(ConnStart start, Protocol protocol, std::string_view first) {
  if (protocol == Protocol::kHttp2)
    return *new Http2ClientConn(*this, streams(), std::move(start), first);
  return *new ClientConn(*this, std::move(start), first);
}

bool Clients::take_place_for_request() {
  if (limit_.full()) {
    warn_full();
    return false;
  }
  limit_.enter();
  for (Listening& listening : listeners_) listening.listener->check_room();
  return true;
}

void Clients::give_place_back() {
  limit_.leave();
  for (Listening& listening : listeners_) listening.listener->client_left();
}

void Clients::on_full() {
  ++context().metrics.accept_pauses;
  warn_full();
}

void Clients::warn_full() {
  warn_seldom(full_warning_due_ms_, "RLIMIT_NOFILE leaves room for " +
                                        std::to_string(limit_.most()) +
                                        " clients; others wait until one leaves");
}

void Clients::on_accept_error(int error) {
  ++context().metrics.accept_pauses;
  ++context().metrics.accept_errors;
  warn_seldom(accept_warning_due_ms_, std::string("cannot accept clients: ") +
                                          std::strerror(error) + "; it is tried again and again");
}

void Clients::warn_seldom(uint64_t& due_ms, std::string_view text) {
  uint64_t now_ms = context().loop.now_ms();
  if (now_ms < due_ms) return;
  due_ms = now_ms + limits::kAcceptWarningMs;
  context().warn(text);
}

void Clients::client_closed(AcceptedConn& conn) {
  ++context().metrics.client_connections_closed;
  clients_[conn.place] = clients_.back();
  clients_[conn.place]->place = conn.place;
  clients_.pop_back();
  give_place_back();
  watcher_.connection_closed();
}

void Clients::housekeep() {
  for (Listening& listening : listeners_) listening.listener->check_room();
}

void Clients::drain() {
  for (Listening& listening : listeners_) listening.listener->close();
  listeners_.clear();
  for (AcceptedConn* conn : clients_) conn->drain();
}

// From the back: a client that leaves meanwhile gives its place to the last one, so that clients
// not yet ended stay in front of ended ones.
bool Clients::end_some() {
  constexpr uint64_t kStepsMax = limits::kEndingMs / limits::kEndingStepMs;
  // An abort takes a moment, also of the last ones.
  constexpr uint64_t kSteps = kStepsMax - limits::kAbortDelayMs / limits::kEndingStepMs - 2;
  if (ending_steps_ == 0) to_end_ = not_ended_ = clients_.size();
  if (++ending_steps_ > kStepsMax) return true;
  uint64_t ended = (to_end_ * std::min(ending_steps_, kSteps) + kSteps - 1) / kSteps;
  not_ended_ = std::min(not_ended_, clients_.size());
  while (not_ended_ > to_end_ - ended) clients_[--not_ended_]->shut_down();
  return false;
}

void Clients::drop_all() {
  for (AcceptedConn* conn : clients_) conn->drop();
}

}  // namespace sluice
