#include "net/hub/unstored.h"

#include <algorithm>
#include <string>
#include <vector>

namespace sluice {

HubBatch& Unstored::open() {
  if (!open_) open_ = std::make_unique<HubBatch>();
  return *open_;
}

void Unstored::send() {
  if (!open_) return;
  open_->close();
  open_->number = ++sent_;
  bytes_ += open_->bytes;
  events_ += open_->blocks.size();
  std::unique_ptr<StoreBatch> batch = std::move(open_);
  // Its queue has no limit; ours is what bytes() is compared with.
  (void)store_.store().append(batch);
}

void Unstored::wait(std::unique_ptr<HomeCall> call, unsigned worker) {
  std::vector<EventDraft>().swap(call->publish.events);
  std::string().swap(call->body);
  waiting_.push_back({std::move(call), worker, open_ ? sent_ + 1 : sent_});
}

bool Unstored::returned(const HubBatch& batch) {
  returned_ = batch.number;
  bytes_ -= batch.bytes;
  events_ -= batch.blocks.size();
  return batch.number > given_up_;
}

std::unique_ptr<HomeCall> Unstored::next_answered(uint64_t batch, unsigned& worker) {
  if (waiting_.empty() || waiting_.front().batch > batch) return nullptr;
  Waiting first = std::move(waiting_.front());
  waiting_.pop_front();
  worker = first.worker;
  return std::move(first.call);
}

std::unique_ptr<HomeCall> Unstored::next_that(bool (*is_such)(const HomeCall&), unsigned& worker) {
  auto found =
      std::ranges::find_if(waiting_, [&](const Waiting& one) { return is_such(*one.call); });
  if (found == waiting_.end()) return nullptr;
  std::unique_ptr<HomeCall> call = std::move(found->call);
  worker = found->worker;
  waiting_.erase(found);
  return call;
}

void Unstored::give_up() {
  given_up_ = sent_;
  open_.reset();
}

}  // namespace sluice
