#include "net/observe/upstreams_json.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "core/text.h"
#include "net/config/health_check.h"

namespace sluice {

namespace {

// Builds one value; commas come by themselves.
class Json {
 public:
  void open(char bracket) {
    separate();
    text_ += bracket;
    first_ = true;
  }
  void close(char bracket) {
    text_ += bracket;
    first_ = false;
  }
  void key(std::string_view name) {
    text(name);
    text_ += ':';
    first_ = true;
  }
  void text(std::string_view value) {
    separate();
    text_ += '"';
    append_json_escaped(text_, value);
    text_ += '"';
  }
  void number(uint64_t value) {
    separate();
    append_number(text_, value);
  }
  void literal(std::string_view value) {
    separate();
    text_ += value;
  }
  std::string take() { return std::move(text_); }

 private:
  void separate() {
    if (!first_) text_ += ',';
    first_ = false;
  }

  std::string text_;
  bool first_ = true;
};

uint64_t since(uint64_t at_ms, uint64_t now_ms) {
  return now_ms > at_ms ? now_ms - at_ms : 0;
}

void add_routes(Json& json, const ConfigSnapshot& snapshot, uint32_t id) {
  json.key("routes");
  json.open('[');
  for (const Route& route : snapshot.routes()) {
    for (const Upstream& upstream : route.upstreams) {
      if (upstream.id != id) continue;
      json.open('{');
      json.key("path");
      json.text(route.path);
      json.key("weight");
      json.number(upstream.weight);
      json.key("backup");
      json.literal(upstream.backup ? "true" : "false");
      json.close('}');
    }
  }
  json.close(']');
}

void add_attempts(Json& json, const std::vector<WorkerSnapshot>& workers, uint32_t id) {
  std::array<uint64_t, kEndings> ended{};
  for (const WorkerSnapshot& worker : workers) {
    if (id >= worker.metrics.upstreams.size()) continue;
    for (unsigned i = 0; i < kEndings; ++i) ended[i] += worker.metrics.upstreams[id].ended[i];
  }
  json.key("attempts");
  json.open('{');
  for (unsigned i = 0; i < kEndings; ++i) {
    if (ended[i] == 0) continue;
    json.key(ending_name(static_cast<Ending>(i)));
    json.number(ended[i]);
  }
  json.close('}');
}

// The latest first.
void add_ejections(Json& json, const UpstreamHealth& health, uint64_t now_ms) {
  json.key("ejections");
  json.open('{');
  for (unsigned i = 0; i < kEjectReasons; ++i) {
    json.key(eject_reason_name(static_cast<EjectReason>(i)));
    json.number(health.ejections[i]);
  }
  json.close('}');
  json.key("last_ejections");
  json.open('[');
  uint32_t noted = health.ejections_noted.load(std::memory_order_acquire);
  uint32_t kept = std::min<uint32_t>(noted, UpstreamHealth::kEjectionsKept);
  for (uint32_t i = 1; i <= kept; ++i) {
    const UpstreamHealth::Ejection& one = health.last[(noted - i) % UpstreamHealth::kEjectionsKept];
    json.open('{');
    json.key("ms_ago");
    json.number(since(one.at_ms, now_ms));
    json.key("for_ms");
    json.number(one.lasts_ms);
    json.key("reason");
    json.text(eject_reason_name(one.reason));
    json.close('}');
  }
  json.close(']');
}

// Null where it is not asked; what it said before a reload is of no interest then.
void add_health(Json& json, const HealthCheck& check, const UpstreamHealth::Probes& probes,
                uint64_t now_ms) {
  json.key("health");
  if (!check) {
    json.literal("null");
    return;
  }
  json.open('{');
  json.key("path");
  json.text(check.settings->health);
  json.key("passed");
  json.number(probes.passed);
  json.key("failed");
  json.open('{');
  for (unsigned i = 0; i < kEjectReasons; ++i) {
    json.key(eject_reason_name(static_cast<EjectReason>(i)));
    json.number(probes.failed[i]);
  }
  json.close('}');
  json.key("times_unhealthy");
  json.number(probes.times_unhealthy);
  json.key("last_failure");
  if (probes.failed_ms == 0) {
    json.literal("null");
  } else {
    json.open('{');
    json.key("ms_ago");
    json.number(since(probes.failed_ms, now_ms));
    json.key("reason");
    json.text(eject_reason_name(probes.reason));
    json.key("status");
    json.number(static_cast<uint64_t>(probes.status));
    json.close('}');
  }
  json.close('}');
}

}  // namespace

std::string render_upstreams(const ConfigSnapshot& snapshot,
                             const std::vector<WorkerSnapshot>& workers, uint64_t now_ms) {
  std::vector<HealthCheck> checks = health_checks(snapshot);
  Json json;
  json.open('[');
  for (uint32_t id : snapshot.upstreams_in_use()) {
    const UpstreamHealth& health = snapshot.board().health(id);
    json.open('{');
    json.key("url");
    json.text(snapshot.upstream_urls()[id]);
    json.key("state");
    json.text(upstream_state_name(health.state(now_ms)));
    json.key("state_for_ms");
    uint64_t since_ms = health.since_ms(now_ms);
    if (since_ms == 0)
      json.literal("null");
    else
      json.number(since(since_ms, now_ms));
    json.key("outstanding");
    json.number(snapshot.board().outstanding(id));
    json.key("pending");
    json.number(snapshot.board().places(id).waiting);
    json.key("failures_in_row");
    json.number(health.failures);
    add_routes(json, snapshot, id);
    add_attempts(json, workers, id);
    add_ejections(json, health, now_ms);
    add_health(json, checks[id], health.probes, now_ms);
    json.close('}');
  }
  json.close(']');
  return json.take() + '\n';
}

}  // namespace sluice
