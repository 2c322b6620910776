#include "net/admin/admin.h"

#include <dirent.h>
#include <fstream>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "core/clock.h"
#include "core/text.h"
#include "net/base/version.h"
#include "net/observe/upstreams_json.h"

namespace sluice {

namespace {

// A scrape is wanted most when requests have taken all that there is. No more than any process has
// for its connections (net/process/fd_shares.h).
constexpr size_t kFdsHeldBack = 4;

// For a few scrapers and people. Slow or idle connections give way to them.
HttpdLimits limits_with(const Admin::Options& options) {
  return {.connections_max = options.connections_max,
          .fds_held_back = kFdsHeldBack,
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

// Beyond that the one who asked is told to look at the log.
constexpr uint64_t kReloadWithinMs = 5'000;

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
  text("protocol", stream.protocol);
  text("client", stream.client);
  text("method", stream.method);
  text("target", stream.target);
  text("dialect", stream.dialect);
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

// A browser may be made to send an order by any page that it shows; it says so in Origin.
bool refused_from_page(const HttpdRequest& request, const HttpdResponder& responder) {
  if (!request.header("origin")) return false;
  responder.problem(403, "Orders are not for pages of a browser.");
  return true;
}

}  // namespace

Admin::Admin(std::shared_ptr<const ConfigSnapshot> snapshot,
             std::vector<std::unique_ptr<Worker>>& workers, const LogWriter& log,
             const Options& options)
    : snapshot_(std::move(snapshot)),
      options_(options),
      log_(log),
      server_(limits_with(options)),
      metrics_(
          server_, workers, {},
          [](Gateway& gateway, WorkerSnapshot& into) { gateway.snapshot(into); },
          options.answer_within),
      streams_(
          server_, workers, {},
          [](Gateway& gateway, std::vector<StreamInfo>& into) { gateway.list_streams(into); },
          options.answer_within),
      watchers_(server_, workers, snapshot_, options.answer_within, options.connections_max) {
  const Config& config = snapshot_->config();
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
  server_.route("GET", "/tap", [this](const HttpdRequest& request, HttpdResponder responder) {
    watchers_.add(request, responder);
  });
  server_.route("GET", "/upstreams",
                [this](const HttpdRequest&, HttpdResponder responder) { on_upstreams(responder); });
  for (bool drained : {true, false})
    server_.route("POST", drained ? "/upstreams/drain" : "/upstreams/undrain",
                  [this, drained](const HttpdRequest& request, HttpdResponder responder) {
                    on_drain(request, responder, drained);
                  });
  server_.route("POST", "/reload", [this](const HttpdRequest& request, HttpdResponder responder) {
    on_reload(request, responder);
  });
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
  return server_.start(snapshot_->config().admin, "sluice/admin");
}

void Admin::on_metrics(const HttpdRequest& request, const HttpdResponder& responder) {
  MetricsFormat format = request.head.lists_token("accept", "application/openmetrics-text")
                             ? MetricsFormat::kOpenMetrics
                             : MetricsFormat::kPrometheus;
  metrics_.add(responder, [this, format](const std::vector<WorkerSnapshot>& workers,
                                         const HttpdResponder& to) {
    to.respond(200, metrics_content_type(format),
               render_metrics(*snapshot_, workers, process_facts(), format));
  });
}

ProcessFacts Admin::process_facts() const {
  ProcessFacts process;
  process.version = kVersion;
  process.uptime_seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - started_).count();
  process.now_ms = monotonic_ns() / 1'000'000;
  process.open_fds = count_open_fds();
  process.resident_bytes = resident_bytes();
  process.log_lines_dropped = log_.dropped();
  process.log_write_errors = log_.write_errors();
  process.admin_drops = server_.dropped();
  process.config_generation = snapshot_->generation();
  process.reloads_ok = reloads_ok_;
  process.reloads_failed = reloads_failed_;
  process.taps = watchers_.count();
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

void Admin::on_upstreams(const HttpdResponder& responder) {
  metrics_.add(responder,
               [this](const std::vector<WorkerSnapshot>& workers, const HttpdResponder& to) {
                 to.respond(200, "application/json",
                            render_upstreams(*snapshot_, workers, monotonic_ns() / 1'000'000));
               });
}

// Workers look at the board when they choose, so it is in force at once.
void Admin::on_drain(const HttpdRequest& request, const HttpdResponder& responder, bool drained) {
  if (refused_from_page(request, responder)) return;
  std::optional<std::string> url = request.decoded_parameter("url");
  if (!url) {
    responder.problem(400, "Name the upstream: ?url=http://HOST:PORT");
    return;
  }
  std::optional<uint32_t> id = snapshot_->find_upstream(*url);
  if (!id) {
    responder.problem(404, "No route has an upstream of that url; /upstreams lists them.");
    return;
  }
  UpstreamHealth& health = snapshot_->board().health(*id);
  uint64_t now_ms = monotonic_ns() / 1'000'000;
  if (drained)
    health.drain(now_ms);
  else
    health.undrain(now_ms);
  std::string body = "{\"url\":\"";
  append_json_escaped(body, *url);
  body += std::string("\",\"state\":\"") + upstream_state_name(health.state(now_ms)) + "\"}\n";
  responder.respond(200, "application/json", body);
}

void Admin::on_reload(const HttpdRequest& request, const HttpdResponder& responder) {
  if (refused_from_page(request, responder)) return;
  {
    std::lock_guard lock(reload_mutex_);
    std::erase_if(reload_requests_, [](const HttpdResponder& asker) { return !asker.open(); });
    reload_requests_.push_back(responder);
  }
  responder.after_ms(kReloadWithinMs, [responder] {
    responder.problem(503, "The reload is not done yet; the log tells how it ends.",
                      {{"Retry-After", "1"}});
  });
  ::eventfd_write(options_.reload_fd, 1);
}

std::vector<HttpdResponder> Admin::take_reload_requests() {
  std::lock_guard lock(reload_mutex_);
  return std::exchange(reload_requests_, {});
}

void Admin::reloaded(std::vector<HttpdResponder> askers,
                     std::shared_ptr<const ConfigSnapshot> snapshot) {
  server_.post([this, askers = std::move(askers), snapshot = std::move(snapshot)] {
    ++reloads_ok_;
    if (snapshot->generation() > snapshot_->generation()) snapshot_ = snapshot;
    std::string generation = std::to_string(snapshot->generation());
    for (const HttpdResponder& asker : askers)
      asker.respond(200, "application/json", "{\"generation\":" + generation + "}\n");
  });
}

void Admin::reload_failed(std::vector<HttpdResponder> askers, std::string why) {
  server_.post([this, askers = std::move(askers), why = std::move(why)] {
    ++reloads_failed_;
    for (const HttpdResponder& asker : askers) asker.problem(422, why);
  });
}

}  // namespace sluice
