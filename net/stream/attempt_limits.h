// What keeps further attempts from becoming a storm, for each upstream, by its number: a budget of
// retries before content (a fifth of the requests that it gets, and a few), and a pace of
// reconnects of broken streams (heal-rate). Both are this worker's own: with N workers an upstream
// may see N times as many. Owned by Streams, used on its worker's thread.
#pragma once

#include <cstdint>
#include <vector>

namespace sluice {

class AttemptLimits {
 public:
  // A stream's first attempt goes to that upstream.
  void request_begins(uint32_t upstream);
  // Takes one retry out of its budget. False: that is used up.
  bool take_retry(uint32_t upstream);
  // The time at which the next reconnect may go there; `rate` a second, 0: any. It is taken, unless
  // it comes too late.
  uint64_t take_reconnect(uint32_t upstream, uint64_t rate, uint64_t now_ms, uint64_t too_late_ms);

 private:
  struct Limits {
    uint32_t retry_parts;  // of a retry, each request brings one
    uint64_t next_reconnect_us = 0;
  };
  Limits& of(uint32_t upstream);

  std::vector<Limits> upstreams_;
};

}  // namespace sluice
