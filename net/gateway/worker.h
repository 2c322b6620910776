// One core's worth of sluice: a thread, pinned if wanted, that owns a ring, a loop, slabs and a
// gateway, and touches nothing of any other worker. Owned by the server; start() and join() are
// for the main thread, post() for any.
#pragma once

#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/features.h"
#include "core/log.h"
#include "core/mailbox.h"
#include "net/config/snapshot.h"
#include "net/gateway/gateway.h"
#include "net/transport/client_limit.h"

namespace sluice {

class Worker {
 public:
  struct Options {
    unsigned index;
    int cpu;                                         // to pin to; -1: not pinned
    std::shared_ptr<const ConfigSnapshot> snapshot;  // to begin with
    Features features;
    ClientLimit* client_limit;
    HubProcess* hubs = nullptr;  // what is shared with other workers; null: there are none
    std::vector<ListeningSocket> sockets;  // owned from here on
    LogQueue* log;                         // for messages and access lines
  };

  explicit Worker(Options options) : options_(std::move(options)) {}
  ~Worker();

  // Starts the thread and makes its ring. "" or why not. Apart from serve(), so that every worker
  // has its ring, which counts towards RLIMIT_MEMLOCK, before any registers memory.
  std::string start();
  // Makes pools and gateway and begins to serve. "" or why not. `on_stopped` runs on the worker's
  // thread when it has drained.
  std::string serve(std::function<void()> on_stopped);
  // What it got, for the start-up line; valid after serve().
  const Features& features() const { return options_.features; }
  const std::string& memory_facts() const { return memory_facts_; }

  // Runs on the worker's thread, soon. False, and never, where the worker has stopped.
  bool post(std::function<void(Gateway&)> message);
  bool stopped() const { return stopped_.load(std::memory_order_acquire); }
  void join();

 private:
  void run();
  void serve_until_drained(Ring& ring);

  Options options_;
  Mailbox mailbox_;
  std::promise<std::string> ring_made_;
  std::promise<bool> go_;
  std::promise<std::string> serving_;
  std::function<void()> on_stopped_;
  std::atomic<bool> stopped_{false};
  Gateway* gateway_ = nullptr;  // on the worker's thread, while it runs
  std::string memory_facts_;
  std::thread thread_;
};

}  // namespace sluice
