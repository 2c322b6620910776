// The admin port: /metrics, /healthz, /readyz and /streams, and a page at / that shows them live.
// Owned by the server; runs on a thread of its own, off the data path. A scrape sends each worker
// one message (net/admin/scrape.h), so that workers share no memory that is written. Only the
// scraper waits for the answers. The workers' threads end before the admin port does.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "core/log.h"
#include "net/admin/scrape.h"
#include "net/config/config.h"
#include "net/gateway/worker.h"
#include "net/httpd/httpd.h"
#include "net/observe/metrics_text.h"

namespace sluice {

class Admin {
 public:
  struct Options {
    size_t connections_max = 64;
    std::chrono::milliseconds answer_within{2000};  // of a worker, else 503
  };

  Admin(const Config& config, std::vector<std::unique_ptr<Worker>>& workers, const LogWriter& log,
        const Options& options);
  ~Admin() { stop(); }

  // "", or the reason why not.
  [[nodiscard]] std::string start();
  void stop() { server_.stop(); }
  const Address& address() const { return server_.address(); }
  void set_draining() { draining_.store(true, std::memory_order_relaxed); }

 private:
  void on_metrics(const HttpdRequest& request, const HttpdResponder& responder);
  void on_streams(const HttpdResponder& responder);
  ProcessFacts process_facts() const;

  const Config& config_;
  const LogWriter& log_;
  std::atomic<bool> draining_{false};
  std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  Httpd server_;
  Scrape<WorkerSnapshot> metrics_;
  Scrape<std::vector<StreamInfo>> streams_;
};

// net/admin/admin_page.html, embedded by the build.
extern const std::string_view kAdminPage;

}  // namespace sluice
