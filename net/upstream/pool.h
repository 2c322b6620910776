// The connections of one kind from one worker to one upstream: idle ones to use again (last in,
// first out). How many there may be, and the queue of streams that wait for one, are the
// endpoint's, for all its pools together. Owned by its endpoint, used on its worker's thread.
// Retired, where the configuration has no use for it any more, it serves the streams that it has,
// keeps nothing idle, and goes once it is empty.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/intrusive_list.h"
#include "net/config/config.h"
#include "net/context/worker_context.h"
#include "net/dns/resolver.h"
#include "net/stream/halves.h"
#include "net/stream/stream.h"
#include "net/transport/connect_race.h"
#include "net/upstream/connection_queue.h"

namespace sluice {

class UpstreamPool;

// A connection as its pool knows it; for its stream it is no more than the upstream's half.
class PooledConn : public UpstreamHalf {
 public:
  // Whether a request may still go out on it: no end has come, as far as the kernel knows.
  virtual bool usable() const = 0;
  virtual bool is_closing() const = 0;
  // Carries the stream's request from now on.
  virtual void assign(Stream& stream, bool reused) = 0;
  // Goes idle: closes itself at that time.
  virtual void rest(uint64_t until_ms) = 0;
  // Closes.
  virtual void retire() = 0;
  // What it is connected to; not known while it connects, nor of a unix socket.
  virtual const Ip& peer() const = 0;
  // Which of the pool's certificates it was made by: UpstreamPool::tls_changes() of that time.
  virtual uint16_t made_by() const = 0;

  // For the pool's list of idle ones.
  ListLink<PooledConn> in_idle;

 protected:
  ~PooledConn() = default;
};

// Makes connections of one protocol.
class Connector {
 public:
  // Connects to one of the pool's addresses. The connection tells the pool when it has closed.
  virtual PooledConn& connect(UpstreamPool& pool) = 0;
  virtual const RequestWriter& writer() const = 0;

 protected:
  ~Connector() = default;
};

// Of all pools together.
struct UpstreamCounts {
  size_t connections = 0;
  size_t idle = 0;
};

// What all pools of a worker share.
struct PoolContext {
  WorkerContext& context;
  Resolver& resolver;
  Connector& connector;
  CloseWatcher& watcher;
  UpstreamCounts counts = {};
};

// A pool's endpoint, as the pool knows it.
class PoolOwner {
 public:
  // A connection has closed: its place is the next waiting stream's.
  virtual void place_is_free() = 0;
  // A stream waits for a place: an idle connection of another pool gives way.
  // `fresh`: of that one, too, since the stream can have none of its idle ones.
  virtual void make_room(UpstreamPool& for_pool, bool fresh) = 0;
  // A connection has gone idle: it may be wanted elsewhere.
  virtual void went_idle() = 0;
  // The addresses of a new connection, in the order in which to try them.
  virtual std::vector<Address> addresses_to_try() = 0;
  virtual void address_tried(const Address& address, bool connected) = 0;
  // It is an address of the upstream still.
  virtual bool has_address(const Ip& address) const = 0;
  // No address is known, and one may come: the stream waits.
  virtual bool awaits_address() = 0;
  // Why there is none.
  virtual const char* why_no_address() const = 0;
  // It would be served by that pool.
  virtual bool belongs_to(const Stream& stream, const UpstreamPool& pool) const = 0;

 protected:
  ~PoolOwner() = default;
};

// What of a route's settings its connections to upstreams are made with.
struct ConnectionSettings {
  static ConnectionSettings of(const StreamSettings& settings);
  bool operator==(const ConnectionSettings&) const = default;

  uint64_t idle_max;
  uint64_t idle_ms;  // 0 = for ever
  uint64_t tcp_keepalive_ms;
  uint64_t receive_buffer;
  uint64_t receive_buffer_max;
  bool paced;
};

class UpstreamPool {
 public:
  UpstreamPool(PoolContext& shared, PoolOwner& owner, ConnectionQueue& queue,
               const Upstream& upstream, const ConnectionSettings& settings)
      : shared_(shared),
        owner_(owner),
        queue_(queue),
        url_(upstream.url),
        is_unix_(upstream.address.is_unix()),
        settings_(settings),
        tls_(upstream.tls) {}

  // Gives the stream a connection: idle (unless it needs a fresh one), new, or once one is free.
  void acquire(Stream& stream, bool fresh);
  // Opens a connection, whose place has been taken.
  void open_for(Stream& stream);
  // A connection that has done its response and may carry another request.
  void release(PooledConn& conn);
  void conn_closed(PooledConn& conn);
  void close_idle();
  // The same, but the i-th closes at the i-th of those times: so many at once would hold up
  // streams.
  void close_idle_from(uint64_t& at_us);
  // Those to what is no address of the upstream any more.
  void close_idle_elsewhere();
  // The one that was used least recently. False: there is none.
  bool close_one_idle();

  bool retired() const { return retired_; }
  void set_retired(bool retired) { retired_ = retired; }
  bool empty() const { return connections_ == 0; }
  bool has_idle() const { return idle_count_ > 0; }

  WorkerContext& context() const { return shared_.context; }
  const ConnectionSettings& settings() const { return settings_; }
  const std::string& url() const { return url_; }
  bool is_unix() const { return is_unix_; }
  // Null: its connections are plain.
  const std::shared_ptr<const TlsClient>& tls() const { return tls_; }
  // A reload has read certificates again: a connection that was made by the former ones gets no
  // further request.
  void use_tls_of(const Upstream& upstream);

  uint16_t tls_changes() const { return tls_changes_; }

  // For its connections, while they connect.
  std::vector<Address> addresses_to_try() { return owner_.addresses_to_try(); }
  SocketShape socket_shape() const {
    // A unix socket's receive buffer bounds nothing.
    return {settings_.receive_buffer, is_unix_ ? 0 : settings_.receive_buffer_max,
            settings_.tcp_keepalive_ms};
  }
  void address_connected(const Address& address) { owner_.address_tried(address, true); }
  void address_failed(const Address& address) { owner_.address_tried(address, false); }

 private:
  void push_idle(PooledConn& conn);
  void remove_idle(PooledConn& conn);
  Stream* next_waiting() const;

  PoolContext& shared_;
  PoolOwner& owner_;
  ConnectionQueue& queue_;
  const std::string url_;
  const bool is_unix_;
  const ConnectionSettings settings_;
  std::shared_ptr<const TlsClient> tls_;
  bool retired_ = false;
  uint16_t tls_changes_ = 0;
  size_t connections_ = 0;
  IntrusiveList<PooledConn, &PooledConn::in_idle> idle_;  // the one used last comes first
  size_t idle_count_ = 0;
};

}  // namespace sluice
