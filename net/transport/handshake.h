// A client's connection while its transform shakes hands: what it will carry is not known before.
// Sends and receives what the transform says and hears, and hands its socket over with transform
// and unread bytes once that is done; whoever made it makes the connection of the protocol then.
// Owned by nobody, used on its worker's thread; deletes itself when it has handed over or closed.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>

#include "core/clock.h"
#include "core/intrusive_list.h"
#include "net/base/limits.h"
#include "net/transport/accepted_conn.h"

namespace sluice {

class Handshake final : public AcceptedConn {
 public:
  // It closes when it takes longer than `timeout_ms`; 0: it may take its time. Where others wait, a
  // client that has been silent for limits::kSilentHandshakeMs is not waited for either.
  Handshake(Memory& memory, AcceptedKeeper& keeper, ConnStart start, uint64_t timeout_ms)
      : AcceptedConn(memory, std::move(start)),
        keeper_(keeper),
        until_ms_(timeout_ms == 0 ? UINT64_MAX : loop().now_ms() + timeout_ms) {
    schedule_look();
    wake();
  }

  // AcceptedConn
  void drain() override { close(CloseMode::kOrderly); }
  void shut_down() override { close(CloseMode::kOrderly); }
  void drop() override { close(CloseMode::kOrderly); }

  // For its keeper, while it waits for its turn; it does not change meanwhile whether it goes
  // ahead.
  ListLink<Handshake> in_queue;
  bool goes_ahead() const { return steps_ > 0 && steps_ < limits::kHandshakeStepsAhead; }

  // TimerOwner
  void on_timer() override {
    // Who waits for its turn has said something.
    bool silent =
        !in_queue.linked() && loop().now_ms() >= waiting_since_ms() + limits::kSilentHandshakeMs;
    if (loop().now_ms() >= until_ms_ || (silent && keeper_.handshakes_are_crowded()))
      close(CloseMode::kOrderly);
    else
      schedule_look();
  }

 private:
  void schedule_look() {
    loop().timers().schedule(timer_,
                             std::min(until_ms_, loop().now_ms() + limits::kSilentHandshakeMs));
  }
  bool may_greet() override {
    if (!keeper_.handshake_may_step(*this)) return false;
    step_began_ns_ = thread_cpu_ns();
    return true;
  }
  void on_greeted() override {
    steps_ += steps_ < limits::kHandshakeStepsAhead ? 1 : 0;
    keeper_.handshake_stepped(thread_cpu_ns() - step_began_ns_);
  }
  void on_connected(int error) override {
    if (error == 0)
      leave();
    else
      close(CloseMode::kOrderly);
  }
  void on_send_error(int /*error*/) override { close(CloseMode::kOrderly); }
  void on_closed() override { keeper_.handshake_closed(*this); }
  void on_handed_over(ConnStart start) override { keeper_.handshake_done(*this, std::move(start)); }

  // There is no protocol yet, and so nothing to hear, to say or to ask for.
  void on_bytes(const Lease&, std::string_view, uint64_t) override {}
  void on_receive_end(int) override {}
  void on_sent(uint64_t) override {}
  bool has_output() override { return false; }
  size_t build_batch(std::span<iovec>) override { return 0; }
  uint64_t receive_credit() override { return 0; }
  SlotPool& receive_pool() override { return memory_.http_message; }

  AcceptedKeeper& keeper_;
  const uint64_t until_ms_;
  uint64_t step_began_ns_ = 0;  // in CPU time
  uint8_t steps_ = 0;           // as many as matter
};

}  // namespace sluice
