#include "net/transport/connect_race.h"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

#include "core/socket.h"
#include "net/base/limits.h"

namespace sluice {

namespace {

int open_shaped(const Address& to, const SocketShape& shape) {
  int fd = open_stream_socket(to.storage.ss_family);
  if (fd < 0) return fd;
  set_receive_buffer(fd, shape.receive_buffer);
  if (shape.receive_buffer_grows()) let_receive_buffer_grow(fd, shape.receive_buffer_max);
  if (!to.is_unix() && shape.keepalive_ms > 0) set_keepalive(fd, shape.keepalive_ms);
  return fd;
}

}  // namespace

// One socket on its way to one address.
class ConnectRace::Runner final : public OpTarget, public FlushTask {
 public:
  Runner(Loop& loop, ConnectRace& race, int fd, const Address& to)
      : loop_(loop),
        race_(&race),
        fd_(fd),
        to_(to),
        index_(loop.attach(this)),
        began_ms_(loop.now_ms()) {
    loop_.ring().connect(fd_, to_.sa(), to_.size, loop_.begin(index_, OpKind::kConnect));
  }

  const Address& to() const { return to_; }
  bool had_its_time() const { return loop_.now_ms() >= began_ms_ + limits::kConnectDelayMs; }
  int take_fd() { return std::exchange(fd_, -1); }

  // The race goes on without it.
  void leave() {
    race_ = nullptr;
    if (connecting_) {
      shutdown_socket(fd_);
      cancel();
    }
    finish();
  }

  void on_completion(OpKind kind, const Completion& completion) override {
    if (kind == OpKind::kConnect) {
      connecting_ = false;
      if (race_) race_->on_connected(*this, completion.result < 0 ? -completion.result : 0);
    } else if (completion.result == -ENOENT && connecting_) {
      // The kernel does not find a connect that is between two of its lists (net/transport/conn.h).
      loop_.flush_later(*this);
    }
    if (!race_) finish();
  }
  void on_flush() override {
    if (connecting_ && loop_.outstanding(index_) == 1) cancel();
  }

 private:
  void cancel() {
    loop_.ring().cancel(loop_.id_of(index_, OpKind::kConnect),
                        loop_.begin(index_, OpKind::kCancel));
  }
  void finish() {
    if (done_ || loop_.outstanding(index_) > 0) return;
    done_ = true;
    if (fd_ >= 0) close_socket(fd_);
    loop_.detach(index_);
    loop_.destroy_later(std::unique_ptr<OpTarget>(this));
  }

  Loop& loop_;
  ConnectRace* race_;
  int fd_;
  const Address to_;  // the kernel reads it when the turn submits
  const uint32_t index_;
  const uint64_t began_ms_;
  bool connecting_ = true;
  bool done_ = false;
};

ConnectRace::ConnectRace(Loop& loop, Owner& owner, std::vector<Address> addresses,
                         SocketShape shape)
    : loop_(loop), owner_(owner), addresses_(std::move(addresses)), shape_(shape), timer_(this) {}

ConnectRace::~ConnectRace() {
  loop_.timers().cancel(timer_);
  for (Runner* runner : runners_) runner->leave();
}

// False: no try is under way, and no address is left.
bool ConnectRace::try_next() {
  while (next_ < addresses_.size()) {
    const Address& to = addresses_[next_];
    int fd = open_shaped(to, shape_);
    if (fd < 0) error_ = errno;
    no_socket_ = fd < 0 && error_ != EAFNOSUPPORT;
    if (no_socket_) break;
    ++next_;
    if (fd >= 0) {
      if (runners_.size() == limits::kConnectsAtOnce) drop(*runners_.front());
      runners_.push_back(new Runner(loop_, *this, fd, to));
      break;
    }
    owner_.on_address_failed(to);
  }
  if (runners_.empty()) return false;
  // Also where there was no socket: there may be one by then.
  if (next_ < addresses_.size())
    loop_.timers().schedule(timer_, loop_.now_ms() + limits::kConnectDelayMs);
  return true;
}

void ConnectRace::give_up() {
  for (Runner* runner : runners_)
    if (runner->had_its_time()) owner_.on_address_failed(runner->to());
}

void ConnectRace::drop(Runner& runner) {
  owner_.on_address_failed(runner.to());
  std::erase(runners_, &runner);
  runner.leave();
}

void ConnectRace::on_connected(Runner& runner, int error) {
  auto place = std::ranges::find(runners_, &runner);
  bool was_last = place + 1 == runners_.end();
  if (error == 0) {
    // Those that began earlier and are still on their way are slow, most likely dead.
    for (auto slower = runners_.begin(); slower != place; ++slower)
      owner_.on_address_failed((*slower)->to());
    int fd = runner.take_fd();
    if (shape_.receive_buffer_grows()) hold_receive_buffer(fd, shape_.receive_buffer_max);
    owner_.on_race_won(fd, runner.to());  // which deletes the race
    return;
  }
  error_ = error;
  drop(runner);
  // An older one that gives up only now has had its successor already.
  if (was_last || runners_.empty()) {
    loop_.timers().cancel(timer_);
    if (!try_next()) owner_.on_race_lost();  // which may delete the race
  }
}

}  // namespace sluice
