// The admin port: /metrics, /healthz, /readyz, /streams and /upstreams, a page at / that shows them
// live, /tap (net/admin/watchers.h), POST /upstreams/drain and /undrain, and POST /reload, which
// the main thread carries out. Owned by the server; runs on a thread of its own, off the data path.
// A scrape sends each worker one message (net/admin/scrape.h), so that workers share no memory that
// is written. Only the scraper waits for the answers. The workers' threads end before the admin
// port does.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/log.h"
#include "net/admin/scrape.h"
#include "net/admin/watchers.h"
#include "net/config/snapshot.h"
#include "net/gateway/worker.h"
#include "net/httpd/httpd.h"
#include "net/observe/metrics_text.h"

namespace sluice {

class Admin {
 public:
  struct Options {
    size_t connections_max = 64;
    int reload_fd = -1;  // an eventfd, not owned, that tells the main thread of a POST /reload
    std::chrono::milliseconds answer_within{2000};  // of a worker, else 503
  };

  Admin(std::shared_ptr<const ConfigSnapshot> snapshot,
        std::vector<std::unique_ptr<Worker>>& workers, const LogWriter& log,
        const Options& options);
  ~Admin() { stop(); }

  // "", or the reason why not.
  [[nodiscard]] std::string start();
  void stop() { server_.stop(); }
  const Address& address() const { return server_.address(); }

  // Those who have asked for a reload since the last call, for their answer; any thread.
  std::vector<HttpdResponder> take_reload_requests();
  // It is in force; it could not be done, and why. Any thread.
  void reloaded(std::vector<HttpdResponder> askers, std::shared_ptr<const ConfigSnapshot> snapshot);
  void reload_failed(std::vector<HttpdResponder> askers, std::string why);
  void set_draining() { draining_.store(true, std::memory_order_relaxed); }

 private:
  void on_metrics(const HttpdRequest& request, const HttpdResponder& responder);
  void on_streams(const HttpdResponder& responder);
  void on_upstreams(const HttpdResponder& responder);
  void on_drain(const HttpdRequest& request, const HttpdResponder& responder, bool drained);
  void on_reload(const HttpdRequest& request, const HttpdResponder& responder);
  ProcessFacts process_facts() const;

  std::shared_ptr<const ConfigSnapshot> snapshot_;  // the server's thread
  const Options options_;
  const LogWriter& log_;
  std::atomic<bool> draining_{false};
  std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  uint64_t reloads_ok_ = 0;
  uint64_t reloads_failed_ = 0;
  std::mutex reload_mutex_;
  std::vector<HttpdResponder> reload_requests_;
  Httpd server_;
  Scrape<WorkerSnapshot> metrics_;
  Scrape<std::vector<StreamInfo>> streams_;
  Watchers watchers_;
};

// net/admin/admin_page.html, embedded by the build.
extern const std::string_view kAdminPage;

}  // namespace sluice
