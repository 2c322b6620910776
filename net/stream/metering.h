// What a stream keeps to count the usage of a request to a language model. Owned by its Inspection,
// from its request's head on, and charged to the heap's part of --pool-max with the reader of its
// request.
#pragma once

#include <cstdint>
#include <memory>

#include "net/llm/usage_meter.h"
#include "net/stream/clumps.h"
#include "net/stream/kept_answer.h"
#include "net/stream/packed_answer.h"
#include "net/stream/usage_drain.h"
#include "pool/slot_pool.h"

namespace sluice {

struct Metering {
  enum class Reads : uint8_t { kNothing, kEvents, kBody };

  Metering(MemoryLimit& its_memory, const RequestReader& request)
      : memory(its_memory), meter(request) {}
  ~Metering() { memory.charge(&charged, 0); }
  Metering(const Metering&) = delete;
  Metering& operator=(const Metering&) = delete;
  // False: there is no memory for it. A quarter of the heap's part is left for heads.
  bool charge() {
    constexpr uint32_t kBytes = sizeof(Metering) + sizeof(RequestReader);
    return memory.heap + kBytes <= memory.heap_max / 4 * 3 && memory.charge(&charged, kBytes);
  }

  MemoryLimit& memory;
  uint32_t charged = 0;
  UsageMeter meter;
  Clumps clumps;
  Reads reads = Reads::kNothing;         // of the answer
  bool to_model = false;                 // as far as path and route tell
  bool asks = false;                     // for usage, where the client has said nothing of it
  std::unique_ptr<PackedAnswer> packed;  // an answer that its client gets as it came
  std::unique_ptr<KeptAnswer> answer;    // whose head waits for the end of its body
  bool whole = false;                    // that has come, so the head can tell of usage
  std::unique_ptr<UsageDrain> drain;     // in the place of a client that has left
  uint32_t growth_left = 0;              // bytes by which the body is to be longer, and is not yet
};

}  // namespace sluice
