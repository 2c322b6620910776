// What a stream needs beyond its attempt in order to make another: made when it is first needed.
// Owned by the stream.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "core/intrusive_list.h"
#include "net/base/ending.h"
#include "net/base/failure.h"
#include "net/stream/healing.h"
#include "net/stream/kept_answer.h"

namespace sluice {

class Stream;

struct Recovery {
  explicit Recovery(Stream& its_stream) : stream(its_stream) {}

  Stream& stream;
  ListLink<Recovery> in_wait;            // for the worker's HealingWaits
  std::unique_ptr<Healing> healing;      // null until an id has come
  std::optional<uint64_t> retry_ms;      // as the upstream gave it for reconnects
  uint64_t tried = 0;                    // upstreams of the group, as bits
  uint64_t next_attempt_ms = 0;          // 0: none is to begin at a time of its own
  uint32_t retries = 0;                  // before the client had content
  uint16_t answered = 0;                 // the best status that was not passed on then; 0: none
  std::unique_ptr<KeptAnswer> kept;      // the best answer, where it could be kept
  std::unique_ptr<KeptAnswer> arriving;  // one whose body is still coming
  Failure failure{};                     // of the attempt before, then, and how that ended
  Ending lost_by{};
  uint64_t not_before_ms = 0;  // the upstream's word on the next reconnect; 0: it gave none
  bool paced = false;          // that time is the upstream's turn (heal-rate)
};

}  // namespace sluice
