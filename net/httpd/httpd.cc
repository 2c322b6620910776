#include "net/httpd/httpd.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <map>
#include <netinet/tcp.h>
#include <pthread.h>
#include <span>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <unordered_map>

#include "core/check.h"
#include "net/http/problem.h"
#include "net/httpd/connection.h"

namespace sluice {
namespace {

using Clock = HttpdResponder::Clock;
using std::chrono::milliseconds;

constexpr uint64_t kListenerId = 0;
constexpr uint64_t kWakeId = 1;
constexpr uint64_t kFirstConnectionId = 2;
constexpr int kBacklog = 512;
constexpr int kEventsPerWait = 128;
constexpr int kAcceptsPerTurn = 64;
// Out of descriptors or memory: trying again at once would spin.
constexpr milliseconds kAcceptPause{100};
constexpr milliseconds kWaitErrorPause{10};

timespec to_timespec(Clock::duration duration) {
  int64_t ns = std::chrono::duration_cast<std::chrono::nanoseconds>(duration).count();
  if (ns < 0) ns = 0;
  return {.tv_sec = ns / 1'000'000'000, .tv_nsec = ns % 1'000'000'000};
}

Address local_address_of(int fd) {
  Address address;
  address.size = sizeof address.storage;
  ::getsockname(fd, address.sa(), &address.size);
  return address;
}

std::string error_text(std::string_view what, int error) {
  return std::string(what) + ": " + std::strerror(error);
}

// nullopt: it is no such text.
std::optional<std::string> percent_decoded(std::string_view text) {
  auto digit = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    char lower = static_cast<char>(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
  };
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    if (text.size() - i < 3 || digit(text[i + 1]) < 0 || digit(text[i + 2]) < 0)
      return std::nullopt;
    decoded += static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
    i += 2;
  }
  return decoded;
}

}  // namespace

// The server's thread: epoll, timers, accepting, and the table of connections. A turn handles ready
// sockets, due timers and posted callbacks, each of which touches connections. Then it settles
// every touched connection; only there may one be destroyed.
class HttpdLoop {
 public:
  explicit HttpdLoop(Httpd& server) : server_(server), limits_(server.limits_) {}
  ~HttpdLoop();

  std::string listen(Address& address);
  void run();

  // The connection whose exchange is still this one, now touched; or null.
  HttpdConnection* open_exchange(uint64_t connection, uint64_t exchange);
  void set_timer(uint64_t connection, Clock::time_point due, std::function<void()> callback);

 private:
  using Timers = std::multimap<Clock::time_point, std::function<void()>>;
  struct Entry {
    std::unique_ptr<HttpdConnection> connection;
    uint32_t watched = 0;  // the events that epoll knows
    bool touched = false;
    // The exchange's timer; while the stream is paused its callback waits in `paused`.
    std::optional<Timers::iterator> timer;
    std::function<void()> paused;
    // The reason for the current time-out.
    std::optional<Timers::iterator> timeout;
    HttpdConnection::Wait waiting_for = HttpdConnection::Wait::kNothing;
    Clock::time_point waiting_since = Clock::now();
    uint64_t waiting_in_exchange = 0;
    size_t unsent = 0;  // as unsent_ has it
  };

  bool watch(int op, int fd, uint32_t events, uint64_t id) const;
  int wait(std::span<epoll_event> events);
  void accept_some();
  void add_connection(int fd);
  void hold_back();
  bool release_one();
  bool full() const { return entries_.size() >= limits_.connections_max; }
  bool may_accept() const { return limits_.idle_give_way || !full(); }
  void set_accepting(bool on);
  bool make_room();
  void bound_unsent();
  void accept_again_later();
  void on_ready(const epoll_event& event);
  void run_due_timers();
  void run_posted();
  void touch(uint64_t id, Entry& entry);
  void settle(uint64_t id);
  void destroy(uint64_t id, Entry& entry);
  void drop(uint64_t id, Entry& entry);
  void dispatch(HttpdConnection& connection);
  void refresh_timeout(uint64_t id, Entry& entry);
  void clear(std::optional<Timers::iterator>& timer);
  void drop_exchange_timer(Entry& entry);
  timespec until_next_timer() const;

