// The connections of one kind from one worker to one upstream: idle ones to use again (last in,
// first out), a limit, and the queue of streams that wait for one. Owned by its endpoint, used on
// its worker's thread. Retired, where the configuration has no use for it any more, it serves the
// streams that it has, keeps nothing idle, and goes once it is empty.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/intrusive_list.h"
#include "net/config/config.h"
#include "net/context/worker_context.h"
#include "net/stream/halves.h"
#include "net/stream/stream.h"

namespace sluice {

class UpstreamPool;

// A connection as its pool knows it.
class PooledConn {
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

  // For the pool's list of idle ones.
  ListLink<PooledConn> in_idle;

 protected:
  ~PooledConn() = default;
};

// Makes connections of one protocol.
class Connector {
 public:
  // Connects the socket, which it owns from here on, to the pool's address. The connection tells
  // the pool when it has closed.
  virtual PooledConn& connect(UpstreamPool& pool, int fd) = 0;
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
  Connector& connector;
  CloseWatcher& watcher;
  UpstreamCounts counts = {};
};

// What of a route's settings its connections to upstreams are made with.
struct ConnectionSettings {
  static ConnectionSettings of(const StreamSettings& settings);
  bool operator==(const ConnectionSettings&) const = default;

  uint64_t connections_max;  // 0 = unlimited
  uint64_t idle_max;
  uint64_t idle_ms;  // 0 = for ever
  uint64_t tcp_keepalive_ms;
  uint64_t receive_buffer;
  bool paced;
};

class UpstreamPool {
 public:
  UpstreamPool(PoolContext& shared, const Upstream& upstream, const ConnectionSettings& settings)
      : shared_(shared), upstream_(upstream), settings_(settings) {}

  // Gives the stream a connection: idle (unless it needs a fresh one), new, or once one is free.
  void acquire(Stream& stream, bool fresh);
  // A connection that has done its response and may carry another request.
  void release(PooledConn& conn);
  void conn_closed(PooledConn& conn);
  void forget(Stream& stream);
  void close_idle();

  bool retired() const { return retired_; }
  void set_retired(bool retired) { retired_ = retired; }
  bool empty() const { return connections_ == 0 && waiting_.empty(); }

  const ConnectionSettings& settings() const { return settings_; }
  const Address& address() const { return upstream_.address; }

 private:
  bool open(Stream& stream);
  void push_idle(PooledConn& conn);
  void remove_idle(PooledConn& conn);
  void enqueue(Stream& stream, bool front);
  Stream* pop_waiting(bool reused);

  WorkerContext& context() const { return shared_.context; }

  PoolContext& shared_;
  const Upstream& upstream_;
  const ConnectionSettings settings_;
  bool retired_ = false;
  size_t connections_ = 0;
  IntrusiveList<PooledConn, &PooledConn::in_idle> idle_;  // the one used last comes first
  size_t idle_count_ = 0;
  IntrusiveQueue<Stream, &Stream::in_queue> waiting_;
};

}  // namespace sluice
