// What a hub's home has decided and its store has not made durable yet: the batch that is being
// filled in this turn, and those who wait for an answer. Batches have numbers; the store answers
// them in order, and once it refuses one it refuses all that follow. Owned by the home's part of a
// hub, used on its worker's thread.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <utility>

#include "net/hub/exchange.h"
#include "net/hub/hub_store.h"

namespace sluice {

class Unstored {
 public:
  struct Waiting {
    std::unique_ptr<HomeCall> call;
    unsigned worker;
    uint64_t batch;  // that it waits for
  };

  explicit Unstored(HubStore& store) : store_(store) {}

  // The batch of this turn.
  HubBatch& open();
  // Hands it to the store.
  void send();
  // The answer waits for all that has been decided up to now. The call keeps no body: what is new
  // in it is in a batch.
  void wait(std::unique_ptr<HomeCall> call, unsigned worker);
  // Nobody is to wait for what has been given up and is still to come back.
  bool empty() const { return !open_ && (returned_ == sent_ || given_up_ == sent_); }

  // A batch has come back. False: it is of those that have been given up.
  bool returned(const HubBatch& batch);
  // The next of those who waited for that batch, or for one before; null: there is none.
  std::unique_ptr<HomeCall> next_answered(uint64_t batch, unsigned& worker);
  // The first of all that wait and are such; null: none is.
  std::unique_ptr<HomeCall> next_that(bool (*is_such)(const HomeCall&), unsigned& worker);
  // All that waits is given up; those who asked are left for next_answered().
  void give_up();

  uint64_t bytes() const { return bytes_ + (open_ ? open_->bytes : 0); }
  uint64_t events() const { return events_ + (open_ ? open_->blocks.size() : 0); }
  size_t calls() const { return waiting_.size(); }
  HubStore& store() { return store_; }

 private:
  HubStore& store_;
  std::unique_ptr<HubBatch> open_;
  std::deque<Waiting> waiting_;
  uint64_t sent_ = 0;      // the number of the last batch that the store was given
  uint64_t returned_ = 0;  // and of the last one that came back
  uint64_t given_up_ = 0;  // those up to this number are none of ours any more
  uint64_t bytes_ = 0;     // of batches that the store has
  uint64_t events_ = 0;
};

}  // namespace sluice
