#include "net/upstream/pool.h"

#include <cerrno>
#include <cstring>

#include "core/socket.h"

namespace sluice {

void UpstreamPool::acquire(Stream& stream, bool fresh) {
  while (!fresh && !idle_.empty()) {
    PooledConn* conn = idle_.front();
    remove_idle(*conn);
    if (conn->is_closing()) continue;
    if (!stream.repeatable() && !conn->usable()) {
      conn->retire();
      continue;
    }
    ++context_.metrics.upstream_reuses;
    conn->assign(stream, true);
    return;
  }
  bool room =
      settings_.upstream_max_connections == 0 || connections_ < settings_.upstream_max_connections;
  if (room) {
    if (!open(stream)) stream.on_no_upstream(Ending::kUnavailable, "no_socket");
    return;
  }
  enqueue(stream, fresh);
  stream.on_queued();
}

// A stream that tries again has waited its turn before, and goes to the front.
void UpstreamPool::enqueue(Stream& stream, bool front) {
  stream.needs_fresh = front;
  if (front)
    waiting_.push_front(stream);
  else
    waiting_.push_back(stream);
}

bool UpstreamPool::open(Stream& stream) {
  ++context_.metrics.upstream_connects;
  int fd = open_stream_socket(address().storage.ss_family);
  if (fd < 0) {
    ++context_.metrics.upstream_connect_errors;
    context_.warn("no socket for " + upstream_.url + ": " + std::strerror(errno));
    return false;
  }
  // Before the connect: the window that is announced follows from it.
  set_receive_buffer(fd, settings_.upstream_rcvbuf);
  if (!address().is_unix() && settings_.upstream_tcp_keepalive_ms > 0)
    set_keepalive(fd, settings_.upstream_tcp_keepalive_ms);
  ++connections_;
  ++counts_.connections;
  connector_.connect(*this, fd).assign(stream, false);
  return true;
}

void UpstreamPool::release(PooledConn& conn) {
  // Waiting requests may not be repeatable. If the connection ends, conn_closed() opens another.
  bool passed_on = !waiting_.empty() && conn.usable();
  bool kept = waiting_.empty() && !context_.draining && idle_count_ < settings_.upstream_keepalive;
  Stream* next = passed_on ? pop_waiting(/*reused=*/true) : nullptr;
  if (next) {
    ++context_.metrics.upstream_reuses;
    conn.assign(*next, true);
  } else if (!kept) {
    conn.retire();
  } else {
    push_idle(conn);
    if (settings_.upstream_keepalive_timeout_ms > 0)
      conn.rest(context_.loop.now_ms() + settings_.upstream_keepalive_timeout_ms);
  }
}

void UpstreamPool::conn_closed(PooledConn& conn) {
  --connections_;
  --counts_.connections;
  ++context_.metrics.upstream_connections_closed;
  remove_idle(conn);
  Stream* stream = pop_waiting(/*reused=*/false);
  while (stream && !open(*stream)) {
    stream->on_no_upstream(Ending::kUnavailable, "no_socket");
    stream = pop_waiting(/*reused=*/false);
  }
  watcher_.connection_closed();
}

void UpstreamPool::push_idle(PooledConn& conn) {
  idle_.push_front(conn);
  ++idle_count_;
  ++counts_.idle;
}

void UpstreamPool::remove_idle(PooledConn& conn) {
  if (!conn.in_idle.linked()) return;
  idle_.remove(conn);
  --idle_count_;
  --counts_.idle;
}

// The first in the queue; for a reused connection the first that may have one.
Stream* UpstreamPool::pop_waiting(bool reused) {
  Stream* stream = waiting_.front();
  while (stream && reused && stream->needs_fresh) stream = waiting_.next(*stream);
  if (stream) forget(*stream);
  return stream;
}

void UpstreamPool::forget(Stream& stream) {
  waiting_.remove(stream);
}

void UpstreamPool::close_idle() {
  for (PooledConn* conn = idle_.front(); conn; conn = idle_.next(*conn)) conn->retire();
}

UpstreamPools::UpstreamPools(WorkerContext& context, Connector& connector, CloseWatcher& watcher)
    : context_(context), connector_(connector) {
  for (const Route& route : context.config.routes) {
    Group& group = groups_.emplace_back();
    for (const Upstream& upstream : route.upstreams)
      group.pools.push_back(
          std::make_unique<UpstreamPool>(context, connector, watcher, counts_, route, upstream));
  }
}

UpstreamPools::Group& UpstreamPools::group_of(const Stream& stream) {
  return groups_[static_cast<size_t>(&stream.route() - context_.config.routes.data())];
}

UpstreamPool& UpstreamPools::pool_of(const Stream& stream) {
  return *group_of(stream).pools[stream.upstream_index];
}

void UpstreamPools::choose(Stream& stream) {
  Group& group = group_of(stream);
  stream.upstream_index = static_cast<uint32_t>(group.next++ % group.pools.size());
}

void UpstreamPools::acquire(Stream& stream, bool fresh) {
  pool_of(stream).acquire(stream, fresh);
}

void UpstreamPools::forget(Stream& stream) {
  pool_of(stream).forget(stream);
}

void UpstreamPools::close_idle() {
  for (Group& group : groups_)
    for (auto& pool : group.pools) pool->close_idle();
}

}  // namespace sluice