  Httpd& server_;
  const HttpdLimits& limits_;
  int epoll_fd_ = -1;
  int listen_fd_ = -1;
  std::vector<int> held_back_;  // fds
  bool accepting_ = false;      // as epoll knows
  std::optional<Timers::iterator> accept_again_;
  bool no_pwait2_ = false;
  uint64_t next_id_ = kFirstConnectionId;
  std::unordered_map<uint64_t, Entry> entries_;
  size_t unsent_ = 0;  // bytes, of all connections
  std::vector<uint64_t> touched_;
  Timers timers_;
};

HttpdLoop::~HttpdLoop() {
  while (release_one()) {
  }
  if (listen_fd_ >= 0) ::close(listen_fd_);
  if (epoll_fd_ >= 0) ::close(epoll_fd_);
}

std::string HttpdLoop::listen(Address& address) {
  epoll_fd_ = ::epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd_ < 0) return error_text("epoll_create1", errno);
  listen_fd_ = ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (listen_fd_ < 0) return error_text("socket", errno);
  int on = 1;
  ::setsockopt(listen_fd_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(listen_fd_, address.sa(), address.size) < 0) {
    return error_text("cannot bind " + address.text(), errno);
  }
  if (::listen(listen_fd_, kBacklog) < 0) {
    return error_text("cannot listen on " + address.text(), errno);
  }
  address.size = sizeof address.storage;
  ::getsockname(listen_fd_, address.sa(), &address.size);
  if (!watch(EPOLL_CTL_ADD, server_.wake_fd_, EPOLLIN, kWakeId) ||
      !watch(EPOLL_CTL_ADD, listen_fd_, 0, kListenerId)) {
    return error_text("epoll_ctl", errno);
  }
  set_accepting(true);
  hold_back();
  return "";
}

// False if the kernel refuses, for want of memory (ENOMEM) or by fs.epoll.max_user_watches
// (ENOSPC). The caller then does without that fd.
bool HttpdLoop::watch(int op, int fd, uint32_t events, uint64_t id) const {
  epoll_event event{.events = events, .data = {.u64 = id}};
  return ::epoll_ctl(epoll_fd_, op, fd, &event) == 0;
}

// The ready events. None if epoll fails; the turn then does its due and posted work.
int HttpdLoop::wait(std::span<epoll_event> events) {
  timespec until = until_next_timer();
  auto most = static_cast<int>(events.size());
  int n = 0;
  if (!no_pwait2_) {
    n = ::epoll_pwait2(epoll_fd_, events.data(), most, timers_.empty() ? nullptr : &until, nullptr);
    if (n >= 0 || errno == EINTR) return std::max(n, 0);
    no_pwait2_ = true;  // a filter of system calls may not know it
  }
  int64_t until_ms = std::min<int64_t>(until.tv_sec, 3600) * 1000 + until.tv_nsec / 1'000'000 + 1;
  n = ::epoll_wait(epoll_fd_, events.data(), most,
                   timers_.empty() ? -1 : static_cast<int>(until_ms));
  if (n < 0 && errno != EINTR) std::this_thread::sleep_for(kWaitErrorPause);
  return std::max(n, 0);
}

void HttpdLoop::run() {
  epoll_event events[kEventsPerWait];
  while (!server_.stopping_.load(std::memory_order_acquire)) {
    int n = wait(events);
    for (int i = 0; i < n; ++i) on_ready(events[i]);
    run_due_timers();
    run_posted();
    std::vector<uint64_t> touched;
    while (!touched_.empty()) {
      touched.swap(touched_);
      for (uint64_t id : touched) settle(id);
      touched.clear();
    }
    bound_unsent();
  }
}

void HttpdLoop::on_ready(const epoll_event& event) {
  const uint64_t id = event.data.u64;  // a copy: the kernel's struct is packed
  if (id == kListenerId) {
    accept_some();
  } else if (id == kWakeId) {
    eventfd_t count;
    ::eventfd_read(server_.wake_fd_, &count);
  } else if (auto it = entries_.find(id); it != entries_.end()) {
    it->second.connection->on_readiness(event.events);
    touch(it->first, it->second);
  }
}

// --- accepting

