// A store of a hub for tests.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "net/hub/store.h"

namespace sluice::test {

// It keeps what is appended until the test says what becomes of it.
class HeldStore final : public Store {
 public:
  explicit HeldStore(StoreUser& user) : user_(user) {}

  std::optional<StoreHead> load(StoreLoad&, std::string&) override {
    return StoreHead{.epoch = {1, 2}};
  }
  bool append(std::unique_ptr<StoreBatch>& batch) override {
    std::lock_guard guard(lock_);
    held_.push_back(std::move(batch));
    return true;
  }
  bool read(StoreRead) override { return false; }
  StoreState state() const override { return state_; }

  void wait_for(size_t events) {
    while (count() < events) std::this_thread::yield();
  }
  // Once it has got so many.
  void answer(size_t events, StoreOutcome outcome) {
    wait_for(events);
    answer_all(outcome);
  }
  void answer_all(StoreOutcome outcome) {
    std::vector<std::unique_ptr<StoreBatch>> held;
    {
      std::lock_guard guard(lock_);
      held.swap(held_);
    }
    for (std::unique_ptr<StoreBatch>& batch : held) user_.on_appended(std::move(batch), outcome);
  }
  void become(StoreState state) {
    become_silently(state);
    user_.on_state(state, "the test");
  }
  // It is yet to tell.
  void become_silently(StoreState state) { state_ = state; }

 private:
  size_t count() {
    std::lock_guard guard(lock_);
    size_t events = 0;
    for (const std::unique_ptr<StoreBatch>& batch : held_) events += batch->events.size();
    return events;
  }

  StoreUser& user_;
  std::atomic<StoreState> state_{StoreState::kReady};
  std::mutex lock_;
  std::vector<std::unique_ptr<StoreBatch>> held_;
};

}  // namespace sluice::test
