#include "net/probe/probe_record.h"

#include <utility>

namespace sluice {

void ProbeRecord::begun() {
  uint32_t before = std::exchange(ejections_, health_.ejections_noted.load());
  if (before != ejections_) passed_since_ejection_ = 0;
  if (health_.ejected_until_ms.load() == 0) ended_early_ = false;
}

ProbeRecord::Change ProbeRecord::passed(const StreamSettings& settings, uint64_t now_ms) {
  ++health_.probes.passed;
  failed_in_row_ = 0;
  ++passed_in_row_;
  bool out = health_.unhealthy_since_ms.load() != 0;
  bool back = out && passed_in_row_ >= settings.health_pass;
  if (back) health_.set_healthy(now_ms);
  bool tried_now = end_ejection_early(settings, now_ms);
  return back ? Change::kHealthy : tried_now ? Change::kTriedNow : Change::kNone;
}

// A probe that began before the ejection says nothing about what came after.
bool ProbeRecord::end_ejection_early(const StreamSettings& settings, uint64_t now_ms) {
  if (ejections_ != health_.ejections_noted.load()) return false;
  ++passed_since_ejection_;
  if (ended_early_ || passed_since_ejection_ < settings.health_pass) return false;
  bool ended = health_.end_ejection_early(now_ms);
  ended_early_ |= ended;
  return ended;
}

ProbeRecord::Change ProbeRecord::failed(EjectReason reason, int status,
                                        const StreamSettings& settings, uint64_t now_ms) {
  UpstreamHealth::Probes& probes = health_.probes;
  ++probes.failed[static_cast<unsigned>(reason)];
  probes.reason = reason;
  probes.status = status;
  probes.failed_ms = now_ms;
  passed_in_row_ = passed_since_ejection_ = 0;
  ++failed_in_row_;
  bool out = health_.unhealthy_since_ms.load() != 0;
  if (out || failed_in_row_ < settings.health_fail) return Change::kNone;
  health_.set_unhealthy(now_ms);
  return Change::kUnhealthy;
}

void ProbeRecord::end(uint64_t now_ms) {
  restart();
  if (health_.unhealthy_since_ms.load() != 0) health_.set_healthy(now_ms);
}

}  // namespace sluice
