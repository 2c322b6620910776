// How a running process takes over another configuration: all of it is read, checked and opened
// first, and only then do the workers change over. Where anything is wrong nothing has changed.
#include <algorithm>
#include <atomic>
#include <exception>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>

#include "core/socket.h"
#include "core/text.h"
#include "net/process/server.h"

namespace sluice {

namespace {

void close_log(std::optional<int> fd) {
  if (fd && *fd > STDOUT_FILENO) close(*fd);
}

// The addresses of `wanted` that `present` has not; one with port 0 may be there twice.
std::vector<Listen> missing(const std::vector<Listen>& wanted, const std::vector<Listen>& present) {
  std::vector<std::string> there;
  there.reserve(present.size());
  for (const Listen& address : present) there.push_back(address.identity());
  std::vector<Listen> all;
  for (const Listen& address : wanted) {
    auto found = std::ranges::find(there, address.identity());
    if (found == there.end())
      all.push_back(address);
    else
      there.erase(found);
  }
  return all;
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

}  // namespace

// Shared with the thread that reads, which may outlast the server: a file may never come to an end.
struct Server::Reading {
  ~Reading() { close(done_fd); }

  ConfigResult result;  // the reader's until it is done
  std::atomic<bool> done{false};
  int done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
};

int Server::reading_fd() const {
  return reading_ ? reading_->done_fd : -1;
}

void Server::begin_reload() {
  if (reading_) {
    reload_again_ = true;
    return;
  }
  if (admin_) askers_ = admin_->take_reload_requests();
  renewing_ = false;
  begin_reading(read_again_);
}

void Server::follow_certificates() {
  if (read_certificates_ && !follower_.follow(current().tls_server_files))
    warn("no thread can be started that notices when certificates change; reload then");
}

void Server::begin_renewal() {
  if (phase_ != Phase::kServing && phase_ != Phase::kDelayed) return;
  if (reading_) {
    renew_again_ = true;
    return;
  }
  renewing_ = true;
  begin_reading([config = std::make_shared<Config>(current()), read = read_certificates_] {
    ConfigResult result{.config = nullptr, .message = ""};
    result.message = read(*config, result.warnings);
    if (result.message.empty()) result.config = config;
    return result;
  });
}

void Server::begin_reading(std::function<ConfigResult()> read_config) {
  reading_ = std::make_shared<Reading>();
  auto read = [reading = reading_, read_config = std::move(read_config)] {
    try {
      reading->result = read_config();
    } catch (const std::exception& error) {
      reading->result = {.config = nullptr, .message = error.what()};
    }
    reading->done.store(true, std::memory_order_release);
    eventfd_write(reading->done_fd, 1);
  };
  try {
    std::thread(read).detach();
  } catch (const std::system_error&) {
    read();  // no thread is to be had
  }
}

void Server::end_reload() {
  if (!reading_->done.load(std::memory_order_acquire)) return;
  std::shared_ptr<Reading> reading = std::exchange(reading_, nullptr);
  if (renewing_)
    finish_renewal(reading->result);
  else
    finish_reload(reading->result);
  if (std::exchange(reload_again_, false)) {
    begin_reload();
  } else if (std::exchange(renew_again_, false)) {
    begin_renewal();
  }
}

// Running connections keep the certificates that they began with, and all keep what else is
// configured.
void Server::finish_renewal(const ConfigResult& result) {
  Change change;
  std::string wrong = one_line(prepare(result, change));
  if (!wrong.empty()) {
    warn(wrong + "; the certificates of before are kept");
    if (admin_) admin_->reload_failed({}, wrong);
    return;
  }
  snapshot_ = change.snapshot;
  say("certificates have changed and are in use, generation " +
      std::to_string(snapshot_->generation()));
  switch_to(change, [admin = admin_.get(), snapshot = snapshot_] {
    if (admin) admin->reloaded({}, snapshot);
  });
}

void Server::finish_reload(const ConfigResult& result) {
  std::vector<HttpdResponder> askers = std::exchange(askers_, {});
  Change change;
  std::string wrong = one_line(prepare(result, change));
  if (wrong.empty()) {
    snapshot_ = change.snapshot;
    Config running = snapshot_->config();
    if (admin_) running.admin = admin_->address();
    running.admin_on = admin_ != nullptr;
    say("reloaded, generation " + std::to_string(snapshot_->generation()) + ": " +
        summary(running));
    std::vector<std::string> names = need_restart(*config_, snapshot_->config());
    if (!names.empty()) warn("a restart is needed for what has changed in " + joined(names));
    // Only now: the log has told of it when POST /reload is answered.
    switch_to(change, [admin = admin_.get(), askers, snapshot = snapshot_] {
      if (admin) admin->reloaded(askers, snapshot);
    });
    follow_certificates();
  } else {
    print_message("reload: " + wrong + "; nothing has changed");
    if (admin_) admin_->reload_failed(askers, wrong);
  }
}

// "" or what is wrong.
std::string Server::prepare(const ConfigResult& read, Change& change) {
  if (phase_ != Phase::kServing && phase_ != Phase::kDelayed) return "the process is draining";
  if (!read.config) {
    constexpr std::string_view kPrefix = "sluice: ";
    return read.message.substr(read.message.starts_with(kPrefix) ? kPrefix.size() : 0);
  }
  for (const std::string& warning : read.warnings) warn(warning);
  Config config = *read.config;
  config.instance = config_->instance;
  if (std::string wrong = add_demo(config); !wrong.empty()) return wrong;

  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  FdShares shares = share_fds_of(config, limit.rlim_cur);
  if (std::string wrong = fds_lacking(shares, limit.rlim_cur); !wrong.empty()) return wrong;
  change.clients_max = shares.clients;

  const Config& running = snapshot_->config();
  if (config.access_log != running.access_log) {
    std::string error;
    change.log_file = open_log_file(config.access_log, &error);
    if (!change.log_file) return "access-log: " + error;
  }
  if (config.usage_log != running.usage_log) {
    std::string error;
    change.usage_log = open_log_file(config.usage_log, &error);
    if (!change.usage_log) {
      close_log(change.log_file);
      return "usage-log: " + error;
    }
  }
  change.snapshot = std::make_shared<ConfigSnapshot>(std::move(config), snapshot_.get());
  const std::vector<Listen>& listen = change.snapshot->config().listen;
  std::string wrong = hubs_->open_stores(*change.snapshot, change.hubs);
  if (wrong.empty()) wrong = open_listeners(missing(listen, running.listen), change.sockets);
  if (!wrong.empty()) {
    change.hubs.clear();
    close_log(change.log_file);
    close_log(change.usage_log);
  }
  return wrong;
}

// `done` runs on the thread of the worker that changes over last.
void Server::switch_to(Change& change, std::function<void()> done) {
  client_limit_->set_most(change.clients_max);
  hubs_->add(change.hubs);
  const Config& config = snapshot_->config();
  if (change.log_file) log_.use_file(config.access_log, *change.log_file);
  if (change.usage_log) log_.use_file(config.usage_log, *change.usage_log, LogTarget::kUsage);
  auto missing = std::make_shared<std::atomic<size_t>>(workers_.size());
  auto switched = [missing, done = std::move(done)] {
    if (missing->fetch_sub(1) == 1) done();
  };
  for (size_t i = 0; i < workers_.size(); ++i) {
    auto sockets = std::exchange(change.sockets[i], {});
    bool posted = workers_[i]->post([snapshot = snapshot_, sockets, switched](Gateway& gateway) {
      gateway.reload(snapshot, sockets, switched);
    });
    if (posted) continue;
    for (const ListeningSocket& socket : sockets) close_socket(socket.fd);
    switched();  // it has stopped: nothing runs there
  }
}

}  // namespace sluice
