// The process: checks what the machine offers, opens listeners, starts the workers and the threads
// beside them, waits for signals, reloads, drains, ends. Owned by main() and used on the main
// thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/features.h"
#include "core/log.h"
#include "net/admin/admin.h"
#include "net/config/snapshot.h"
#include "net/demo/demo.h"
#include "net/gateway/worker.h"
#include "net/hub/exchange.h"
#include "net/process/fd_shares.h"
#include "net/process/file_follower.h"
#include "net/transport/client_limit.h"

namespace sluice {

class Server {
 public:
  // `read_again` reads flags and file anew, for a reload; `read_certificates` those of a
  // configuration, once their files have changed.
  Server(std::shared_ptr<Config> config, std::function<ConfigResult()> read_again,
         ReadNamedFiles read_certificates = {});
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

  // By worker.
  using Sockets = std::vector<std::vector<ListeningSocket>>;

  // What a reload changes to, all of it opened and checked.
  struct Change {
    std::shared_ptr<const ConfigSnapshot> snapshot;
    Sockets sockets;          // of new listeners
    HubProcess::Opened hubs;  // with new stores
    std::optional<int> log_file;
    std::optional<int> usage_log;
    uint64_t clients_max = 0;
  };

  bool start();
  bool start_demo();
  std::string add_demo(Config& config) const;
  std::string open_listeners(std::vector<Listen> addresses, Sockets& into);
  static void close_sockets(Sockets& sockets);
  FdShares share_fds_of(const Config& config, uint64_t limit) const;
  std::string fds_lacking(const FdShares& shares, uint64_t limit) const;
  bool start_workers();
  bool start_admin();
  void print_facts();
  void wait_for_signals();
  unsigned worker_count() const;
  bool share_out_fds();
  // Reading may take long (names, a file that is a pipe), so a thread of its own does it, and tells
  // this one.
  struct Reading;

  void begin_reload();
  void end_reload();
  void follow_certificates();
  // Their files have changed: they are read again for the configuration that is running.
  void begin_renewal();
  void begin_reading(std::function<ConfigResult()> read);
  void finish_reload(const ConfigResult& result);
  void finish_renewal(const ConfigResult& result);
  std::string prepare(const ConfigResult& read, Change& change);
  void switch_to(Change& change, std::function<void()> done);
  int reading_fd() const;
  int wait_ms() const;
  bool read_signals();
  void enter(Phase phase);
  const Config& current() const { return snapshot_ ? snapshot_->config() : *config_; }
  void say(const std::string& message);  // at --log-level info
  void warn(const std::string& message);
  bool fail(const std::string& message);

  const std::shared_ptr<Config> config_;  // of the start; its settings that take a restart hold
  const std::function<ConfigResult()> read_again_;
  const ReadNamedFiles read_certificates_;
  FileFollower follower_;
  std::shared_ptr<const ConfigSnapshot> snapshot_;  // that is running
  Features features_;
  LogWriter log_;
  std::unique_ptr<DemoUpstream> demo_;
  FdShares fds_{};
  std::optional<ClientLimit> client_limit_;
  Sockets sockets_;  // until the workers have them
  std::optional<HubProcess> hubs_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::unique_ptr<Admin> admin_;
  Phase phase_ = Phase::kServing;
  uint64_t phase_end_ms_ = UINT64_MAX;
  int signal_fd_ = -1;
  int stopped_fd_ = -1;                 // counts workers that have stopped
  int reload_fd_ = -1;                  // counts reloads that the admin port was asked for
  std::shared_ptr<Reading> reading_;    // a reload under way
  std::vector<HttpdResponder> askers_;  // for it
  bool reload_again_ = false;           // it was asked for once more meanwhile
  bool renewing_ = false;               // what is under way reads certificates alone
  bool renew_again_ = false;            // they have changed meanwhile
};

}  // namespace sluice
