#include "net/upstream/connection_queue.h"

#include <algorithm>
#include <utility>

#include "net/base/limits.h"

namespace sluice {

ConnectionQueue::~ConnectionQueue() {
  limit(0);
}

// What there is when a limit comes is counted from then on, even if that is too much.
void ConnectionQueue::limit(uint64_t most) {
  bool counted = std::exchange(most_, most) != 0;
  if (most != 0 && !counted) {
    places_.taken += connections_;
    places_.waiting += waiting_count_;
  } else if (most == 0 && counted) {
    places_.taken -= connections_;
    places_.waiting -= waiting_count_;
    disclaim_turn();
  }
}

void ConnectionQueue::set_resolved(bool resolved) {
  resolved_ = resolved;
  if (!resolved) disclaim_turn();
}

bool ConnectionQueue::take_place(uint64_t since_ms) {
  if (!resolved_) return false;
  if (limited() && (others_are_first(since_ms) || !places_.take(most_))) return false;
  ++connections_;
  return true;
}

void ConnectionQueue::give_place_back() {
  --connections_;
  if (limited()) --places_.taken;
}

// A worker that leaves a place to another one loses it for a look's time: hence the lead.
bool ConnectionQueue::others_are_first(uint64_t since_ms) const {
  uint64_t turn = places_.turn.load(std::memory_order_relaxed);
  bool others = turn != 0 && (turn & (limits::kWorkersMax - 1)) != worker_;
  return others && (turn >> limits::kWorkerBits) + limits::kPlaceLeadMs < since_ms;
}

bool ConnectionQueue::may_keep_for(const Stream& stream) const {
  if (!limited()) return true;
  return places_.taken.load(std::memory_order_relaxed) <= most_ &&
         !others_are_first(stream.phase_since_ms());
}

uint64_t ConnectionQueue::unwanted() const {
  if (!limited()) return 0;
  uint64_t taken = places_.taken.load(std::memory_order_relaxed);
  uint64_t waiting = places_.waiting.load(std::memory_order_relaxed);
  uint64_t over = taken > most_ ? taken - most_ : 0;
  return over + (waiting > waiting_count_ ? waiting - waiting_count_ : 0);
}

bool ConnectionQueue::join(Stream& stream, bool at_front, uint64_t most) {
  if (limited() && !places_.wait(most == 0 ? UINT64_MAX : most)) return false;
  ++waiting_count_;
  if (at_front)
    waiting_.push_front(stream.outgoing());
  else
    waiting_.push_back(stream.outgoing());
  return true;
}

void ConnectionQueue::remove(Stream& stream) {
  if (&stream == front()) disclaim_turn();
  waiting_.remove(stream.outgoing());
  --waiting_count_;
  if (limited()) --places_.waiting;
}

void ConnectionQueue::claim_turn() {
  if (!limited() || !resolved_ || empty()) return;
  uint64_t mine = front()->phase_since_ms() << limits::kWorkerBits | worker_;
  if (mine != claimed_) disclaim_turn();
  claimed_ = mine;
  places_.claim(mine);
}

void ConnectionQueue::disclaim_turn() {
  if (claimed_ != 0) places_.disclaim(std::exchange(claimed_, 0));
}

}  // namespace sluice
