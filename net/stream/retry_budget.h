// What keeps retries before content from multiplying an overload: for each upstream, by its number,
// a fifth of the requests that it gets, and a few to begin with. Each worker has its own, so that
// the fifth holds for all workers together, and the few for each. Owned by Streams, used on its
// worker's thread.
#pragma once

#include <cstdint>
#include <vector>

namespace sluice {

class RetryBudget {
 public:
  // A stream's first attempt goes to that upstream.
  void request_begins(uint32_t upstream);
  // Takes one retry out of its budget. False: that is used up.
  bool take_retry(uint32_t upstream);
  // Another upstream has got that number: its budget is as at first.
  void forget(uint32_t upstream);

 private:
  uint32_t& parts_of(uint32_t upstream);

  std::vector<uint32_t> parts_;  // of retries; each request brings one
};

}  // namespace sluice
