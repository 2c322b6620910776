// What a stream keeps to count the usage of a request to a language model. Owned by its Inspection,
// from its request's head on.
#pragma once

#include <cstdint>
#include <memory>

#include "net/llm/usage_meter.h"
#include "net/stream/clumps.h"
#include "net/stream/kept_answer.h"
#include "net/stream/usage_drain.h"

namespace sluice {

struct Metering {
  enum class Reads : uint8_t { kNothing, kEvents, kBody };

  UsageMeter meter;
  Clumps clumps;
  Reads reads = Reads::kNothing;       // of the answer
  bool asks = false;                   // for usage, where the client has said nothing of it
  std::unique_ptr<KeptAnswer> answer;  // whose head waits for the end of its body
  bool whole = false;                  // that has come, so the head can tell of usage
  std::unique_ptr<UsageDrain> drain;   // in the place of a client that has left
  uint32_t growth_left = 0;            // bytes by which the body is to be longer, and is not yet
};

}  // namespace sluice