void HttpdLoop::accept_some() {
  for (int i = 0; i < kAcceptsPerTurn && accepting_; ++i) {
    int fd = ::accept4(listen_fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      if (full() && !make_room()) {
        ::close(fd);
        server_.dropped_.fetch_add(1, std::memory_order_relaxed);
      } else {
        add_connection(fd);
      }
    } else if (errno == EAGAIN) {
      return;
    } else if (errno == EMFILE && release_one()) {
      continue;
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      set_accepting(false);
      accept_again_later();
    }
    // Any other error belongs to a connection that has gone already.
  }
}

// What the connections that there are do not have already.
void HttpdLoop::hold_back() {
  size_t wanted = limits_.fds_held_back - std::min(limits_.fds_held_back, entries_.size());
  while (held_back_.size() > wanted) release_one();
  while (held_back_.size() < wanted) {
    int fd = ::eventfd(0, EFD_CLOEXEC);
    if (fd < 0) return;
    held_back_.push_back(fd);
  }
}

bool HttpdLoop::release_one() {
  if (held_back_.empty()) return false;
  ::close(held_back_.back());
  held_back_.pop_back();
  return true;
}

void HttpdLoop::add_connection(int fd) {
  int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  uint64_t id = next_id_++;
  Entry& entry = entries_[id];
  entry.connection = std::make_unique<HttpdConnection>(id, fd, limits_);
  hold_back();
  if (!watch(EPOLL_CTL_ADD, fd, 0, id)) return drop(id, entry);
  touch(id, entry);
  if (!may_accept()) set_accepting(false);
}

// Closes the most dispensable connection: an idle one before one in the middle of a message, and of
// those the one whose peer we have waited for longest. So neither idle nor slow clients keep others
// out, and a new client has as much time as others need to fill the server once more.
bool HttpdLoop::make_room() {
  if (!limits_.idle_give_way) return false;
  auto rank = [](const Entry& entry) {
    HttpdConnection::Wait wait = entry.connection->wait();
    bool idle = wait == HttpdConnection::Wait::kFirstByte ||
                wait == HttpdConnection::Wait::kNextRequest ||
                wait == HttpdConnection::Wait::kClose;
    return std::pair(!idle, entry.waiting_since);
  };
  auto best = entries_.end();
  for (auto it = entries_.begin(); it != entries_.end(); ++it) {
    if (it->second.connection->wait() == HttpdConnection::Wait::kNothing) continue;  // for us
    if (best == entries_.end() || rank(it->second) < rank(best->second)) best = it;
  }
  if (best == entries_.end()) return false;
  drop(best->first, best->second);
  return true;
}

void HttpdLoop::bound_unsent() {
  while (unsent_ > limits_.unsent_bytes_max) {
    auto slowest = entries_.end();
    for (auto it = entries_.begin(); it != entries_.end(); ++it) {
      if (it->second.unsent == 0) continue;
      if (slowest == entries_.end() || it->second.waiting_since < slowest->second.waiting_since) {
        slowest = it;
      }
    }
    if (slowest->second.unsent == unsent_) return;
    drop(slowest->first, slowest->second);
  }
}

void HttpdLoop::set_accepting(bool on) {
  on = on && may_accept();
  if (on == accepting_) return;
  if (watch(EPOLL_CTL_MOD, listen_fd_, on ? static_cast<uint32_t>(EPOLLIN) : 0U, kListenerId)) {
    accepting_ = on;
  } else if (on) {
    accept_again_later();
  }
}

void HttpdLoop::accept_again_later() {
  if (accept_again_) return;
  accept_again_ = timers_.emplace(Clock::now() + kAcceptPause, [this] {
    accept_again_.reset();
    hold_back();
    set_accepting(true);
  });
}

// --- timers and posted callbacks

timespec HttpdLoop::until_next_timer() const {
  return timers_.empty() ? timespec{} : to_timespec(timers_.begin()->first - Clock::now());
}

void HttpdLoop::run_due_timers() {
  // A timer that a callback sets for now waits for the next turn (set_timer sets none for earlier).
  Clock::time_point now = Clock::now();
  while (!timers_.empty() && timers_.begin()->first <= now) {
    std::function<void()> callback = std::move(timers_.begin()->second);
    timers_.erase(timers_.begin());
    callback();
  }
}

void HttpdLoop::run_posted() {
  std::vector<std::function<void()>> posted;
  {
    std::lock_guard lock(server_.posted_mutex_);
    posted.swap(server_.posted_);
  }
  for (auto& callback : posted) callback();
}

