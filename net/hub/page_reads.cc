#include "net/hub/page_reads.h"

#include <algorithm>
#include <utility>

namespace sluice {

namespace {

constexpr size_t kUnderWayMax = 4;
constexpr unsigned kFailuresMax = 4;
// A reader that has got no page for so long ends.
constexpr uint64_t kPatienceMs = 6'000;

}  // namespace

PageReads::~PageReads() {
  under_way_.clear();
  charge();
}

void PageReads::ask(HubRequest& reader) {
  reader.page_wait = PageWait::kQueued;
  reader.page_since_ms = context_.loop.now_ms();
  queue_.push_back(reader);
  send();
}

void PageReads::ask_later(HubRequest& reader) {
  reader.page_wait = PageWait::kLater;
  later_.push_back(reader);
}

void PageReads::forget(HubRequest& reader) {
  switch (std::exchange(reader.page_wait, PageWait::kNone)) {
    case PageWait::kNone:
      return;
    case PageWait::kQueued:
      queue_.remove(reader);
      return;
    case PageWait::kLater:
      later_.remove(reader);
      return;
    case PageWait::kUnderWay:
      for (UnderWay& one : under_way_)
        if (one.reader == &reader) one.reader = nullptr;
      return;
  }
}

void PageReads::send() {
  while (!rests_ && under_way_.size() < kUnderWayMax) {
    HubRequest* reader = queue_.front();
    if (!reader) return;
    under_way_.push_back({++tickets_, reader});
    if (!charge() || !store_.read(context_.number, tickets_, reader->page_wanted())) {
      under_way_.pop_back();
      charge();
      return;  // until a page has come, or the next tick
    }
    queue_.remove(*reader);
    reader->page_wait = PageWait::kUnderWay;
  }
}

// For the largest pages that there may be, but for a single large event.
bool PageReads::charge() {
  auto bytes = static_cast<uint32_t>(under_way_.size() * limits::kHubPageBytesMax);
  return context_.memory_limit.charge(&charged_, bytes);
}

void PageReads::on_news() {
  if (under_way_.empty()) return;
  for (auto& [ticket, page] : store_.take_pages(context_.number)) take(ticket, page);
  send();
}

void PageReads::take(uint64_t ticket, StorePage& page) {
  auto found = std::ranges::find(under_way_, ticket, &UnderWay::ticket);
  HubRequest* reader = found->reader;
  under_way_.erase(found);
  charge();
  bool failed = page.outcome != StoreOutcome::kDurable;
  failures_ = failed ? failures_ + 1 : 0;
  rests_ = failures_ >= kFailuresMax;
  if (!reader) return;
  reader->page_wait = PageWait::kNone;
  if (failed)
    ask_later(*reader);
  else
    reader->on_page(page);
}

void PageReads::tick() {
  on_news();
  end_late(context_.loop.now_ms());
  rests_ = false;
  failures_ = 0;
  while (HubRequest* reader = later_.front()) {
    later_.remove(*reader);
    reader->page_wait = PageWait::kQueued;
    queue_.push_back(*reader);
  }
  send();
}

void PageReads::end_late(uint64_t now_ms) {
  std::vector<HubRequest*> late;
  auto look_at = [&late, now_ms](HubRequest* reader) {
    if (reader && reader->page_since_ms + kPatienceMs <= now_ms) late.push_back(reader);
  };
  for (const Queue* queue : {&queue_, &later_})
    for (HubRequest* reader = queue->front(); reader; reader = Queue::next(*reader))
      look_at(reader);
  for (const UnderWay& one : under_way_) look_at(one.reader);
  for (HubRequest* reader : late) {
    forget(*reader);
    reader->on_no_page();
  }
}

}  // namespace sluice
