// How far a reader has come, in one or several streams and categories: a global position, whatever
// it reads. History and what comes live are one log to it, so there is no hand-over between the two
// to get wrong. What a reader wants of the events is a part of it. Where the log has not got all
// any more, a store may: the cursor says which page it needs, and goes on by what that page says of
// itself (net/hub/cursor_store.cc). Pure but for the log that it is asked with. Owned by a hub's
// request, used on its worker's thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "core/intrusive_list.h"
#include "net/hub/group.h"
#include "net/hub/hub_id.h"
#include "net/hub/log.h"
#include "net/hub/store.h"

namespace sluice {

class HubRequest;
struct Topic;

struct Subscription {
  HubRequest* reader = nullptr;
  Topic* topic = nullptr;
  ListLink<Subscription> in_topic;
};

// A stream or category as long as somebody reads it, whether or not it exists: its name may be
// forgotten and come again meanwhile.
struct Topic {
  Topic(std::string its_name, bool category) : name(std::move(its_name)), is_category(category) {}

  const Loss& loss() const { return series ? series->loss() : lost; }

  const std::string name;
  const bool is_category;
  Series* series = nullptr;  // null: the log does not know it
  Loss lost;                 // then: what had been lost when it was last known, or may have been
  IntrusiveList<Subscription, &Subscription::in_topic> readers;
  uint64_t count = 0;  // of those readers
};

using Subscriptions = std::span<const Subscription>;

// Which of the events a reader wants.
struct EventFilter {
  std::optional<GroupMember> member = {};
  std::string correlation = {};  // the category that events are correlated with; empty: any
};

// Where to begin.
struct Start {
  enum class At : uint8_t { kLatest, kEarliest, kPosition, kSince, kId };

  At at = At::kLatest;
  uint64_t number = 0;  // the position that is wanted, or the time in ms
  std::string id = {};  // of the last event that was seen
};

class Cursor {
 public:
  enum class Step : uint8_t {
    kEvent,
    kLost,  // events that were to come have been evicted: skip_lost() goes on behind them
    kEnd,   // that is all, for now or (behind end_at()) for good
    kMore,  // nothing was found among many: to be asked again
  };

  // Finds where to begin. False: something that was asked for is not there, so it begins elsewhere;
  // or, with a store, awaits_page().
  bool begin(const Start& start, const Log& log, Subscriptions from, uint32_t hub_epoch,
             const LogStream* only_stream, bool has_store = false);
  // What was asked for is not in the log, and may be in the store: enter() finds where to begin.
  bool awaits_page() const { return awaits_page_; }
  void filter(std::unique_ptr<EventFilter> filter) { filter_ = std::move(filter); }
  void end_at(uint64_t global) { end_ = global; }
  // From here to the end only the last event of each stream.
  void only_newest(bool on) { newest_ = on; }

  // The next event. It stays that until advance().
  Step next(const Log& log, Subscriptions from, const Log::Entry** event);
  void advance() { ++at_; }
  void skip_lost(Subscriptions from) { told_ = lost_of(from); }

  // The page of a store from here on.
  StoreRead page_wanted(const Start& start, Subscriptions from) const;
  enum class Entered : uint8_t {
    kWhole,
    kLost,      // what was to come is not in the store either: it goes on where the page begins
    kInLog,     // nor there, and the log goes further back: it is asked as if there were no store
    kTooEarly,  // what has been evicted is not in the store yet
  };
  Entered enter(const StorePage& page, const Start& start, const Log& log, Subscriptions from);
  // Where the log or the next page is to go on behind a page.
  uint64_t end_of(const StorePage& page, const Log& log) const;
  void go_to(uint64_t global) { at_ = std::max(at_, global); }
  bool wants(const Block& event, const LogStream& its_stream) const;

  uint64_t at() const { return at_; }

 private:
  bool begin_in_stream(const Start& start, const Log& log, const LogStream* stream);
  bool begin_in_hub(const Start& start, const Log& log, Subscriptions from, uint32_t hub_epoch);
  bool begin_since(uint64_t time_ms, const Log& log, Subscriptions from);
  // What has been evicted of what it reads.
  struct Lost {
    uint64_t through = 0;
    uint64_t hole_through = 0;
    uint64_t last_hole = 0;
  };
  static Lost lost_of(Subscriptions from);
  bool loses(const Lost& lost, uint64_t at) const;

  uint64_t at_ = 1;  // the first one that is wanted
  uint64_t end_ = UINT64_MAX;
  Lost told_;  // what of that is known to the reader
  std::unique_ptr<EventFilter> filter_;
  std::optional<uint64_t> position_;  // in the stream: the page that it awaits begins there
  bool newest_ = false;
  bool awaits_page_ = false;
};

}  // namespace sluice
