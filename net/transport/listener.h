// Accepts clients on one socket; rests for a moment when that fails, or the process has no room for
// another client. Made by the owner of the clients, used on its worker's thread; close() lets
// go of it.
#pragma once

#include <cstdint>

#include "core/loop.h"
#include "core/timer_wheel.h"
#include "net/config/config.h"
#include "net/transport/client_limit.h"

namespace sluice {

// Takes clients in.
class ClientSink {
 public:
  // A connected socket, owned from here on, of a listener with these options.
  virtual void accepted(int fd, const ListenOptions& options) = 0;
  // There is no room for another client; an accept has failed. The listener rests.
  virtual void on_full() = 0;
  virtual void on_accept_error(int error) = 0;

 protected:
  ~ClientSink() = default;
};

class Listener final : public OpTarget, public TimerOwner, public FlushTask {
 public:
  // `settings` are those of the sockets that it accepts.
  Listener(Loop& loop, ClientLimit& limit, const StreamSettings& settings, ClientSink& sink, int fd,
           const ListenOptions& options = {});
  ~Listener() override;
  // For the sockets that it accepts from here on.
  void apply(const StreamSettings& settings);
  // Clients are refused from here on; deletes itself once its operation has ended.
  void close();
  // The same, but those that have connected are still taken in.
  void retire();
  // Takes no more clients until it is told to; those in the backlog wait. Of those that the kernel
  // has accepted already some may still come.
  void hold(bool held);
  // Where it rests for want of room, it looks again at once.
  void client_left();
  // Takes one at a time, where others have taken the room for whole backlogs.
  void check_room();
  void on_completion(OpKind kind, const Completion& completion) override;
  void on_timer() override;
  void on_flush() override;

 private:
  void arm();
  void rest();
  void cancel();

  Loop& loop_;
  ClientLimit& limit_;
  ClientSink& sink_;
  Timer timer_;
  int fd_;
  const ListenOptions options_;
  uint32_t index_;
  bool armed_ = false;
  bool multishot_ = false;
  bool backlog_reserved_ = false;
  bool awaits_room_ = false;
  bool held_ = false;
  bool closing_ = false;
  bool retiring_ = false;
};

}  // namespace sluice
