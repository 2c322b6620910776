// The process: checks what the machine offers, opens listeners, starts the workers and the threads
// beside them, waits for signals, drains, ends. Owned by main() and used on the main thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/features.h"
#include "core/log.h"
#include "net/admin/admin.h"
#include "net/config/config.h"
#include "net/demo/demo.h"
#include "net/gateway/worker.h"
#include "net/process/fd_shares.h"
#include "net/transport/client_limit.h"

namespace sluice {

class Server {
 public:
  explicit Server(std::shared_ptr<Config> config);
  ~Server();

  // Runs until told to stop; the exit status.
  int run();

 private:
  // The way to the end. Each phase lasts for a while at most; a signal goes on to the next.
  enum class Phase : uint8_t {
    kServing,
    kDelayed,   // serving, but not ready any more
    kDraining,  // no new clients; streams may finish
    kEnding,    // the rest of the streams is ended, bit by bit
    kAborting,  // all at once
  };

  bool start();
  bool start_demo();
  bool open_listeners(unsigned workers);
  bool start_workers();
  bool start_admin();
  void print_facts();
  void wait_for_signals();
  unsigned worker_count() const;
  bool share_out_fds();
  int wait_ms() const;
  bool read_signals();
  void enter(Phase phase);
  void say(const std::string& message);  // at --log-level info
  void warn(const std::string& message);
  bool fail(const std::string& message);

  std::shared_ptr<Config> config_;
  Features features_;
  LogWriter log_;
  std::unique_ptr<DemoUpstream> demo_;
  FdShares fds_{};
  std::optional<ClientLimit> client_limit_;
  std::vector<std::vector<int>> listeners_;  // by worker, until it has them
  std::vector<std::unique_ptr<Worker>> workers_;
  std::unique_ptr<Admin> admin_;
  Phase phase_ = Phase::kServing;
  uint64_t phase_end_ms_ = UINT64_MAX;
  int signal_fd_ = -1;
  int stopped_fd_ = -1;  // counts workers that have stopped
};

}  // namespace sluice
