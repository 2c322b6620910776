#include "net/process/server.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <poll.h>
#include <sched.h>
#include <set>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <utility>

#include "core/clock.h"
#include "core/ring.h"
#include "core/socket.h"
#include "core/units.h"
#include "net/base/limits.h"
#include "net/base/version.h"
#include "net/config/check.h"
#include "sse/scanner.h"

namespace sluice {

namespace {

// A worker that has not ended so long after the order to end never will.
constexpr uint64_t kAbortMs = 2000;

uint64_t now_ms() {
  return monotonic_ns() / 1'000'000;
}

std::vector<int> allowed_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cpus;
  if (sched_getaffinity(0, sizeof(set), &set) == 0)
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
      if (CPU_ISSET(static_cast<size_t>(cpu), &set)) cpus.push_back(cpu);
  if (cpus.empty()) cpus.push_back(0);
  return cpus;
}

// To the hard limit; returns what holds now.
uint64_t raise_fd_limit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  rlim_t before = limit.rlim_cur;
  limit.rlim_cur = limit.rlim_max;
  return setrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_max : before;
}

// Before any thread starts, so that all of them leave these signals to the main thread.
int take_signals() {
  (void)signal(SIGPIPE, SIG_IGN);
  (void)signal(SIGXFSZ, SIG_IGN);  // a log at its RLIMIT_FSIZE
  sigset_t signals;
  sigemptyset(&signals);
  for (int number : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) sigaddset(&signals, number);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

// 64 bits that no other process has.
std::string make_instance() {
  std::array<unsigned char, 8> bytes{};
  [[maybe_unused]] ssize_t got = getrandom(bytes.data(), bytes.size(), 0);
  std::string hex;
  for (unsigned char byte : bytes) {
    hex += "0123456789abcdef"[byte >> 4];
    hex += "0123456789abcdef"[byte & 15];
  }
  return hex;
}

}  // namespace

Server::Server(std::shared_ptr<Config> config, std::function<ConfigResult()> read_again,
               ReadNamedFiles read_certificates)
    : config_(std::move(config)),
      read_again_(std::move(read_again)),
      read_certificates_(std::move(read_certificates)) {
  config_->instance = make_instance();
}

// Also where a start has failed half-way, or found no memory or thread (an exception).
Server::~Server() {
  if (admin_) admin_->stop();
  for (auto& worker : workers_) worker->post([](Gateway& gateway) { gateway.abort_all(); });
  if (hubs_) hubs_->silence_stores();
  for (auto& worker : workers_) worker->join();  // they wake each other until then
  workers_.clear();
  admin_.reset();  // to which they have answered until then
  close_sockets(sockets_);
  for (int fd : {stopped_fd_, signal_fd_, reload_fd_})
    if (fd >= 0) close(fd);
}

bool Server::fail(const std::string& message) {
  print_message(message);
  return false;
}

void Server::say(const std::string& message) {
  if (current().log_level <= LogLevel::kInfo) print_message(message);
}

void Server::warn(const std::string& message) {
  if (current().log_level <= LogLevel::kWarn) print_message(message);
}

int Server::run() {
  if (!start()) return 1;
  wait_for_signals();
  for (auto& worker : workers_) worker->join();
  if (admin_) admin_->stop();
  if (demo_) demo_->stop();
  log_.stop();
  return 0;
}

bool Server::start() {
  signal_fd_ = take_signals();
  if (!select_scanner(config_->simd))
    return fail("--simd " + config_->simd + " is not supported by this CPU; use --simd auto");
  std::string error;
  if (!Ring::probe(features_without(config_->uring_disable), &features_, &error))
    return fail(error);
  std::optional<int> log_file = open_log_file(config_->access_log, &error);
  if (!log_file) return fail("--access-log: " + error);
  log_.use_file(config_->access_log, *log_file);
  std::optional<int> usage_log = open_log_file(config_->usage_log, &error);
  if (!usage_log) return fail("--usage-log: " + error);
  log_.use_file(config_->usage_log, *usage_log, LogTarget::kUsage);
  stopped_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  reload_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (!share_out_fds() || !start_demo() || !start_workers() || !start_admin()) return false;
  follow_certificates();
  log_.start();
  print_facts();
  return true;
}

bool Server::start_demo() {
  if (!config_->demo) return true;
  HttpdLimits limits;
  limits.connections_max = fds_.demo_connections;
  demo_ = std::make_unique<DemoUpstream>(limits);
  std::string error = demo_->start();
  if (!error.empty()) return fail("cannot start the demo upstream: " + error);
  return true;
}

