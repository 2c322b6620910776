// The memory of one worker's decoders, and what they count. A peer says how large a decoder's
// window is, so each piece that one asks for is counted as slabs are; all together take a quarter
// of --pool-max at most. Used on its worker's thread; outlives every decoder.
#pragma once

#include <cstddef>
#include <cstdint>

#include "net/base/encoding_counts.h"
#include "pool/slot_pool.h"

namespace sluice {

class Decoders {
 public:
  explicit Decoders(MemoryLimit& memory_limit) : memory_limit_(memory_limit) {}
  ~Decoders();
  Decoders(const Decoders&) = delete;
  Decoders& operator=(const Decoders&) = delete;

  // Null: there is none left.
  void* allocate(size_t bytes);
  void free(void* piece);

  DecodingMetrics& metrics() { return metrics_; }
  const DecodingMetrics& metrics() const { return metrics_; }

 private:
  MemoryLimit& memory_limit_;
  DecodingMetrics metrics_;
};

}  // namespace sluice
