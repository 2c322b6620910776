// What a stream remembers so that it can go on behind a broken upstream: what its client was sent
// last, how long to wait, and how often that has been tried since it broke. Made with the first id
// that comes; owned by the stream's Recovery, used on its worker's thread. An event's id is
// remembered once the event is whole in the client's outbox, never before.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "core/random.h"
#include "net/base/ending.h"
#include "net/stream/delivered_ids.h"

namespace sluice {

struct Healing {
  Healing(MemoryLimit& memory, size_t ids_max) : ids(memory, ids_max) {}

  DeliveredIds ids;
  uint64_t broken_since_ms = 0;  // 0: it is whole
  uint64_t resumed_ms = 0;       // the latest 200; 0: none since it broke
  uint32_t attempts = 0;         // since then
  Ending broken_by = Ending::kUpstreamReset;
  std::string asked;           // the latest Last-Event-ID, until it has come by
  bool came_by = false;        // late, and the client is yet to be told
  bool first_id_seen = false;  // of the resumed stream
  bool dropping = false;       // an event without an id follows one that had been delivered

  bool can_ask() const { return ids.can_ask(); }
  // It has no event stream to go on with.
  bool waits() const { return broken_since_ms != 0 && resumed_ms == 0; }

  void breaks(uint64_t now_ms, Ending by);
  void resumes(uint64_t now_ms);
  // Something new has come behind what was delivered.
  void goes_on();
  // As much of the upstream's `retry:` as counts.
  static uint64_t asked_ms(std::optional<uint64_t> retry_ms);
  // Until the next attempt. `retry_ms` and `retry_after_ms`: the upstream's word, in its stream and
  // in its latest answer.
  uint64_t wait_ms(std::optional<uint64_t> retry_ms, std::optional<uint64_t> retry_after_ms,
                   Random& random) const;
};

}  // namespace sluice
