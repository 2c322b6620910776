#include "net/admin/admin.h"

#include <dirent.h>
#include <fstream>
#include <sys/stat.h>
#include <unistd.h>

#include "core/text.h"
#include "net/base/version.h"

namespace sluice {

namespace {

// For a few scrapers and people. Slow or idle connections give way to them.
HttpdLimits limits_with(const Admin::Options& options) {
  return {.connections_max = options.connections_max,
          .idle_give_way = true,
          .body_bytes_max = size_t{4} * 1024,
          .input_bytes_max = size_t{16} * 1024,
          .unsent_bytes_max = size_t{64} * 1024 * 1024,
          .head_timeout_ms = 5'000,
          .body_timeout_ms = 5'000,
          .write_timeout_ms = 10'000,
          .idle_timeout_ms = 20'000,  // no usual interval of scrapers
          .linger_timeout_ms = 1'000};
}

uint64_t count_open_fds() {
  struct stat folder {};
  // Since Linux 6.2 the folder's size is their number, without a walk over all of them.
  if (::stat("/proc/self/fd", &folder) == 0 && folder.st_size > 0) {
    return static_cast<uint64_t>(folder.st_size);
  }
  uint64_t count = 0;
  if (DIR* dir = opendir("/proc/self/fd")) {
    while (readdir(dir)) ++count;
    closedir(dir);
  }
  return count > 3 ? count - 3 : 0;  // ".", ".." and the directory's own
}

uint64_t resident_bytes() {
  uint64_t total = 0;
  uint64_t resident = 0;  // stays 0 if it cannot be read
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
  text("request_id", stream.request_id);
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
             const LogWriter& log, const Options& options)
    : config_(config),
      log_(log),
      server_(limits_with(options)),
      metrics_(
          server_, workers, WorkerSnapshot(config.routes.size()),
          [](Gateway& gateway, WorkerSnapshot& into) { gateway.snapshot(into); },
          options.answer_within),
      streams_(
          server_, workers, {},
          [](Gateway& gateway, std::vector<StreamInfo>& into) { gateway.list_streams(into); },
          options.answer_within) {
  std::vector<std::string> hosts = config.admin_hosts;
  if (!config.admin_name.empty()) hosts.push_back(config.admin_name);
  server_.restrict_hosts(hosts, "The admin port has no such name; --admin-host gives it one.");
  server_.route("GET", "/", [](const HttpdRequest&, HttpdResponder responder) {
    responder.respond(200, "text/html; charset=utf-8", kAdminPage);
  });
  server_.route("GET", "/metrics", [this](const HttpdRequest& request, HttpdResponder responder) {
    on_metrics(request, responder);
  });
  server_.route("GET", "/streams",
                [this](const HttpdRequest&, HttpdResponder responder) { on_streams(responder); });
  server_.route("GET", "/healthz", [](const HttpdRequest&, HttpdResponder responder) {
    responder.respond(200, "text/plain", "ok\n");
  });
  server_.route("GET", "/readyz", [this](const HttpdRequest&, HttpdResponder responder) {
    if (draining_.load(std::memory_order_relaxed))
      responder.respond(503, "text/plain", "draining\n");
    else
      responder.respond(200, "text/plain", "ready\n");
  });
}

std::string Admin::start() {
  return server_.start(config_.admin, "sluice/admin");
}

void Admin::on_metrics(const HttpdRequest& request, const HttpdResponder& responder) {
  MetricsFormat format = request.head.lists_token("accept", "application/openmetrics-text")
                             ? MetricsFormat::kOpenMetrics
                             : MetricsFormat::kPrometheus;
  metrics_.add(responder, [this, format](const std::vector<WorkerSnapshot>& workers,
                                         const HttpdResponder& to) {
    to.respond(200, metrics_content_type(format),
               render_metrics(config_, workers, process_facts(), format));
  });
}

ProcessFacts Admin::process_facts() const {
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
  return process;
}

void Admin::on_streams(const HttpdResponder& responder) {
  streams_.add(responder,
               [](const std::vector<std::vector<StreamInfo>>& workers, const HttpdResponder& to) {
                 std::string body = "[";
                 for (const std::vector<StreamInfo>& streams : workers) {
                   for (const StreamInfo& stream : streams) {
                     if (body.size() > 1) body += ",\n";
                     append_stream(body, stream);
                   }
                 }
                 body += "]\n";
                 to.respond(200, "application/json", body);
               });
}

}  // namespace sluice