void HttpdLoop::clear(std::optional<Timers::iterator>& timer) {
  if (timer) timers_.erase(*timer);
  timer.reset();
}

void HttpdLoop::drop_exchange_timer(Entry& entry) {
  clear(entry.timer);
  entry.paused = nullptr;
}

void HttpdLoop::set_timer(uint64_t id, Clock::time_point due, std::function<void()> callback) {
  Entry& entry = entries_.at(id);
  drop_exchange_timer(entry);
  entry.timer = timers_.emplace(std::max(due, Clock::now()),
                                [this, id, callback = std::move(callback)]() mutable {
                                  Entry& owner = entries_.at(id);
                                  owner.timer.reset();
                                  if (!owner.connection->exchange_open()) return;
                                  touch(id, owner);
                                  if (owner.connection->stream_paused()) {
                                    owner.paused = std::move(callback);
                                  } else {
                                    callback();
                                  }
                                });
}

// --- connections

HttpdConnection* HttpdLoop::open_exchange(uint64_t id, uint64_t exchange) {
  auto it = entries_.find(id);
  if (it == entries_.end()) return nullptr;
  HttpdConnection& connection = *it->second.connection;
  if (!connection.exchange_open() || connection.exchange() != exchange) return nullptr;
  touch(id, it->second);
  return &connection;
}

void HttpdLoop::touch(uint64_t id, Entry& entry) {
  if (!entry.touched) touched_.push_back(id);
  entry.touched = true;
}

void HttpdLoop::settle(uint64_t id) {
  auto it = entries_.find(id);
  if (it == entries_.end()) return;  // touched again after this turn destroyed it
  Entry& entry = it->second;
  HttpdConnection& connection = *entry.connection;
  connection.flush();
  while (connection.next_request()) {
    drop_exchange_timer(entry);
    dispatch(connection);
    connection.flush();
  }
  connection.flush();
  connection.close_if_done();
  entry.touched = false;
  if (!connection.exchange_open()) {
    drop_exchange_timer(entry);
  } else if (entry.paused && !connection.stream_paused()) {
    std::exchange(entry.paused, nullptr)();
  }
  if (connection.dead()) return destroy(id, entry);
  if (uint32_t events = connection.epoll_interest(); events != entry.watched) {
    if (!watch(EPOLL_CTL_MOD, connection.fd(), events, id)) return drop(id, entry);
    entry.watched = events;
  }
  unsent_ += connection.unsent() - entry.unsent;
  entry.unsent = connection.unsent();
  refresh_timeout(id, entry);
}

// Closing the socket takes it out of epoll.
void HttpdLoop::destroy(uint64_t id, Entry& entry) {
  drop_exchange_timer(entry);
  clear(entry.timeout);
  unsent_ -= entry.unsent;
  entries_.erase(id);
  hold_back();
  set_accepting(true);
}

// Destroys a connection although its client would have gone on with it.
void HttpdLoop::drop(uint64_t id, Entry& entry) {
  server_.dropped_.fetch_add(1, std::memory_order_relaxed);
  destroy(id, entry);
}

void HttpdLoop::refresh_timeout(uint64_t id, Entry& entry) {
  HttpdConnection& connection = *entry.connection;
  bool progress = connection.take_progress();
  HttpdConnection::Wait wait = connection.wait();
  bool same = wait == entry.waiting_for && connection.exchange() == entry.waiting_in_exchange;
  if (same && !progress) return;
  if (!same) entry.waiting_since = Clock::now();
  entry.waiting_for = wait;
  entry.waiting_in_exchange = connection.exchange();
  clear(entry.timeout);
  if (wait == HttpdConnection::Wait::kNothing) return;
  entry.timeout = timers_.emplace(Clock::now() + milliseconds(connection.wait_ms()), [this, id] {
    Entry& owner = entries_.at(id);
    owner.timeout.reset();
    owner.connection->on_wait_over();
    touch(id, owner);
  });
}

