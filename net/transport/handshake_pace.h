// Spreads the work of handshakes over time: a step of one (what comes from a client is looked at)
// takes 0.2 ms with a key on P-256 and ten times that with a large RSA key, and a crowd of clients
// that connect at once would hold up every stream of their worker. So handshakes get half of the
// worker's time: as long as a step took, so long they rest, and the others wait for their turn.
// Those that have begun go before the others, since each holds 50 KB until it is over; among equals
// the first one is first. Owned by who keeps the clients of a worker, used on its thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>

#include "core/clock.h"
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
    if (&handshake == called_) {
      called_ = nullptr;
      return true;
    }
    if (!called_ && !next() && rested()) return true;
    if (!handshake.in_queue.linked()) queue_of(handshake).push_back(handshake);
    call_next();
    return false;
  }
  // The step that was allowed is over.
  void stepped(uint64_t took_ns) {
    uint64_t saved_since_ns = loop_.now_ns() - std::min(loop_.now_ns(), limits::kHandshakeBurstNs);
    rest_until_ns_ = std::max(rest_until_ns_, saved_since_ns) + 2 * took_ns;
    call_next();
  }
  void forget(Handshake& handshake) {
    if (handshake.in_queue.linked()) queue_of(handshake).remove(handshake);
    if (called_ == &handshake) called_ = nullptr;
  }

  // Who was called and has not come, since it is closing, has had its turn.
  void on_timer() override {
    called_ = nullptr;
    call_next();
  }

 private:
  using Queue = IntrusiveQueue<Handshake, &Handshake::in_queue>;

  bool rested() const { return rest_until_ns_ <= loop_.now_ns(); }
  Queue& queue_of(const Handshake& handshake) { return handshake.goes_ahead() ? begun_ : new_; }
  Handshake* next() const { return begun_.empty() ? new_.front() : begun_.front(); }

  void call_next() {
    if (called_ || !next()) return;
    uint64_t look_ms = loop_.now_ms() + 1;
    if (rested()) {
      called_ = next();
      queue_of(*called_).remove(*called_);
      called_->wake();
    } else {
      look_ms = std::max(look_ms, (rest_until_ns_ + kNsPerMs - 1) / kNsPerMs);
    }
    loop_.timers().schedule(timer_, look_ms);
  }

  Loop& loop_;
  Timer timer_;
  uint64_t rest_until_ns_ = 0;
  Handshake* called_ = nullptr;  // it is its turn
  // Those that wait.
  Queue begun_;
  Queue new_;
};

}  // namespace sluice
