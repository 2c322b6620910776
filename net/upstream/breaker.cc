#include "net/upstream/breaker.h"

#include <algorithm>

#include "net/base/limits.h"

namespace sluice {

// 501 and 505 speak of the request, not of who answers.
std::optional<EjectReason> failure_of(int status) {
  if (status < 500 || status == 501 || status == 505) return std::nullopt;
  return EjectReason::kStatus;
}

// A kept-alive connection that is at its end says nothing; one on which no answer comes in time
// does.
std::optional<EjectReason> failure_of(const AttemptOutcome& outcome) {
  if (outcome.status != 0) return std::nullopt;
  switch (outcome.ending) {
    case Ending::kUpstreamRefused:
      return EjectReason::kConnect;
    case Ending::kUpstreamTls:
      return EjectReason::kTls;
    case Ending::kUpstreamConnectTimeout:
    case Ending::kUpstreamFirstByteTimeout:
    case Ending::kUpstreamIdleTimeout:
      return EjectReason::kTimeout;
    case Ending::kUpstreamTruncated:
    case Ending::kUpstreamReset:
    case Ending::kUpstreamBadResponse:
      if (outcome.stale) return std::nullopt;
      return EjectReason::kBroken;
    default:
      return std::nullopt;
  }
}

bool Breaker::begin_trial(uint64_t stream) {
  uint32_t nobody = 0;
  if (!health_.trial.compare_exchange_strong(nobody, trial_of_)) return false;
  // Another worker's trial may have closed the breaker just before.
  if (health_.ejected_until_ms.load() == 0) {
    health_.trial.store(0);
    return false;
  }
  trier_ = stream;
  return true;
}

void Breaker::end_trial() {
  if (!trier_) return;
  trier_.reset();
  health_.trial.store(0);
}

Breaker::Change Breaker::succeeded(uint64_t stream, uint64_t now_ms) {
  // Written only where it changes, so that all keep the line.
  if (health_.failures.load(std::memory_order_relaxed) != 0) health_.failures.store(0);
  if (!tried_by(stream)) return Change::kNone;
  health_.returned_ms.store(now_ms);
  health_.ejected_until_ms.store(0);
  end_trial();
  return Change::kReturned;
}

Breaker::Change Breaker::failed(uint64_t stream, EjectReason reason, const StreamSettings& settings,
                                uint64_t now_ms, const std::function<bool()>& others_left) {
  if (tried_by(stream)) {
    // It is out already, so nobody is left with less. Before its time is over only those come who
    // have no other, and they prolong nothing.
    bool due = now_ms >= health_.ejected_until_ms.load();
    bool ejected = due && eject(reason, settings, now_ms, [] { return true; });
    end_trial();
    return ejected ? Change::kEjected : Change::kNone;
  }
  // Requests from before an ejection may still fail during it.
  if (settings.eject_after == 0 || health_.ejected_until_ms.load() != 0) return Change::kNone;
  uint64_t in_row = uint64_t{health_.failures.fetch_add(1)} + 1;
  if (in_row < settings.eject_after) return Change::kNone;
  return eject(reason, settings, now_ms, others_left) ? Change::kEjected : Change::kNone;
}

bool Breaker::eject(EjectReason reason, const StreamSettings& settings, uint64_t now_ms,
                    const std::function<bool()>& others_left) {
  uint64_t until_ms = health_.ejected_until_ms.load();
  uint64_t returned_ms = health_.returned_ms.load();
  bool well_for_long =
      until_ms == 0 && returned_ms != 0 && now_ms - returned_ms >= limits::kEjectMsMax;
  uint32_t before = well_for_long ? 0 : health_.ejections_in_row.load();
  // More doublings than those reach the most in any case.
  uint64_t lasts_ms =
      std::min(settings.eject_time_ms << std::min(before, 12U), limits::kEjectMsMax);
  if (!others_left()) return false;
  if (!health_.ejected_until_ms.compare_exchange_strong(until_ms, now_ms + lasts_ms)) return false;
  if (!others_left()) {
    health_.ejected_until_ms.store(0);
    return false;
  }
  health_.failures.store(0);
  health_.ejections_in_row.store(before + 1);
  note(reason, now_ms, lasts_ms);
  return true;
}

void Breaker::note(EjectReason reason, uint64_t now_ms, uint64_t lasts_ms) {
  ++health_.ejections[static_cast<unsigned>(reason)];
  uint32_t number = health_.ejections_noted.load();
  UpstreamHealth::Ejection& place = health_.last[number % UpstreamHealth::kEjectionsKept];
  place.at_ms = now_ms;
  place.lasts_ms = lasts_ms;
  place.reason = reason;
  health_.ejections_noted.store(number + 1);
}

}  // namespace sluice
