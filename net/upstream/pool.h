// The connections of one worker to one upstream of one route: idle ones to use again (last in,
// first out), a limit, and the queue of streams that wait for one. Owned by the gateway, used on
// its worker's thread. UpstreamPools is all of them, with the choice within a group.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

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

class UpstreamPool {
 public:
  UpstreamPool(WorkerContext& context, Connector& connector, CloseWatcher& watcher,
               UpstreamCounts& counts, const Route& route, const Upstream& upstream)
      : context_(context),
        connector_(connector),
        watcher_(watcher),
        counts_(counts),
        settings_(route.settings),
        upstream_(upstream) {}

  // Gives the stream a connection: idle (unless it needs a fresh one), new, or once one is free.
  void acquire(Stream& stream, bool fresh);
  // A connection that has done its response and may carry another request.
  void release(PooledConn& conn);
  void conn_closed(PooledConn& conn);
  void forget(Stream& stream);
  void close_idle();

  const StreamSettings& settings() const { return settings_; }
  const Address& address() const { return upstream_.address; }

 private:
  bool open(Stream& stream);
  void push_idle(PooledConn& conn);
  void remove_idle(PooledConn& conn);
  void enqueue(Stream& stream, bool front);
  Stream* pop_waiting(bool reused);

  WorkerContext& context_;
  Connector& connector_;
  CloseWatcher& watcher_;
  UpstreamCounts& counts_;
  const StreamSettings& settings_;
  const Upstream& upstream_;
  size_t connections_ = 0;
  IntrusiveList<PooledConn, &PooledConn::in_idle> idle_;  // the one used last comes first
  size_t idle_count_ = 0;
  IntrusiveQueue<Stream, &Stream::in_queue> waiting_;
};

class UpstreamPools final : public UpstreamSource {
 public:
  UpstreamPools(WorkerContext& context, Connector& connector, CloseWatcher& watcher);

  // UpstreamSource
  void choose(Stream& stream) override;
  void acquire(Stream& stream, bool fresh) override;
  void forget(Stream& stream) override;
  const RequestWriter& writer(const Stream&) const override { return connector_.writer(); }

  void close_idle();
  size_t connections() const { return counts_.connections; }
  size_t idle() const { return counts_.idle; }

 private:
  struct Group {
    std::vector<std::unique_ptr<UpstreamPool>> pools;
    size_t next = 0;  // round robin
  };

  Group& group_of(const Stream& stream);
  UpstreamPool& pool_of(const Stream& stream);

  WorkerContext& context_;
  Connector& connector_;
  UpstreamCounts counts_;
  std::vector<Group> groups_;  // as the configuration's routes
};

}  // namespace sluice
