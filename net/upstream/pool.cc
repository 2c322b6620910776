#include "net/upstream/pool.h"

#include <cerrno>
#include <cstring>

#include "core/socket.h"

namespace sluice {

ConnectionSettings ConnectionSettings::of(const StreamSettings& settings) {
  return {.connections_max = settings.upstream_max_connections,
          .idle_max = settings.upstream_keepalive,
          .idle_ms = settings.upstream_keepalive_timeout_ms,
          .tcp_keepalive_ms = settings.upstream_tcp_keepalive_ms,
          .receive_buffer = settings.upstream_rcvbuf,
          .paced = settings.pace_ms > 0};
}

void UpstreamPool::acquire(Stream& stream, bool fresh) {
  while (!fresh && !idle_.empty()) {
    PooledConn* conn = idle_.front();
    remove_idle(*conn);
    if (conn->is_closing()) continue;
    if (!stream.repeatable() && !conn->usable()) {
      conn->retire();
      continue;
    }
    ++context().metrics.upstream_reuses;
    conn->assign(stream, true);
    return;
  }
  bool room = settings_.connections_max == 0 || connections_ < settings_.connections_max;
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
  ++context().metrics.upstream_connects;
  int fd = open_stream_socket(address().storage.ss_family);
  if (fd < 0) {
    ++context().metrics.upstream_connect_errors;
    context().warn("no socket for " + upstream_.url + ": " + std::strerror(errno));
    return false;
  }
  // Before the connect: the window that is announced follows from it.
  set_receive_buffer(fd, settings_.receive_buffer);
  if (!address().is_unix() && settings_.tcp_keepalive_ms > 0)
    set_keepalive(fd, settings_.tcp_keepalive_ms);
  ++connections_;
  ++shared_.counts.connections;
  shared_.connector.connect(*this, fd).assign(stream, false);
  return true;
}

void UpstreamPool::release(PooledConn& conn) {
  // Waiting requests may not be repeatable. If the connection ends, conn_closed() opens another.
  bool passed_on = !waiting_.empty() && conn.usable();
  bool kept =
      waiting_.empty() && !retired_ && !context().draining && idle_count_ < settings_.idle_max;
  Stream* next = passed_on ? pop_waiting(/*reused=*/true) : nullptr;
  if (next) {
    ++context().metrics.upstream_reuses;
    conn.assign(*next, true);
  } else if (!kept) {
    conn.retire();
  } else {
    push_idle(conn);
    if (settings_.idle_ms > 0) conn.rest(context().loop.now_ms() + settings_.idle_ms);
  }
}

void UpstreamPool::conn_closed(PooledConn& conn) {
  --connections_;
  --shared_.counts.connections;
  ++context().metrics.upstream_connections_closed;
  remove_idle(conn);
  Stream* stream = pop_waiting(/*reused=*/false);
  while (stream && !open(*stream)) {
    stream->on_no_upstream(Ending::kUnavailable, "no_socket");
    stream = pop_waiting(/*reused=*/false);
  }
  shared_.watcher.connection_closed();
}

void UpstreamPool::push_idle(PooledConn& conn) {
  idle_.push_front(conn);
  ++idle_count_;
  ++shared_.counts.idle;
}

void UpstreamPool::remove_idle(PooledConn& conn) {
  if (!conn.in_idle.linked()) return;
  idle_.remove(conn);
  --idle_count_;
  --shared_.counts.idle;
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

}  // namespace sluice
