// The connections of one worker to one upstream of one route: idle ones to use again (last in,
// first out), a limit, and the queue of streams that wait for one. Owned by the gateway, used on
// its worker's thread. UpstreamPools is all of them, with the choice within a group.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "net/config.h"
#include "net/stream.h"
#include "net/upstream_conn.h"

namespace sluice {

class Gateway;

// Of all pools together.
struct UpstreamCounts {
  size_t connections = 0;
  size_t idle = 0;
};

class UpstreamPool {
 public:
  UpstreamPool(Gateway& gateway, UpstreamCounts& counts, const Route& route,
               const Upstream& upstream)
      : gateway_(gateway), counts_(counts), settings_(route.settings), upstream_(upstream) {}

  // Gives the stream a connection: idle (unless it needs a fresh one), new, or once one is free.
  void acquire(Stream& stream, bool fresh);
  // A connection that has done its response and may carry another request.
  void release(UpstreamConn& conn);
  void conn_closed(UpstreamConn& conn);
  void forget(Stream& stream);
  void close_idle();

  const StreamSettings& settings() const { return settings_; }
  const Address& address() const { return upstream_.address; }

 private:
  bool open(Stream& stream);
  void push_idle(UpstreamConn& conn);
  void remove_idle(UpstreamConn& conn);
  void enqueue(Stream& stream, bool front);
  Stream* pop_waiting(bool reused);

  Gateway& gateway_;
  UpstreamCounts& counts_;
  const StreamSettings& settings_;
  const Upstream& upstream_;
  size_t connections_ = 0;
  UpstreamConn* idle_ = nullptr;  // the one used last comes first
  size_t idle_count_ = 0;
  Stream* waiting_head_ = nullptr;
  Stream** waiting_tail_ = &waiting_head_;
};

class UpstreamPools {
 public:
  UpstreamPools(Gateway& gateway, const Config& config);

  // Which of its route's upstreams the stream's request goes to.
  void choose(Stream& stream);
  // A connection to that one.
  void acquire(Stream& stream, bool fresh);
  void forget(Stream& stream);
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

  const Config& config_;
  UpstreamCounts counts_;
  std::vector<Group> groups_;  // as config.routes
};

}  // namespace sluice
