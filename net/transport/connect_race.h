// A connection to whichever of several addresses answers first (RFC 8305, "happy eyeballs"). They
// are tried in the order given: the next one when the one before has failed, or has not answered
// for limits::kConnectDelayMs. The first socket to connect goes to the owner, and the others close.
// At most limits::kConnectsAtOnce are under way: the oldest gives way to the next. Owned by the
// connection that wants a socket, used on its worker's thread. It may be deleted at any time: a
// socket with a connect in flight deletes itself when the kernel has let go of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/loop.h"
#include "core/timer_wheel.h"
#include "net/base/address.h"

namespace sluice {

// How a socket to an upstream is shaped.
struct SocketShape {
  bool receive_buffer_grows() const {
    return receive_buffer > 0 && receive_buffer_max > receive_buffer;
  }

  uint64_t receive_buffer = 0;      // 0: the kernel's
  uint64_t receive_buffer_max = 0;  // to which it may grow, where that is more
  uint64_t keepalive_ms = 0;        // TCP's; 0: none
};

class ConnectRace final : public TimerOwner {
 public:
  class Owner {
   public:
    // The race is over, and the owner may delete it: `fd` is connected to that address.
    virtual void on_race_won(int fd, const Address& to) = 0;
    // None answered.
    virtual void on_race_lost() = 0;
    // That address has failed, or has not answered in the time that it was given.
    virtual void on_address_failed(const Address& address) = 0;

   protected:
    ~Owner() = default;
  };

  // `addresses`: at least one.
  ConnectRace(Loop& loop, Owner& owner, std::vector<Address> addresses, SocketShape shape);
  ~ConnectRace();
  ConnectRace(const ConnectRace&) = delete;
  ConnectRace& operator=(const ConnectRace&) = delete;

  // Tries the first address. False: the race is lost already.
  bool start() { return try_next(); }
  // No more is wanted of it: tells which addresses have not answered.
  void give_up();
  bool lost() const { return runners_.empty(); }
  // Of a race that is lost: the errno of its last try, and whether there was no socket for it.
  int error() const { return error_; }
  bool no_socket() const { return no_socket_; }

  void on_timer() override { (void)try_next(); }

 private:
  class Runner;

  bool try_next();
  void drop(Runner& runner);
  void on_connected(Runner& runner, int error);

  Loop& loop_;
  Owner& owner_;
  const std::vector<Address> addresses_;
  const SocketShape shape_;
  size_t next_ = 0;
  std::vector<Runner*> runners_;
  int error_ = 0;
  bool no_socket_ = false;
  Timer timer_;
};

}  // namespace sluice
