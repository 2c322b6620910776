#include "core/loop.h"

#include <algorithm>

#include "core/check.h"
#include "core/clock.h"
#include "core/limits.h"

namespace sluice {

namespace {

// kind 8 bits, generation 24 bits, index 32 bits.
uint64_t make_id(OpKind kind, uint32_t generation, uint32_t index) {
  return uint64_t{static_cast<uint8_t>(kind)} << 56 | uint64_t{generation & 0xffffff} << 32 | index;
}

constexpr uint64_t kLongestWaitNs = 60'000'000'000;
// Room for 32,000 streams with two connections each. A table that grows by doubling leaves as much
// garbage as it holds; one that was reserved takes memory only as far as it has been used.
constexpr size_t kTargetsReserved = 1 << 16;

}  // namespace

Loop::Loop(Ring& ring)
    : ring_(ring),
      now_ns_(monotonic_ns()),
      now_ms_(now_ns_ / 1'000'000),
      timers_(now_ms_),
      reaped_(limits::kReapBatch) {
  targets_.reserve(kTargetsReserved);
}

uint32_t Loop::attach(OpTarget* target) {
  if (first_free_ == UINT32_MAX) {
    targets_.push_back({.target = target, .generation = 1, .outstanding = 0, .next_free = 0});
    return static_cast<uint32_t>(targets_.size() - 1);
  }
  uint32_t index = first_free_;
  first_free_ = targets_[index].next_free;
  targets_[index].target = target;
  return index;
}

void Loop::detach(uint32_t index) {
  TargetEntry& entry = targets_[index];
  SLUICE_CHECK(entry.target && entry.outstanding == 0);
  entry.target = nullptr;
  ++entry.generation;
  entry.next_free = first_free_;
  first_free_ = index;
}

uint64_t Loop::begin(uint32_t index, OpKind kind) {
  TargetEntry& entry = targets_[index];
  ++entry.outstanding;
  SLUICE_CHECK(entry.outstanding > 0);
  ++operations_;
  return id_of(index, kind);
}

uint64_t Loop::id_of(uint32_t index, OpKind kind) const {
  return make_id(kind, targets_[index].generation, index);
}

void Loop::flush_later(FlushTask& task) {
  if (task.next_) return;
  task.next_ = &task;
  (flush_first_ ? flush_last_->next_ : flush_first_) = &task;
  flush_last_ = &task;
}

void Loop::run() {
  running_ = true;
  while (running_) turn(true);
}

void Loop::turn(bool wait) {
  uint64_t timeout_ns = 0;
  if (wait && !again_) {
    uint64_t next_ms = timers_.next_tick();
    timeout_ns = kLongestWaitNs;
    if (next_ms != TimerWheel::kNever) {
      uint64_t at_ns = next_ms * 1'000'000;
      uint64_t now_ns = now_ns_;
      timeout_ns = at_ns <= now_ns ? 0 : std::min(at_ns - now_ns, kLongestWaitNs);
    }
  }
  again_ = false;
  uint64_t gather_ns = latency_budget_.gather_ns(last_reaped_ > 0);
  counters_.gathered_turns += gather_ns > 0 ? 1 : 0;
  ring_.submit_and_wait(timeout_ns, gather_ns);
  now_ns_ = monotonic_ns();
  now_ms_ = now_ns_ / 1'000'000;
  ++counters_.turns;
  if (latency_budget_.sample_due(now_ns_)) {
    counters_.cpu_ns = thread_cpu_ns();
    latency_budget_.sample(now_ns_, counters_.cpu_ns, moved_bytes_);
  }
  last_reaped_ = 0;
  size_t count = reaped_.size();
  while (count == reaped_.size()) {
    count = ring_.reap(reaped_);
    last_reaped_ += count;
    for (size_t i = 0; i < count; ++i) dispatch(reaped_[i]);
  }
  timers_.advance(now_ms());
  flush();
  for (TurnHook* hook : hooks_) hook->on_turn_end();
  flush();  // tasks that the hooks queued
  doomed_.clear();
}

void Loop::dispatch(const Completion& completion) {
  auto kind = static_cast<OpKind>(completion.id >> 56);
  auto index = static_cast<uint32_t>(completion.id);
  if (index >= targets_.size() || !targets_[index].target || id_of(index, kind) != completion.id) {
    ++counters_.stale_completions;
    return;
  }
  TargetEntry& entry = targets_[index];
  if (!completion.more()) {
    SLUICE_CHECK(entry.outstanding > 0);
    --entry.outstanding;
    --operations_;
  }
  if (completion.result > 0 && (kind == OpKind::kRecv || kind == OpKind::kSend))
    moved_bytes_ += static_cast<uint32_t>(completion.result);
  entry.target->on_completion(kind, completion);
}

void Loop::flush() {
  while (FlushTask* task = flush_first_) {
    flush_first_ = task->next_ == task ? nullptr : task->next_;
    task->next_ = nullptr;
    task->on_flush();
  }
}

}  // namespace sluice
