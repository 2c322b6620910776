// A cursor whose next events are in the store and not in the log any more.
#include <algorithm>
#include <cstdint>

#include "net/hub/cursor.h"

namespace sluice {

StoreRead Cursor::page_wanted(const Start& start, Subscriptions from) const {
  StoreRead page{.from = at_};
  for (const Subscription& one : from)
    page.of.push_back({.name = one.topic->name, .is_category = one.topic->is_category});
  if (awaits_page_ && start.at == Start::At::kSince)
    page.since_us =
        static_cast<int64_t>(std::min<uint64_t>(start.number, INT64_MAX / kUsPerMs)) * kUsPerMs;
  if (awaits_page_) page.from_position = position_;
  return page;
}

Cursor::Entered Cursor::enter(const StorePage& page, const Start& start, const Log& log,
                              Subscriptions from) {
  // What the log has lost will come, be it from its beginning or from its midst.
  Lost evicted = lost_of(from);
  bool will_come = page.last < std::max(evicted.through, evicted.hole_through);
  if (page.events.empty() && will_come) return Entered::kTooEarly;
  uint64_t at = std::max(at_, page.first);
  bool lost = page.first > at_;
  if (awaits_page_ && start.at == Start::At::kSince) {
    // A store that lags behind the log may have nothing that late yet.
    bool none = std::max<uint64_t>(page.from, 1) > page.last;
    if (none && page.last + 1 < at_) return Entered::kTooEarly;
    // Where the oldest that is kept is wanted, others may have been, too.
    at = page.from;
    lost = page.from <= page.first && page.first > 1;
  } else if (awaits_page_ && position_) {
    bool none = page.events.empty();
    at = none ? page.last + 1 : page.events.front().global_position;
    lost = none || page.events.front().position != *position_;
  }
  if (lost && log.first() < page.first) return Entered::kInLog;
  if (awaits_page_ && start.at == Start::At::kEarliest) lost = false;
  awaits_page_ = false;
  at_ = at;
  return lost ? Entered::kLost : Entered::kWhole;
}

// The store may be ahead of this worker, which shows nothing before its log has it.
uint64_t Cursor::end_of(const StorePage& page, const Log& log) const {
  return std::min({page.through + 1, log.next(), end_});
}

}  // namespace sluice
