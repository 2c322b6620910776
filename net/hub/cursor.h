// How far a reader has come, in one or several streams and categories: a global position, whatever
// it reads. History and what comes live are one log to it, so there is no hand-over between the two
// to get wrong. What a reader wants of the events is a part of it. Pure but for the log that it is
// asked with. Owned by a hub's request, used on its worker's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "core/intrusive_list.h"
#include "net/hub/group.h"
#include "net/hub/hub_id.h"
#include "net/hub/log.h"

namespace sluice {

class HubRequest;
struct Topic;

struct Subscription {
  HubRequest* reader = nullptr;
  Topic* topic = nullptr;
  ListLink<Subscription> in_topic;
};

// A stream or category as long as somebody reads it, whether or not it exists.
struct Topic {
  Topic(std::string its_name, bool category) : name(std::move(its_name)), is_category(category) {}

  const std::string name;
  const bool is_category;
  const Series* series = nullptr;  // null: the log does not know it
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

  // Finds where to begin. False: something that was asked for is not there, so it begins elsewhere.
  bool begin(const Start& start, const Log& log, Subscriptions from, uint32_t hub_epoch,
             const LogStream* only_stream);
  void filter(std::unique_ptr<EventFilter> filter) { filter_ = std::move(filter); }
  void end_at(uint64_t global) { end_ = global; }
  // From here to the end only the last event of each stream.
  void only_newest(bool on) { newest_ = on; }

  // The next event. It stays that until advance().
  Step next(const Log& log, Subscriptions from, const Log::Entry** event);
  void advance() { ++at_; }
  void skip_lost(const Log& log, Subscriptions from) { told_ = lost_of(log, from); }

  uint64_t at() const { return at_; }

 private:
  bool begin_in_stream(const Start& start, const Log& log, const LogStream* stream);
  bool begin_in_hub(const Start& start, const Log& log, Subscriptions from, uint32_t hub_epoch);
  bool begin_since(uint64_t time_ms, const Log& log, Subscriptions from);
  bool begin_at_what_is_left(const Log& log, Subscriptions from);
  // What has been evicted of what it reads.
  struct Lost {
    uint64_t through = 0;
    uint64_t hole_through = 0;
    uint64_t last_hole = 0;
  };
  static Lost lost_of(const Log& log, Subscriptions from);
  bool loses(const Lost& lost, uint64_t at) const;
  bool wants(const Log::Entry& event) const;

  uint64_t at_ = 1;  // the first one that is wanted
  uint64_t end_ = UINT64_MAX;
  Lost told_;  // what of that is known to the reader
  std::unique_ptr<EventFilter> filter_;
  bool newest_ = false;
};

}  // namespace sluice
