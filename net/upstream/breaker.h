// Passive health of one upstream, as one worker sees and changes it; the state itself is the
// process's (net/config/upstream_board.h), so all workers go by it at once. Failures in a row open
// the breaker: the upstream is ejected for a while. Then it is half-open, and one request at a
// time, of all workers', tries it: an answer closes it, a failure opens it for twice as long.
// Owned by its endpoint, used on its worker's thread. Whether an ejection would leave a group
// without any is for its caller to know.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "net/config/config.h"
#include "net/config/upstream_board.h"
#include "net/stream/halves.h"

namespace sluice {

// Why such an answer, or such an end without one, is the upstream's failure; nullopt: it is none.
std::optional<EjectReason> failure_of(int status);
std::optional<EjectReason> failure_of(const AttemptOutcome& outcome);

class Breaker {
 public:
  Breaker(UpstreamHealth& health, unsigned worker) : health_(health), trial_of_(worker + 1) {}
  ~Breaker() { end_trial(); }
  Breaker(const Breaker&) = delete;
  Breaker& operator=(const Breaker&) = delete;

  // Streams by their ids. That one's request is the one that tries the upstream. False: another
  // does.
  bool begin_trial(uint64_t stream);
  void end_trial();
  bool tried_by(uint64_t stream) const { return trier_ == stream; }

  enum class Change : uint8_t { kNone, kEjected, kReturned };

  // The stream's attempt has been answered well, or has failed. `others_left`: the groups that this
  // upstream is in can do without it; asked before and after, since another worker may eject
  // another one at the same time.
  Change succeeded(uint64_t stream, uint64_t now_ms);
  Change failed(uint64_t stream, EjectReason reason, const StreamSettings& settings,
                uint64_t now_ms, const std::function<bool()>& others_left);

 private:
  bool eject(EjectReason reason, const StreamSettings& settings, uint64_t now_ms,
             const std::function<bool()>& others_left);
  void note(EjectReason reason, uint64_t now_ms, uint64_t lasts_ms);

  UpstreamHealth& health_;
  const uint32_t trial_of_;
  std::optional<uint64_t> trier_;  // a stream of ours
};

}  // namespace sluice
