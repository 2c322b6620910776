#include "net/hub/cursor.h"

#include <algorithm>

namespace sluice {

namespace {

// Events that one call passes over.
constexpr unsigned kScannedMax = 1024;

// Of a series, by global position: the first event of that time or later, and the one before it;
// 0: there is none.
struct Since {
  uint64_t first = UINT64_MAX;
  uint64_t before = 0;
};

Since since_in(const Series& series, uint64_t time_ms, const Log& log) {
  Since since;
  size_t low = 0;
  size_t high = series.size();
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    // What its stream has let go of has no time any more.
    size_t held = middle;
    while (held < high && !log.at(series[held])) ++held;
    if (held == high) {
      high = middle;
    } else if (log.at(series[held])->block->time_ms() < time_ms) {
      since.before = series[held];
      low = held + 1;
    } else {
      since.first = series[held];
      high = middle;
    }
  }
  return since;
}

}  // namespace

Cursor::Lost Cursor::lost_of(Subscriptions from) {
  Lost lost;
  for (const Subscription& one : from) {
    const Loss& its = one.topic->loss();
    // Evictions follow the order of the log, so the last one of all these tells of each later one.
    // Whatever else goes does not, and is counted.
    lost.through = std::max(lost.through, its.evicted_through);
    lost.hole_through = std::max(lost.hole_through, its.hole_through);
    lost.last_hole = std::max(lost.last_hole, its.last_hole);
  }
  return lost;
}

// Beyond what the reader knows of.
bool Cursor::loses(const Lost& lost, uint64_t at) const {
  return (lost.through >= at && lost.through > told_.through) ||
         (lost.hole_through >= at && lost.last_hole > told_.last_hole);
}

bool Cursor::begin(const Start& start, const Log& log, Subscriptions from, uint32_t hub_epoch,
                   const LogStream* only_stream, bool has_store) {
  bool whole = true;
  awaits_page_ = false;
  position_.reset();
  switch (start.at) {
    case Start::At::kLatest:
      at_ = log.next();
      break;
    case Start::At::kEarliest:
      awaits_page_ = has_store && loses(lost_of(from), 1);
      at_ = awaits_page_ ? 1 : log.first();
      if (!awaits_page_) skip_lost(from);
      break;
    case Start::At::kSince:
      whole = begin_since(start.number, log, from);
      awaits_page_ = has_store && !whole;
      break;
    case Start::At::kPosition:
    case Start::At::kId: {
      bool single = from.size() == 1 && !from.front().topic->is_category;
      whole = single ? begin_in_stream(start, log, only_stream)
                     : begin_in_hub(start, log, from, hub_epoch);
      awaits_page_ = awaits_page_ && has_store;
      break;
    }
  }
  if (!whole && !awaits_page_) skip_lost(from);
  return whole;
}

bool Cursor::begin_in_stream(const Start& start, const Log& log, const LogStream* stream) {
  uint64_t wanted = start.number;
  if (start.at == Start::At::kId) {
    std::optional<HubId> id = parse_hub_id(start.id);
    if (!id || !stream || id->epoch != stream->epoch) {
      at_ = log.first();
      return false;
    }
    wanted = id->position + 1;
  }
  uint64_t next = stream ? stream->next : 0;
  if (wanted >= next) {
    at_ = log.next();
    return wanted == next;
  }
  uint64_t first = stream->first();
  bool held = wanted >= first;
  if (stream->events.empty())
    at_ = log.next();
  else
    at_ = stream->events[held ? wanted - first : 0];
  awaits_page_ = !held;
  if (!held) position_ = wanted;
  return held;
}

bool Cursor::begin_in_hub(const Start& start, const Log& log, Subscriptions from,
                          uint32_t hub_epoch) {
  uint64_t wanted = start.number;
  if (start.at == Start::At::kId) {
    std::optional<HubId> id = parse_hub_id(start.id);
    if (!id || id->epoch != hub_epoch) {
      at_ = log.first();
      return false;
    }
    wanted = id->position + 1;
  }
  // There is none at 0, where Message DB lets readers begin, too.
  wanted = std::max<uint64_t>(wanted, 1);
  at_ = std::min(wanted, log.next());
  awaits_page_ = loses(lost_of(from), wanted);
  return wanted <= log.next() && !awaits_page_;
}

// Events are in the order of their times. Whatever is gone behind the last one that is too early
// may have been wanted.
bool Cursor::begin_since(uint64_t time_ms, const Log& log, Subscriptions from) {
  at_ = log.next();
  bool whole = true;
  for (const Subscription& one : from) {
    const Series* series = one.topic->series;
    Since since = series ? since_in(*series, time_ms, log) : Since{};
    at_ = std::min(at_, since.first);
    whole = whole && one.topic->loss().through() <= since.before;
  }
  return whole;
}

bool Cursor::wants(const Block& event, const LogStream& its_stream) const {
  if (newest_ && event.position() + 1 != its_stream.next) return false;
  if (!filter_) return true;
  if (!filter_->correlation.empty() && event.correlation() != filter_->correlation) return false;
  if (!filter_->member) return true;
  const std::optional<uint64_t>& group = its_stream.group;
  return group && *group % filter_->member->size() == filter_->member->member();
}

Cursor::Step Cursor::next(const Log& log, Subscriptions from, const Log::Entry** event) {
  if (at_ >= std::min(end_, log.next())) return Step::kEnd;  // nor is anything lost there
  Lost lost = lost_of(from);
  if (loses(lost, at_)) return Step::kLost;
  for (unsigned scanned = 0; scanned < kScannedMax; ++scanned) {
    uint64_t global = UINT64_MAX;
    for (const Subscription& one : from) {
      const Series* series = one.topic->series;
      if (!series) continue;
      size_t place = series->find(at_);
      if (place < series->size()) global = std::min(global, (*series)[place]);
    }
    if (global >= end_ || global == UINT64_MAX) {
      // What others lose from here on is nothing to this reader.
      at_ = std::max(at_, std::min(end_, log.next()));
      return Step::kEnd;
    }
    at_ = global;
    *event = log.at(global);
    if (*event && wants(*(*event)->block, *(*event)->stream)) return Step::kEvent;
    ++at_;
  }
  return Step::kMore;
}

}  // namespace sluice
