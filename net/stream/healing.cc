#include "net/stream/healing.h"

#include <algorithm>

#include "net/base/limits.h"

namespace sluice {

// An attempt that was answered and then lived for a while has healed the stream, even if nothing
// happened in it; one that died at once has not.
void Healing::breaks(uint64_t now_ms, Ending by) {
  bool settled = resumed_ms != 0 && now_ms - resumed_ms >= limits::kHealSettledMs;
  if (broken_since_ms == 0 || settled) {
    broken_since_ms = now_ms;
    attempts = 0;
  }
  resumed_ms = 0;
  broken_by = by;
  ++attempts;
}

void Healing::resumes(uint64_t now_ms) {
  resumed_ms = now_ms;
  first_id_seen = dropping = false;
  asked = ids.last();
}

void Healing::goes_on() {
  broken_since_ms = resumed_ms = 0;
}

uint64_t Healing::asked_ms(std::optional<uint64_t> retry_ms) {
  return std::min(retry_ms.value_or(0), limits::kHealBackoffMsMax);
}

// Full jitter: anything up to the backoff, so that streams that broke together do not come back
// together.
uint64_t Healing::wait_ms(std::optional<uint64_t> retry_ms, std::optional<uint64_t> retry_after_ms,
                          Random& random) const {
  if (retry_after_ms) return std::min(*retry_after_ms, limits::kRetryAfterMsMax);
  uint32_t doublings = std::min(attempts - 1, 16U);
  uint64_t backoff_ms = std::min(limits::kHealBackoffMs << doublings, limits::kHealBackoffMsMax);
  uint64_t jittered_ms = random.between(0, backoff_ms);
  if (!retry_ms) return jittered_ms;
  return attempts == 1 ? asked_ms(retry_ms) : std::max(asked_ms(retry_ms), jittered_ms);
}

}  // namespace sluice
