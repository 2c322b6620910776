#include "net/probe/prober.h"

#include <algorithm>
#include <string>
#include <utility>

#include "core/text.h"
#include "net/base/limits.h"

namespace sluice {
namespace {

// It asks for all.
constexpr unsigned kProbingWorker = 0;

}  // namespace

Prober::Prober(WorkerContext& context, ProbeTargets& where)
    : context_(context),
      where_(where),
      snapshot_(context.snapshot),
      random_(hash_text(context.config().instance)) {
  take_over_all();
}

void Prober::reload() {
  const ConfigRef before = snapshot_;  // its checks are looked at still
  snapshot_ = context_.snapshot;
  take_over_all();
}

void Prober::take_over_all() {
  if (context_.number != kProbingWorker || stopped_) return;
  std::vector<HealthCheck> checks = health_checks(*snapshot_);
  targets_.resize(std::max(targets_.size(), checks.size()));
  for (uint32_t id = 0; id < checks.size(); ++id) {
    if (!targets_[id] && checks[id])
      targets_[id] = std::make_unique<Target>(*this, snapshot_->board().health(id));
    if (!targets_[id]) continue;
    take_over(*targets_[id], checks[id]);
    forget_if_over(id);
  }
}

void Prober::forget_if_over(uint32_t id) {
  if (!targets_[id]->check && !targets_[id]->probe) targets_[id].reset();
}

void Prober::take_over(Target& target, const HealthCheck& check) {
  HealthCheck before = std::exchange(target.check, check);
  if (!check) {
    leave_alone(target);
    target.record.end(now_ms());
    return;
  }
  target.id_in_use = check.upstream->id_in_use;
  uint64_t interval_ms = check.settings->health_interval_ms;
  if (!before) {
    ask_at(target, now_ms() + random_.between(0, interval_ms));
    return;
  }
  if (!check.asks_as(before)) {
    target.record.restart();
    if (target.probe) target.probe->cancel();
  }
  ask_at(target, std::min(target.next_ms, now_ms() + jittered_interval_ms(target)));
}

// One that is being probed is looked at again when the probe has closed.
void Prober::ask_at(Target& target, uint64_t at_ms) {
  target.next_ms = at_ms;
  if (!target.probe && !target.queued.linked())
    context_.loop.timers().schedule(target.timer, at_ms);
}

void Prober::on_due(Target& target) {
  if (under_way_ < limits::kProbesMax)
    ask(target);
  else
    queue_.push_back(target);
}

void Prober::ask(Target& target) {
  target.record.begun();
  target.next_ms = now_ms() + jittered_interval_ms(target);
  target.probe = begin_probe(target);
  if (!target.probe) ask_at(target, target.next_ms);
}

// Null where it has failed already, or has to wait for the next time.
Probe* Prober::begin_probe(Target& target) {
  const HealthCheck& check = target.check;
  std::optional<std::vector<Address>> addresses = where_.addresses_to_probe(*check.upstream);
  if (!addresses) return nullptr;
  if (addresses->empty()) {
    on_probe_failed(check.upstream->id, EjectReason::kConnect);
    return nullptr;
  }
  ++under_way_;
  // It deletes itself when it has closed.
  return new Probe(context_, *this, check, std::move(*addresses),
                   where_.wire_to_probe(*check.upstream));
}

void Prober::on_address_failed(uint32_t id, const Address& address) {
  const HealthCheck& check = targets_[id]->check;
  if (check) where_.probe_failed_at(*check.upstream, address);
}

void Prober::on_probe_answered(uint32_t id, int status) {
  Target& target = *targets_[id];
  const StreamSettings& settings = *target.check.settings;
  report(target, settings.health_status.include(status)
                     ? target.record.passed(settings, now_ms())
                     : target.record.failed(EjectReason::kStatus, status, settings, now_ms()));
}

void Prober::on_probe_failed(uint32_t id, EjectReason reason) {
  Target& target = *targets_[id];
  report(target, target.record.failed(reason, 0, *target.check.settings, now_ms()));
}

void Prober::on_probe_closed(uint32_t id) {
  Target& target = *targets_[id];
  target.probe = nullptr;
  --under_way_;
  if (stopped_) return;
  if (target.check) ask_at(target, target.next_ms);
  forget_if_over(id);
  while (!queue_.empty() && under_way_ < limits::kProbesMax) {
    Target& next = *queue_.front();
    queue_.remove(next);
    ask(next);
  }
}

void Prober::report(const Target& target, ProbeRecord::Change change) const {
  const Upstream& upstream = *target.check.upstream;
  const UpstreamHealth::Probes& probes = snapshot_->board().health(upstream.id).probes;
  std::string what = "upstream " + upstream.url;
  switch (change) {
    case ProbeRecord::Change::kNone:
      break;
    case ProbeRecord::Change::kUnhealthy:
      what += std::string(" is left out, its probes fail: ") + eject_reason_name(probes.reason);
      if (int status = probes.status; status != 0) what += ' ' + std::to_string(status);
      context_.warn(what);
      break;
    case ProbeRecord::Change::kHealthy:
      context_.messages.write(LogLevel::kInfo, now_ms(), what + " is back, its probes pass");
      break;
    case ProbeRecord::Change::kTriedNow:
      context_.messages.write(LogLevel::kInfo, now_ms(),
                              what + " is tried before its time, its probes pass");
      break;
  }
}

void Prober::leave_alone(Target& target) {
  context_.loop.timers().cancel(target.timer);
  if (target.queued.linked()) queue_.remove(target);
  if (target.probe) target.probe->cancel();
}

void Prober::stop() {
  stopped_ = true;
  for (auto& target : targets_) {
    if (!target) continue;
    target->check = {};
    leave_alone(*target);
  }
}

uint64_t Prober::jittered_interval_ms(const Target& target) {
  uint64_t interval_ms = target.check.settings->health_interval_ms;
  uint64_t part = interval_ms / limits::kProbeJitterFraction;
  return random_.between(interval_ms - part, interval_ms + part);
}

}  // namespace sluice
