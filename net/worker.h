// One core's worth of sluice: a thread, pinned if wanted, that owns a ring, a loop, slabs and a
// gateway, and touches nothing of any other worker. Owned by the server; start() and join() are
// for the main thread, post() for any.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/features.h"
#include "core/log.h"
#include "core/mailbox.h"
#include "net/config.h"
#include "net/gateway.h"

namespace sluice {

class Worker {
 public:
  struct Options {
    unsigned index;
    int cpu;  // to pin to; -1: not pinned
    const Config* config;
    Features features;
    std::vector<int> listeners;  // owned from start() on
    LogQueue* log;               // for messages, and the access log if that is on
    bool access_log;
  };

  explicit Worker(Options options) : options_(std::move(options)) {}
  ~Worker();

  // Starts the thread and waits until it serves. "" or why not. `on_stopped` runs on the worker's
  // thread when it has drained.
  std::string start(std::function<void()> on_stopped);
  // What memory it got, for the start-up line; valid after start().
  const std::string& memory_facts() const { return memory_facts_; }

  // Runs on the worker's thread, soon. False, and never, where the worker has stopped.
  bool post(std::function<void(Gateway&)> message);
  void join();

 private:
  void run(const std::function<void(std::string)>& ready);

  Options options_;
  Mailbox mailbox_;
  std::atomic<bool> stopped_{false};
  Gateway* gateway_ = nullptr;  // on the worker's thread, while it runs
  std::string memory_facts_;
  std::thread thread_;
};

}  // namespace sluice
