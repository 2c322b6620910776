#include "net/upstream/pool.h"

namespace sluice {

namespace {

// Closing a connection takes some ten microseconds.
constexpr uint64_t kCloseEveryUs = 20;

}  // namespace

ConnectionSettings ConnectionSettings::of(const StreamSettings& settings) {
  return {.idle_max = settings.upstream_keepalive,
          .idle_ms = settings.upstream_keepalive_timeout_ms,
          .tcp_keepalive_ms = settings.upstream_tcp_keepalive_ms,
          .receive_buffer = settings.upstream_rcvbuf,
          .receive_buffer_max = settings.socket_buffer_max,
          .paced = settings.pace_ms > 0};
}

void UpstreamPool::acquire(Stream& stream, bool fresh) {
  while (!fresh && !idle_.empty()) {
    PooledConn* conn = idle_.front();
    remove_idle(*conn);
    if (conn->is_closing()) continue;
    if (!conn->usable()) {
      conn->retire();
      continue;
    }
    ++context().metrics.upstream_reuses;
    conn->assign(stream, true);
    return;
  }
  // A stream that tries again has waited its turn before, and goes to the front.
  if ((fresh || queue_.empty()) && queue_.take_place(context().loop.now_ms())) {
    open_for(stream);
    return;
  }
  if (!queue_.resolved() && !owner_.awaits_address()) {
    stream.on_no_upstream(Ending::kUpstreamUnresolved, owner_.why_no_address());
    return;
  }
  stream.outgoing().needs_fresh = fresh;
  if (!queue_.join(stream, fresh, stream.settings().upstream_max_pending)) {
    stream.on_no_upstream(Ending::kUnavailable, "too_many_pending");
    return;
  }
  if (queue_.resolved())
    stream.on_queued();
  else
    stream.on_resolving();
  owner_.make_room(*this, fresh);
}

void UpstreamPool::open_for(Stream& stream) {
  ++context().metrics.upstream_connects;
  ++connections_;
  ++shared_.counts.connections;
  shared_.connector.connect(*this).assign(stream, false);
}

void UpstreamPool::use_tls_of(const Upstream& upstream) {
  if (tls_ == upstream.tls) return;
  tls_ = upstream.tls;
  ++tls_changes_;
  close_idle();
}

void UpstreamPool::release(PooledConn& conn) {
  // Waiting requests may not be repeatable, or may want another kind of connection. If this one
  // ends, its place is theirs.
  bool waited_for = !queue_.empty();
  bool right_one = owner_.has_address(conn.peer()) && conn.made_by() == tls_changes_;
  bool kept = right_one && !waited_for && !retired_ && !context().draining &&
              idle_count_ < settings_.idle_max && queue_.unwanted() == 0;
  Stream* next = waited_for && right_one && conn.usable() ? next_waiting() : nullptr;
  if (next) {
    queue_.remove(*next);
    ++context().metrics.upstream_reuses;
    conn.assign(*next, true);
  } else if (!kept) {
    conn.retire();
  } else {
    push_idle(conn);
    if (settings_.idle_ms > 0) conn.rest(context().loop.now_ms() + settings_.idle_ms);
    owner_.went_idle();
  }
}

void UpstreamPool::conn_closed(PooledConn& conn) {
  --connections_;
  queue_.give_place_back();
  --shared_.counts.connections;
  ++context().metrics.upstream_connections_closed;
  remove_idle(conn);
  owner_.place_is_free();
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

// The first in the queue. Null, where that one wants another kind, or a fresh one, or another
// worker's comes first: nobody behind it is served before it.
Stream* UpstreamPool::next_waiting() const {
  Stream* stream = queue_.front();
  bool next = stream && !stream->outgoing().needs_fresh && owner_.belongs_to(*stream, *this) &&
              queue_.may_keep_for(*stream);
  return next ? stream : nullptr;
}

void UpstreamPool::close_idle() {
  for (PooledConn* conn = idle_.front(); conn; conn = idle_.next(*conn)) conn->retire();
}

void UpstreamPool::close_idle_from(uint64_t& at_us) {
  for (PooledConn* conn = idle_.front(); conn; conn = idle_.next(*conn), at_us += kCloseEveryUs)
    conn->rest(at_us / 1000);
}

void UpstreamPool::close_idle_elsewhere() {
  for (PooledConn* conn = idle_.front(); conn; conn = idle_.next(*conn))
    if (!owner_.has_address(conn->peer())) conn->retire();
}

bool UpstreamPool::close_one_idle() {
  PooledConn* oldest = nullptr;
  for (PooledConn* conn = idle_.front(); conn; conn = idle_.next(*conn))
    if (!conn->is_closing()) oldest = conn;
  if (!oldest) return false;
  oldest->retire();
  return true;
}

}  // namespace sluice
