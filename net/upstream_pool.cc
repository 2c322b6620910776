#include "net/upstream_pool.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/socket.h"
#include "net/gateway.h"

namespace sluice {

void UpstreamPool::acquire(Stream& stream, bool fresh) {
  while (!fresh && !idle_.empty()) {
    UpstreamConn* conn = idle_.back();
    idle_.pop_back();
    if (conn->closing()) continue;
    ++gateway_.metrics().upstream_reuses;
    conn->assign(stream, true);
    return;
  }
  bool room =
      settings_.upstream_max_connections == 0 || connections_ < settings_.upstream_max_connections;
  if (room) {
    if (!open(stream)) stream.on_no_upstream(Ending::kUnavailable);
    return;
  }
  enqueue(stream, fresh);
  stream.on_queued();
}

// A stream that tries again has waited its turn before, and goes to the front.
void UpstreamPool::enqueue(Stream& stream, bool front) {
  Stream** link = front ? &waiting_head_ : waiting_tail_;
  stream.needs_fresh = front;
  stream.next_waiting = *link;
  stream.waiting_link = link;
  if (*link)
    (*link)->waiting_link = &stream.next_waiting;
  else
    waiting_tail_ = &stream.next_waiting;
  *link = &stream;
}

bool UpstreamPool::open(Stream& stream) {
  ++gateway_.metrics().upstream_connects;
  int fd = open_stream_socket(address().storage.ss_family);
  if (fd < 0) {
    ++gateway_.metrics().upstream_connect_errors;
    gateway_.warn("no socket for " + upstream_.url + ": " + std::strerror(errno));
    return false;
  }
  // Before the connect: the window that is announced follows from it.
  set_receive_buffer(fd, settings_.upstream_rcvbuf);
  ++connections_;
  // Deletes itself when it has closed.
  auto* conn = new UpstreamConn(gateway_, *this, fd);
  conn->assign(stream, false);
  return true;
}

void UpstreamPool::release(UpstreamConn& conn) {
  if (Stream* stream = pop_waiting(/*reused=*/true)) {
    ++gateway_.metrics().upstream_reuses;
    conn.assign(*stream, true);
  } else if (gateway_.draining() || idle_.size() >= settings_.upstream_keepalive) {
    conn.retire();
  } else {
    idle_.push_back(&conn);
    if (settings_.upstream_keepalive_timeout_ms > 0)
      conn.rest(gateway_.loop().now_ms() + settings_.upstream_keepalive_timeout_ms);
  }
}

void UpstreamPool::conn_closed(UpstreamConn& conn) {
  --connections_;
  ++gateway_.metrics().upstream_connections_closed;
  std::erase(idle_, &conn);
  Stream* stream = pop_waiting(/*reused=*/false);
  while (stream && !open(*stream)) {
    stream->on_no_upstream(Ending::kUnavailable);
    stream = pop_waiting(/*reused=*/false);
  }
  gateway_.stop_if_done();
}

// The first in the queue; for a reused connection the first that may have one.
Stream* UpstreamPool::pop_waiting(bool reused) {
  Stream* stream = waiting_head_;
  while (stream && reused && stream->needs_fresh) stream = stream->next_waiting;
  if (stream) forget(*stream);
  return stream;
}

void UpstreamPool::forget(Stream& stream) {
  *stream.waiting_link = stream.next_waiting;
  if (stream.next_waiting)
    stream.next_waiting->waiting_link = stream.waiting_link;
  else
    waiting_tail_ = stream.waiting_link;
  stream.waiting_link = nullptr;
}

void UpstreamPool::close_idle() {
  for (UpstreamConn* conn : idle_) conn->retire();
}

UpstreamPools::UpstreamPools(Gateway& gateway, const Config& config) : config_(config) {
  for (const Route& route : config.routes) {
    Group& group = groups_.emplace_back();
    for (const Upstream& upstream : route.upstreams)
      group.pools.push_back(std::make_unique<UpstreamPool>(gateway, route, upstream));
  }
}

UpstreamPool& UpstreamPools::pool_of(Stream& stream) {
  Group& group = groups_[static_cast<size_t>(&stream.route() - config_.routes.data())];
  return *group.pools[stream.upstream_index];
}

void UpstreamPools::acquire(Stream& stream, bool fresh) {
  if (!fresh) {
    Group& group = groups_[static_cast<size_t>(&stream.route() - config_.routes.data())];
    stream.upstream_index = static_cast<uint32_t>(group.next++ % group.pools.size());
  }
  pool_of(stream).acquire(stream, fresh);
}

void UpstreamPools::forget(Stream& stream) {
  pool_of(stream).forget(stream);
}

void UpstreamPools::close_idle() {
  for (Group& group : groups_)
    for (auto& pool : group.pools) pool->close_idle();
}

size_t UpstreamPools::connections() const {
  size_t count = 0;
  for (const Group& group : groups_)
    for (const auto& pool : group.pools) count += pool->connections();
  return count;
}

size_t UpstreamPools::idle() const {
  size_t count = 0;
  for (const Group& group : groups_)
    for (const auto& pool : group.pools) count += pool->idle();
  return count;
}

}  // namespace sluice
