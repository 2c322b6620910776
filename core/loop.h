// The event loop of one worker: turns completions into calls, in fixed phases, and submits the
// operations of a turn with one kernel entry. Owned by the worker, used on its thread only; knows
// no protocol. A turn: submit and wait, read the clock, reap and dispatch, timers, flush, turn-end
// hooks, destroy. Handlers never block, and their submissions leave at the turn's end.
//
// Every operation belongs to a target (a connection, a listener, a mailbox). Its id is kind,
// generation and index, never a pointer; a target may be detached only when none of its
// operations is outstanding, so an id can never reach a stranger.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/latency_budget.h"
#include "core/ring.h"
#include "core/timer_wheel.h"

namespace sluice {

enum class OpKind : uint8_t { kAccept, kConnect, kRecv, kSend, kWatch, kWake, kCancel };

class OpTarget {
 public:
  virtual ~OpTarget() = default;
  virtual void on_completion(OpKind kind, const Completion& completion) = 0;
};

// Work for the flush phase of this turn; intrusive, so queueing it allocates nothing.
class FlushTask {
 public:
  virtual ~FlushTask() = default;
  virtual void on_flush() = 0;

 private:
  friend class Loop;
  FlushTask* next_ = nullptr;  // null: it is not queued; the last one's is itself
};

// Called at the end of every turn, after the flush phase and before submission.
class TurnHook {
 public:
  virtual void on_turn_end() = 0;

 protected:
  ~TurnHook() = default;
};

struct LoopCounters {
  uint64_t turns = 0;
  uint64_t gathered_turns = 0;     // turns that began with a gathering wait
  uint64_t cpu_ns = 0;             // the thread's, kernel included; read now and then
  uint64_t stale_completions = 0;  // for a detached target: a bug if ever above zero
};

class Loop {
 public:
  explicit Loop(Ring& ring);

  Ring& ring() { return ring_; }
  TimerWheel& timers() { return timers_; }
  // Time of this turn, read once when the wait returned.
  uint64_t now_ns() const { return now_ns_; }
  uint64_t now_ms() const { return now_ms_; }
  const LoopCounters& counters() const { return counters_; }
  // Until it is set, every wait ends with its first completion.
  void set_latency_budget(LatencyBudget budget) { latency_budget_ = budget; }

  uint32_t attach(OpTarget* target);
  void detach(uint32_t index);
  // The id for an operation that the caller submits now; the operation is outstanding from here on.
  uint64_t begin(uint32_t index, OpKind kind);
  // The id of an outstanding operation of that kind, to cancel it.
  uint64_t id_of(uint32_t index, OpKind kind) const;
  unsigned outstanding(uint32_t index) const { return targets_[index].outstanding; }
  // Operations outstanding over all targets.
  uint64_t operations() const { return operations_; }

  void flush_later(FlushTask& task);
  void add_turn_hook(TurnHook& hook) { hooks_.push_back(&hook); }
  // Deletes the object at the end of the turn, when nothing on the stack refers to it.
  void destroy_later(std::unique_ptr<OpTarget> target) { doomed_.push_back(std::move(target)); }

  // Keeps the next turn from waiting: it has work to do.
  void turn_again() { again_ = true; }
  bool turns_again() const { return again_; }

  // Runs turns until stop().
  void run();
  void stop() { running_ = false; }
  // One turn; waits for a completion or a timer if `wait`.
  void turn(bool wait);

 private:
  struct TargetEntry {
    OpTarget* target;
    uint32_t generation : 24;
    uint32_t outstanding : 8;  // a connection has at most four operations and their cancels
    uint32_t next_free;
  };

  void dispatch(const Completion& completion);
  void flush();

  Ring& ring_;
  uint64_t now_ns_;
  uint64_t now_ms_;
  TimerWheel timers_;
  std::vector<TargetEntry> targets_;
  uint32_t first_free_ = UINT32_MAX;
  uint64_t operations_ = 0;
  FlushTask* flush_first_ = nullptr;
  FlushTask* flush_last_ = nullptr;
  std::vector<TurnHook*> hooks_;
  std::vector<std::unique_ptr<OpTarget>> doomed_;
  std::vector<Completion> reaped_;
  LatencyBudget latency_budget_;
  size_t last_reaped_ = 0;
  uint64_t moved_bytes_ = 0;  // received and sent
  LoopCounters counters_;
  bool running_ = false;
  bool again_ = false;
};

}  // namespace sluice
