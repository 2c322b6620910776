// The choice within a group: which of several upstreams that may have a request gets it. It reads
// how many attempts are outstanding over all workers when it chooses (net/config/upstream_board.h),
// so two workers that choose at the same moment may both miss the other's choice, and no more than
// that. One a worker, owned by its endpoints and used on its thread; the turns are the worker's
// own. A hash depends on the key and the urls alone: it is the same on all workers, and after a
// reload or a restart.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/random.h"
#include "net/config/config.h"
#include "net/config/upstream_board.h"

namespace sluice {

// An upstream that may have the request.
struct Candidate {
  uint32_t index;  // within its group
  uint32_t id;
  double weight;  // what slow start leaves of it
  uint64_t url_hash;
};

class Balancer {
 public:
  explicit Balancer(uint64_t seed) : random_(seed) {}

  // One of the candidates, of which there is at least one. `key`: of the request, for a hash; a
  // request without goes to the least.
  const Candidate& pick(const Route& route, std::span<const Candidate> candidates,
                        std::optional<uint64_t> key, const UpstreamBoard& board);
  // Routes have other weights from here on, or other numbers.
  void forget_turns() { turns_.clear(); }

 private:
  // Of one route.
  struct Turns {
    uint32_t next = 0;
    std::vector<double> shares;  // round robin: what each upstream of the group is due
  };

  Turns& turns_of(const Route& route);
  const Candidate& pick_least(std::span<const Candidate> candidates, const UpstreamBoard& board,
                              Turns& turns);
  static const Candidate& pick_in_turn(std::span<const Candidate> candidates, Turns& turns,
                                       size_t group_size);
  const Candidate& pick_of_two(std::span<const Candidate> candidates, const UpstreamBoard& board);
  static const Candidate& pick_by_hash(std::span<const Candidate> candidates, uint64_t key,
                                       const UpstreamBoard& board);

  std::vector<Turns> turns_;  // by the routes' numbers
  Random random_;
};

}  // namespace sluice
