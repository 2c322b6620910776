// The encoders of one worker: a bounded number of states, made when they are first needed, kept
// and begun anew for the next body. A body that idles lends its state to another one where its
// format can go on without (Packer). They count as the slabs do, and take a quarter of --pool-max
// at most. Used on its worker's thread; outlives every body's Packer.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/intrusive_list.h"
#include "net/base/encoding_counts.h"
#include "net/coding/encoder.h"
#include "pool/slot_pool.h"

namespace sluice {

class Packer;

// An encoder that a body has.
struct EncoderState {
  std::unique_ptr<Encoder> encoder;
  ContentCoding coding;
  Packer* holder = nullptr;
  uint64_t rested_since = 0;         // tick
  ListLink<EncoderState> in_rest{};  // while all that it took in has been flushed
};

class Encoders {
 public:
  explicit Encoders(MemoryLimit& memory_limit) : memory_limit_(memory_limit) {}
  ~Encoders();
  Encoders(const Encoders&) = delete;
  Encoders& operator=(const Encoders&) = delete;

  // One that has begun anew. Null: there is none left, and none idles.
  EncoderState* take(ContentCoding coding, Packer& holder);
  void give_back(EncoderState* state);
  // It may be taken back from now on, once it has rested for limits::kEncoderRestTicks; and no
  // more.
  void rest(EncoderState& state);
  void wake(EncoderState& state);
  // Time passes: about once a second. Spare states that nobody has used since the last one go.
  void tick();

  EncodingMetrics& metrics() { return metrics_; }
  const EncodingMetrics& metrics() const { return metrics_; }

 private:
  using Resting = IntrusiveQueue<EncoderState, &EncoderState::in_rest>;
  struct Kind {
    std::vector<EncoderState*> spare;
    size_t spare_least = 0;  // since the last tick
  };

  Kind& kind(ContentCoding coding) { return kinds_[static_cast<unsigned>(coding)]; }
  EncoderState* make(ContentCoding coding);
  void free(EncoderState* state);
  bool take_back(ContentCoding coding);
  bool free_a_spare();

  MemoryLimit& memory_limit_;
  uint64_t bytes_ = 0;
  uint64_t ticks_ = 0;
  std::array<Kind, kContentCodings> kinds_;
  Resting resting_;  // the one that has rested longest comes first
  EncodingMetrics metrics_;
};

}  // namespace sluice