// Its address is known once it listens. "" or what is wrong.
std::string Server::add_demo(Config& config) const {
  for (Route& route : config.routes) {
    if (!route.upstreams.empty()) continue;
    if (!demo_)
      return "demo: needs a restart, and without it route " + route.path + " has no upstream";
    std::string authority = "127.0.0.1:" + std::to_string(demo_->port());
    std::string error;
    route.upstreams.push_back(
        {"http://" + authority, authority, *parse_address(authority, &error)});
  }
  return "";
}

// One listener for each address and worker; the first of an address settles a port of 0. "" or what
// is wrong, and then nothing is open.
std::string Server::open_listeners(std::vector<Listen> addresses, Sockets& into) {
  into.resize(worker_count());
  std::vector<std::string> lines;  // said once all of them are open
  for (Listen& address : addresses) {
    std::string identity = address.identity();
    for (unsigned i = 0; i < into.size(); ++i) {
      std::string error;
      // What is ours already is not taken by another process.
      bool ours = snapshot_ && std::ranges::any_of(current().listen, [&](const Address& other) {
                    return collide(address, other);
                  });
      int fd = open_listener(address.sa(), address.size, i == 0 && !ours, &error);
      if (fd < 0) {
        close_sockets(into);
        return "--listen " + address.name() + ": " + error;
      }
      if (i == 0) address.size = local_address(fd, &address.storage);
      accept_with_bytes(fd);  // in every protocol that we speak, the client begins
      into[i].push_back({identity, fd, address.options});
    }
    lines.push_back("listening on " + address.name());
  }
  for (const std::string& line : lines) say(line);
  return "";
}

void Server::close_sockets(Sockets& sockets) {
  for (const auto& of_worker : std::exchange(sockets, {}))
    for (const ListeningSocket& socket : of_worker) close_socket(socket.fd);
}

bool Server::start_workers() {
  std::vector<int> cpus = allowed_cpus();
  unsigned count = worker_count();
  Config config = *config_;
  add_demo(config);
  if (std::string error = open_listeners(config_->listen, sockets_); !error.empty())
    return fail(error);
  snapshot_ = std::make_shared<ConfigSnapshot>(std::move(config));
  hubs_.emplace(count, /*home=*/0);
  HubProcess::Opened opened;
  if (std::string error = hubs_->open_stores(*snapshot_, opened); !error.empty())
    return fail(error);
  hubs_->add(opened);
  for (unsigned i = 0; i < count; ++i) {
    Worker::Options options{.index = i,
                            .cpu = config_->pin ? cpus[i % cpus.size()] : -1,
                            .snapshot = snapshot_,
                            .features = features_,
                            .client_limit = &*client_limit_,
                            .hubs = &*hubs_,
                            .sockets = std::exchange(sockets_[i], {}),
                            .log = &log_.add_queue()};
    workers_.push_back(std::make_unique<Worker>(std::move(options)));
    std::string error = workers_.back()->start();
    if (!error.empty()) return fail(error);
  }
  hubs_->set_waker([this](unsigned worker) {
    return workers_[worker]->post([](Gateway& gateway) { gateway.on_hub_news(); });
  });
  for (auto& worker : workers_) {
    std::string error = worker->serve([this] {
      uint64_t one = 1;
      [[maybe_unused]] ssize_t written = write(stopped_fd_, &one, sizeof(one));
    });
    if (!error.empty()) return fail(error);
  }
  return true;
}

unsigned Server::worker_count() const {
  return config_->threads > 0 ? config_->threads : static_cast<unsigned>(allowed_cpus().size());
}

FdShares Server::share_fds_of(const Config& config, uint64_t limit) const {
  size_t probed = 0;
  size_t sources = 0;
  std::set<std::string> stores;
  for (const Route& route : config.routes) {
    sources += route.is_source() ? 1 : 0;
    if (!route.settings.health.empty()) probed += route.upstreams.size();
    if (!route.hub_store.empty()) stores.insert(route.hub_store);
  }
  return share_fds(limit, {.workers = worker_count(),
                           .listeners = config.listen.size(),
                           .admin = config_->admin_on,
                           .demo = config_->demo,
                           .probed = probed,
                           .stores = stores.size(),
                           .sources = sources,
                           .only_hubs = config.serves_only_hubs()});
}

std::string Server::fds_lacking(const FdShares& shares, uint64_t limit) const {
  if (limit >= shares.needed) return "";
  unsigned workers = worker_count();
  return "RLIMIT_NOFILE is " + std::to_string(limit) + ", and " + std::to_string(workers) +
         (workers == 1 ? " worker needs" : " workers need") + " at least " +
         std::to_string(shares.needed) +
         "; raise it (ulimit -n, or LimitNOFILE in the service's unit), or use --threads";
}

bool Server::share_out_fds() {
  uint64_t limit = raise_fd_limit();
  fds_ = share_fds_of(*config_, limit);
  if (std::string wrong = fds_lacking(fds_, limit); !wrong.empty()) return fail(wrong);
  client_limit_.emplace(fds_.clients);
  return true;
}

