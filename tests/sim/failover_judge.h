// Judges simulate_failover(): what each client was answered, against what the servers did with its
// request; and after every turn of the gateway's loop which attempts it began, against the state of
// each upstream's breaker. It goes by what peers saw and by counters, and makes none of the
// gateway's decisions anew: it only says when an error was due to nobody. A violation ends the
// program.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/sim/checked_gateway.h"
#include "tests/sim/failover_peers.h"
#include "tests/sim/failover_scene.h"

namespace sluice::sim {

class FailoverJudge {
 public:
  FailoverJudge(FailoverScene& scene, CheckedGateway& gateway);

  void on_request(FailoverRequest& request);
  void on_end(const FailoverRequest& request, const FailoverOutcome& outcome) const;
  void before_turn();
  void after_turn();
  // All clients have gone.
  void at_end() const;

  // By the time of the latest deadline that there can be.
  uint64_t bound_ns(const FailoverRequest& request) const;
  UpstreamHealth& health(size_t server) const {
    return gateway_.snapshot().board().health(ids_[server]);
  }
  // Its group gives it requests when it is well: it is no backup, and no key decides.
  bool gets_requests(size_t server) const;

 private:
  struct Watched {
    UpstreamState before = UpstreamState::kClosed;
    uint64_t begun = 0;          // before this turn
    uint64_t out_ns = 0;         // when it was last seen ejected; 0: never
    bool old_ones_over = false;  // the attempts from before its ejection have ended
  };

  bool well(size_t server, const FailoverRequest& request) const;
  bool unreachable(size_t server, const FailoverRequest& request) const;
  bool must_succeed(const FailoverRequest& request) const;
  bool alone_in_some_group(size_t server) const;
  bool backup_everywhere(size_t server) const;
  UpstreamState state(size_t server) const;
  uint64_t retries() const;
  uint64_t attempts() const;
  uint64_t begun(size_t server) const;
  std::string text_of(size_t server) const;

  FailoverScene& scene_;
  CheckedGateway& gateway_;
  std::vector<uint32_t> ids_;  // by server
  std::vector<Watched> watched_;
  uint64_t stale_before_ = 0;
  uint64_t denied_before_ = 0;
};

}  // namespace sluice::sim
