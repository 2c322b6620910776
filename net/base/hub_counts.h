// What a worker's part of a hub tells a scrape.
#pragma once

#include <cstdint>
#include <string>

namespace sluice {

// Of a source that feeds one of its streams; at the hub's home.
struct HubSourceCounts {
  std::string hub;
  std::string stream;
  bool up = false;
  uint64_t attempts = 0;    // at its upstream
  uint64_t events = 0;      // that the hub has taken
  uint64_t duplicates = 0;  // that came again, and were dropped
  uint64_t refused = 0;     // that the hub cannot take
};

struct HubCounts {
  std::string name;
  // Of its log, which is every worker's.
  uint64_t streams = 0;
  uint64_t events = 0;
  uint64_t bytes = 0;
  uint64_t global_position = 0;
  // This worker's own.
  uint64_t subscribers = 0;
  uint64_t groups = 0;          // of consumers; at the hub's home only, as are the next four
  uint64_t leases = 0;          // of members of groups, at this moment
  uint64_t leases_granted = 0;  // ever
  uint64_t leases_expired = 0;  // since nothing was acknowledged
  uint64_t acks_fenced = 0;     // refused: the member has had another owner since
  uint64_t appended = 0;        // events; at the hub's home only, as are the next two
  uint64_t duplicates = 0;      // requests that were not appended again
  uint64_t refused = 0;         // requests to publish
  uint64_t delivered = 0;       // events to subscribers
  uint64_t coded = 0;           // forms of events in gzip, made for all subscribers
  uint64_t gaps = 0;            // that subscribers were told of
  uint64_t store_waiting =
      0;  // events that are not on the disk yet; at the home, as are the others
  uint64_t store_failing = 0;   // 1: the store takes no events now
  uint64_t store_failures = 0;  // times that this has begun
  uint64_t store_pages = 0;     // of history that this worker's readers have got from the store
  uint64_t store_unread = 0;    // readers that ended since the store gave them no page
  uint64_t slow_ended = 0;      // subscribers that had fallen out of history
};

}  // namespace sluice