bool Server::start_admin() {
  if (!config_->admin_on) return true;
  admin_ = std::make_unique<Admin>(
      snapshot_, workers_, log_,
      Admin::Options{.connections_max = fds_.admin_connections, .reload_fd = reload_fd_});
  std::string error = admin_->start();
  if (!error.empty()) return fail("--admin " + config_->admin.text() + ": " + error);
  say("admin on " + admin_->address().text());
  return true;
}

void Server::print_facts() {
  const Features& got = workers_[0]->features();
  utsname system{};
  uname(&system);
  std::string in_use;
  std::string missing;
  for (const FeatureName& feature : kFeatureNames) {
    std::string& list = got.*feature.member ? in_use : missing;
    list += list.empty() ? feature.name : std::string(" ") + feature.name;
  }
  std::string text = "sluice " + std::string(kVersion) + " on Linux " + system.release + ": " +
                     std::to_string(workers_.size()) +
                     (workers_.size() == 1 ? " worker" : " workers") +
                     (config_->pin ? ", pinned" : "") + "; scanner " + active_scanner().name +
                     "; io_uring with " + (in_use.empty() ? "none of its extras" : in_use);
  if (!missing.empty()) text += ", without " + missing;
  text += "; " + workers_[0]->memory_facts();
  say(text);
}

void Server::wait_for_signals() {
  size_t stopped = 0;
  while (stopped < workers_.size()) {
    std::array<pollfd, 5> fds{{{signal_fd_, POLLIN, 0},
                               {stopped_fd_, POLLIN, 0},
                               {reload_fd_, POLLIN, 0},
                               {reading_fd(), POLLIN, 0},
                               {follower_.fd(), POLLIN, 0}}};
    poll(fds.data(), fds.size(), wait_ms());
    uint64_t count = 0;
    if (read(stopped_fd_, &count, sizeof(count)) == sizeof(count)) stopped += count;
    if (read(reload_fd_, &count, sizeof(count)) == sizeof(count)) begin_reload();
    if (fds[3].revents != 0) end_reload();
    if (follower_.take_change()) begin_renewal();
    bool told_to_stop = read_signals();
    bool due = now_ms() >= phase_end_ms_;
    bool drains = phase_ == Phase::kDraining || phase_ == Phase::kEnding;
    if (told_to_stop && drains) {
      enter(Phase::kAborting);
    } else if (phase_ == Phase::kServing || phase_ == Phase::kDelayed) {
      if (told_to_stop || due)
        enter(phase_ == Phase::kServing ? Phase::kDelayed : Phase::kDraining);
    } else if (due && phase_ == Phase::kDraining) {
      enter(Phase::kEnding);
    } else if (due) {
      warn("a worker does not end; giving up");
      log_.stop();
      _exit(1);
    }
  }
}

int Server::wait_ms() const {
  if (phase_end_ms_ == UINT64_MAX) return -1;
  uint64_t now = now_ms();
  return phase_end_ms_ > now ? static_cast<int>(std::min<uint64_t>(phase_end_ms_ - now, 60'000))
                             : 0;
}

// True: one that tells us to stop was among them.
bool Server::read_signals() {
  bool told_to_stop = false;
  signalfd_siginfo signal{};
  while (read(signal_fd_, &signal, sizeof(signal)) == sizeof(signal)) {
    if (signal.ssi_signo == SIGUSR1)
      log_.request_reopen();
    else if (signal.ssi_signo == SIGHUP)
      begin_reload();
    else
      told_to_stop = true;
  }
  return told_to_stop;
}

void Server::enter(Phase phase) {
  phase_ = phase;
  uint64_t lasts_ms = 0;
  switch (phase) {
    case Phase::kServing:
      break;
    case Phase::kDelayed:
      lasts_ms = current().shutdown_delay_ms;
      if (admin_) admin_->set_draining();
      for (auto& worker : workers_) worker->post([](Gateway& gateway) { gateway.say_close(); });
      // Said only now, so that a reader of the line may rely on it.
      if (lasts_ms > 0) say("not ready; draining in " + format_duration_ms(lasts_ms));
      break;
    case Phase::kDraining:
      lasts_ms = current().shutdown_grace_ms;
      for (auto& worker : workers_) worker->post([](Gateway& gateway) { gateway.drain(); });
      say("draining");
      break;
    case Phase::kEnding:
      lasts_ms = limits::kEndingMs + kAbortMs;
      for (auto& worker : workers_) worker->post([](Gateway& gateway) { gateway.end_all(); });
      break;
    case Phase::kAborting:
      lasts_ms = kAbortMs;
      for (auto& worker : workers_) worker->post([](Gateway& gateway) { gateway.abort_all(); });
      break;
  }
  phase_end_ms_ = now_ms() + lasts_ms;
}

}  // namespace sluice
