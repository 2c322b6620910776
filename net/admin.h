// The admin port: /metrics, /healthz, /readyz and /streams, and a page at / that shows them live.
// Owned by the server; runs on a thread of its own, off the data path. A scrape sends each worker
// one message and waits for their answers, so that workers share nothing that is written.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "core/log.h"
#include "net/config.h"
#include "net/metrics_text.h"
#include "net/side_server.h"
#include "net/worker.h"

namespace sluice {

class Admin {
 public:
  Admin(const Config& config, std::vector<std::unique_ptr<Worker>>& workers, const LogWriter& log);

  // "" or why not.
  [[nodiscard]] std::string start();
  void stop() { server_.stop(); }
  const Address& address() const { return server_.address(); }
  void set_draining() { draining_.store(true, std::memory_order_relaxed); }

 private:
  void on_metrics(const SideRequest& request, const SideResponder& responder);
  void on_streams(const SideResponder& responder);

  const Config& config_;
  std::vector<std::unique_ptr<Worker>>& workers_;
  const LogWriter& log_;
  std::atomic<bool> draining_{false};
  std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  SideServer server_;
};

// net/admin_page.html, embedded by the build.
extern const std::string_view kAdminPage;

}  // namespace sluice
