#include "net/admin.h"

#include <condition_variable>
#include <dirent.h>
#include <fstream>
#include <mutex>
#include <optional>
#include <unistd.h>

#include "core/text.h"
#include "net/version.h"

namespace sluice {

namespace {

constexpr std::chrono::seconds kAnswerWithin{2};

// Asks every worker and waits for the answers. nullopt where one did not answer in time; a late
// answer then goes to memory that the messages keep alive.
template <typename Answer>
std::optional<std::vector<Answer>> ask_all(std::vector<std::unique_ptr<Worker>>& workers,
                                           const Answer& initial, void (*ask)(Gateway&, Answer&)) {
  struct Shared {
    std::mutex mutex;
    std::condition_variable done;
    std::vector<Answer> answers;
    size_t missing;
  };
  auto shared = std::make_shared<Shared>();
  shared->answers.assign(workers.size(), initial);
  shared->missing = workers.size();
  for (size_t i = 0; i < workers.size(); ++i) {
    bool posted = workers[i]->post([shared, i, ask](Gateway& gateway) {
      ask(gateway, shared->answers[i]);
      std::lock_guard lock(shared->mutex);
      if (--shared->missing == 0) shared->done.notify_one();
    });
    if (posted) continue;
    std::lock_guard lock(shared->mutex);
    --shared->missing;  // it has drained, and has nothing to tell
  }
  std::unique_lock lock(shared->mutex);
  if (!shared->done.wait_for(lock, kAnswerWithin, [&] { return shared->missing == 0; }))
    return std::nullopt;
  return std::move(shared->answers);
}

uint64_t count_open_fds() {
  uint64_t count = 0;
  if (DIR* dir = opendir("/proc/self/fd")) {
    while (readdir(dir)) ++count;
    closedir(dir);
  }
  return count > 3 ? count - 3 : 0;  // ".", ".." and the directory's own
}

uint64_t resident_bytes() {
  uint64_t total = 0;
  uint64_t resident = 0;  // stays that where it cannot be read
  std::ifstream("/proc/self/statm") >> total >> resident;
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

void append_stream(std::string& out, const StreamInfo& stream) {
  auto text = [&out](std::string_view key, std::string_view value) {
    out += '"';
    out += key;
    out += "\":\"";
    append_json_escaped(out, value);
    out += "\",";
  };
  auto number = [&out](std::string_view key, uint64_t value) {
    out += '"';
    out += key;
    out += "\":" + std::to_string(value) + ',';
  };
  out += '{';
  number("id", stream.id);
  number("worker", stream.worker);
  text("route", stream.route);
  text("upstream", stream.upstream);
  text("client", stream.client);
  text("method", stream.method);
  text("target", stream.target);
  text("state", stream.phase);
  number("status", static_cast<uint64_t>(stream.status));
  number("age_ms", stream.age_ms);
  number("events", stream.events);
  number("bytes", stream.bytes);
  number("credit", stream.window > stream.backlog ? stream.window - stream.backlog : 0);
  number("window", stream.window);
  number("backlog", stream.backlog);
  number("held", stream.held);
  out += std::string("\"event_stream\":") + (stream.event_stream ? "true" : "false");
  out += std::string(",\"stalled\":") + (stream.stalled ? "true}" : "false}");
}

}  // namespace

Admin::Admin(const Config& config, std::vector<std::unique_ptr<Worker>>& workers,
             const LogWriter& log)
    : config_(config), workers_(workers), log_(log) {
  std::vector<std::string> hosts = config.admin_hosts;
  if (!config.admin_name.empty()) hosts.push_back(config.admin_name);
  server_.restrict_hosts(hosts, "The admin port has no such name; --admin-host gives it one.");
  server_.route("GET", "/", [](const SideRequest&, SideResponder responder) {
    responder.respond(200, "text/html; charset=utf-8", kAdminPage);
  });
  server_.route("GET", "/metrics", [this](const SideRequest& request, SideResponder responder) {
    on_metrics(request, responder);
  });
  server_.route("GET", "/streams",
                [this](const SideRequest&, SideResponder responder) { on_streams(responder); });
  server_.route("GET", "/healthz", [](const SideRequest&, SideResponder responder) {
    responder.respond(200, "text/plain", "ok\n");
  });
  server_.route("GET", "/readyz", [this](const SideRequest&, SideResponder responder) {
    if (draining_.load(std::memory_order_relaxed))
      responder.respond(503, "text/plain", "draining\n");
    else
      responder.respond(200, "text/plain", "ready\n");
  });
}

std::string Admin::start() {
  return server_.start(config_.admin, "sluice/admin");
}

void Admin::on_metrics(const SideRequest& request, const SideResponder& responder) {
  auto answers = ask_all<WorkerSnapshot>(
      workers_, WorkerSnapshot(config_.routes.size()),
      [](Gateway& gateway, WorkerSnapshot& into) { gateway.snapshot(into); });
  if (!answers) {
    responder.problem(503, "A worker did not answer in time.");
    return;
  }
  ProcessFacts process;
  process.version = kVersion;
  process.uptime_seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - started_).count();
  process.open_fds = count_open_fds();
  process.resident_bytes = resident_bytes();
  process.log_lines_dropped = log_.dropped();
  process.log_write_errors = log_.write_errors();
  process.admin_drops = server_.dropped();
  process.draining = draining_.load(std::memory_order_relaxed);
  MetricsFormat format = request.head.lists_token("accept", "application/openmetrics-text")
                             ? MetricsFormat::kOpenMetrics
                             : MetricsFormat::kPrometheus;
  responder.respond(200, metrics_content_type(format),
                    render_metrics(config_, *answers, process, format));
}

void Admin::on_streams(const SideResponder& responder) {
  auto answers = ask_all<std::vector<StreamInfo>>(
      workers_, {},
      [](Gateway& gateway, std::vector<StreamInfo>& into) { gateway.list_streams(into); });
  if (!answers) {
    responder.problem(503, "A worker did not answer in time.");
    return;
  }
  std::string body = "[";
  for (const std::vector<StreamInfo>& streams : *answers) {
    for (const StreamInfo& stream : streams) {
      if (body.size() > 1) body += ",\n";
      append_stream(body, stream);
    }
  }
  body += "]\n";
  responder.respond(200, "application/json", body);
}

}  // namespace sluice
