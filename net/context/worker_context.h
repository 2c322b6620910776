// What every room is given of its worker: loop, memory, counters, configuration, and a few values
// that all of its streams share. Made by the gateway, one a worker, before everything that is
// handed it; used on that worker's thread only.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/log.h"
#include "core/loop.h"
#include "net/base/address.h"
#include "net/context/config_ref.h"
#include "net/context/metrics.h"
#include "net/http/head.h"
#include "net/http/parse_error.h"
#include "pool/chain.h"

namespace sluice {

struct WorkerContext {
  WorkerContext(Loop& its_loop, Memory& its_memory, MemoryLimit& its_memory_limit,
                std::shared_ptr<const ConfigSnapshot> its_snapshot, MessageLog& its_messages,
                unsigned its_number);
  WorkerContext(const WorkerContext&) = delete;
  WorkerContext& operator=(const WorkerContext&) = delete;

  Loop& loop;
  Memory& memory;
  MemoryLimit& memory_limit;
  // For what begins now; a reload replaces it.
  ConfigRef snapshot;
  MessageLog& messages;
  const unsigned number;  // of the worker
  const std::string via;  // what our Via calls this process, in requests
  Metrics metrics;
  HeadPool heads;
  // The drain is near.
  bool drain_announced = false;
  // No client is accepted any more, and no idle connection kept.
  bool draining = false;

  const Config& config() const { return snapshot->config(); }
  const StreamSettings& default_settings() const { return snapshot->default_settings(); }
  HeadLimits head_limits() const { return {config().max_header_size, config().max_headers}; }
  // Answers say that their connection ends, so that few are idle when the drain begins.
  bool says_close() const { return drain_announced || draining; }
  // There is an access log, which tells more of a request than /streams does.
  bool logs_requests() const { return config().access_log != "off"; }
  // An empty string for building text in; the next call empties it again.
  std::string& scratch() {
    scratch_.clear();
    return scratch_;
  }
  // More than half of --pool-max is mapped: no stream gets a larger window.
  bool memory_tight() const { return memory_limit.bytes * 2 > memory_limit.bytes_max; }
  // An address in --trusted-proxies.
  bool trusts(const Address& client) const;
  // The time as a Date field has it.
  std::string_view http_date();
  // A warning to the operator.
  void warn(std::string_view text);

 private:
  std::string scratch_;
  std::string date_;
  uint64_t date_of_s_ = 0;
};

// Told when a connection has closed: while a worker drains, the last one ends its loop.
class CloseWatcher {
 public:
  virtual void connection_closed() = 0;

 protected:
  ~CloseWatcher() = default;
};

}  // namespace sluice
