// Spreads the work of handshakes over time: a step of one (what comes from a client is looked at)
// takes up to 0.2 ms, and a crowd of clients that connect at once would hold up every stream of
// their worker. So many steps are done each millisecond, and the other handshakes wait their turn.
// Owned by who keeps the clients of a worker, used on its thread.
#pragma once

#include "core/intrusive_list.h"
#include "core/loop.h"
#include "core/timer_wheel.h"
#include "net/base/limits.h"
#include "net/transport/handshake.h"

namespace sluice {

class HandshakePace final : public TimerOwner {
 public:
  explicit HandshakePace(Loop& loop) : loop_(loop), timer_(this) {}
  HandshakePace(const HandshakePace&) = delete;
  HandshakePace& operator=(const HandshakePace&) = delete;

  // False: not now; it is woken when it may ask again.
  bool may_step(Handshake& handshake) {
    if (steps_ == 0) loop_.timers().schedule(timer_, loop_.now_ms() + 1);
    if (steps_ < limits::kHandshakeStepsPerMs) {
      ++steps_;
      return true;
    }
    if (!handshake.in_queue.linked()) waiting_.push_back(handshake);
    return false;
  }
  void forget(Handshake& handshake) {
    if (handshake.in_queue.linked()) waiting_.remove(handshake);
  }

  void on_timer() override {
    steps_ = 0;
    for (unsigned i = 0; i < limits::kHandshakeStepsPerMs && !waiting_.empty(); ++i) {
      Handshake& next = *waiting_.front();
      waiting_.remove(next);
      next.wake();
    }
    // Those that were woken may have closed meanwhile, and ask for nothing.
    if (!waiting_.empty()) loop_.timers().schedule(timer_, loop_.now_ms() + 1);
  }

 private:
  Loop& loop_;
  Timer timer_;
  unsigned steps_ = 0;  // in this millisecond
  IntrusiveQueue<Handshake, &Handshake::in_queue> waiting_;
};

}  // namespace sluice