void HttpdLoop::dispatch(HttpdConnection& connection) {
  HttpdRequest request = connection.request();
  HttpdResponder responder(this, connection.id(), connection.exchange());
  if (server_.hosts_ && !server_.hosts_->include(request.head, local_address_of(connection.fd()))) {
    return responder.problem(421, server_.hosts_advice_);
  }
  std::string_view method = request.head.method();
  std::string allow;
  for (const Httpd::Route& route : server_.routes_) {
    if (route.path != request.path) continue;
    bool is_get = route.method == "GET";
    if (route.method == method || (is_get && method == "HEAD")) {
      return route.handler(request, responder);
    }
    allow.append(allow.empty() ? "" : ", ").append(is_get ? "GET, HEAD" : route.method);
  }
  if (allow.empty()) {
    responder.problem(404, "There is nothing at this path.");
  } else {
    responder.problem(405, "This path does not take that method.", {{"Allow", allow}});
  }
}

// --- HttpdResponder

void HttpdResponder::respond(int status, std::string_view content_type, std::string_view body,
                             const Fields& fields) const {
  HttpdConnection* connection = loop_->open_exchange(connection_, exchange_);
  if (connection != nullptr) connection->respond(status, content_type, body, fields);
}

void HttpdResponder::problem(int status, std::string_view detail, const Fields& fields) const {
  respond(status, "application/problem+json", problem_body(status, detail), fields);
}

void HttpdResponder::begin_stream(std::string_view content_type, const Fields& fields) const {
  HttpdConnection* connection = loop_->open_exchange(connection_, exchange_);
  if (connection != nullptr) connection->begin_stream(content_type, fields);
}

void HttpdResponder::write(std::string_view bytes) const {
  HttpdConnection* connection = loop_->open_exchange(connection_, exchange_);
  if (connection != nullptr) connection->write(bytes);
}

void HttpdResponder::end() const {
  HttpdConnection* connection = loop_->open_exchange(connection_, exchange_);
  if (connection != nullptr) connection->end();
}

void HttpdResponder::abort() const {
  HttpdConnection* connection = loop_->open_exchange(connection_, exchange_);
  if (connection != nullptr) connection->abort();
}

void HttpdResponder::at(Clock::time_point due, std::function<void()> callback) const {
  if (open()) loop_->set_timer(connection_, due, std::move(callback));
}

void HttpdResponder::after_ms(uint64_t delay_ms, std::function<void()> callback) const {
  at(Clock::now() + milliseconds(delay_ms), std::move(callback));
}

bool HttpdResponder::open() const {
  return loop_->open_exchange(connection_, exchange_) != nullptr;
}

// --- HttpdRequest

std::optional<std::string_view> HttpdRequest::parameter(std::string_view name) const {
  std::string_view rest = query;
  while (!rest.empty()) {
    std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
    size_t equals = pair.find('=');
    if (pair.substr(0, equals) != name) continue;
    return equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1);
  }
  return std::nullopt;
}

std::optional<std::string> HttpdRequest::decoded_parameter(std::string_view name) const {
  auto text = parameter(name);
  return text ? percent_decoded(*text) : std::nullopt;
}

// --- Httpd

Httpd::Httpd(const HttpdLimits& limits)
    : limits_(limits), wake_fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}

Httpd::~Httpd() {
  stop();
  if (wake_fd_ >= 0) ::close(wake_fd_);
}

void Httpd::route(std::string method, std::string path, HttpdHandler handler) {
  SLUICE_CHECK(!thread_.joinable());
  routes_.push_back({std::move(method), std::move(path), std::move(handler)});
}

std::string Httpd::start(const Address& address, const char* thread_name) {
  SLUICE_CHECK(!thread_.joinable());
  if (wake_fd_ < 0) return "no file descriptor is left";
  address_ = address;
  loop_ = std::make_unique<HttpdLoop>(*this);
  std::string error = loop_->listen(address_);
  if (!error.empty()) {
    loop_.reset();
    return error;
  }
  // Signals are main's business.
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { loop_->run(); });
  ::pthread_setname_np(thread_.native_handle(), thread_name);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return "";
}

void Httpd::stop() {
  if (!thread_.joinable()) return;
  stopping_.store(true, std::memory_order_release);
  wake();
  thread_.join();
  loop_.reset();
}

void Httpd::post(std::function<void()> callback) {
  {
    std::lock_guard lock(posted_mutex_);
    posted_.push_back(std::move(callback));
  }
  wake();
}

void Httpd::wake() const {
  ::eventfd_write(wake_fd_, 1);
}

}  // namespace sluice
