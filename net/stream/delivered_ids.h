// The ids of the events that a client has been sent last, so that a stream can be resumed behind
// the last one, and what comes again can be told from what is new. They are compared exactly. They
// lie behind each other in one block, which grows by doubling, is charged to --pool-max, and has a
// bound: long ids make the ring shorter. Ids that are consecutive numbers are kept as their first
// and last instead, which remembers all of them. Owned by a stream's Healing, used on its thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "pool/slot_pool.h"
#include "sse/pieces.h"

namespace sluice {

class DeliveredIds {
 public:
  DeliveredIds(MemoryLimit& memory, size_t count_max) : memory_(memory), count_max_(count_max) {}
  ~DeliveredIds() { resize(0); }
  DeliveredIds(const DeliveredIds&) = delete;
  DeliveredIds& operator=(const DeliveredIds&) = delete;

  // An event of that id has been delivered. An empty id clears the last one, and so does one that
  // cannot be asked for: too long, or nothing that a field of a request can say.
  void remember(const Pieces& id);
  // Something has been delivered whose id, if any, is not known.
  void lose_track() { last_size_ = 0; }

  // The last one delivered; empty: there is nothing to go on from.
  std::string_view last();
  bool can_ask() const { return last_size_ > 0; }
  bool contains(const Pieces& id) const;

  // Some of them are the same, so that an id does not tell one event from another.
  bool repeat() const;

  // Where an id that has not been delivered stands, as far as numbers tell. Only behind consecutive
  // ones a jump means that some are missing.
  enum class Place : uint8_t { kUnknown, kNext, kLater, kEarlier };
  Place place_of(const Pieces& id) const;

  // Of those in the block.
  size_t count() const { return count_; }

 private:
  bool is_number_run() const { return first_number_ <= last_number_; }
  void drop_oldest();
  bool make_room(size_t bytes);
  bool resize(size_t bytes);
  bool push(std::string_view id);
  void push_numbers();

  MemoryLimit& memory_;
  const size_t count_max_;
  std::unique_ptr<char[]> block_;
  uint32_t capacity_ = 0;  // charged
  uint32_t begin_ = 0;     // of the oldest id, behind its size in two bytes
  uint32_t end_ = 0;
  uint32_t count_ = 0;
  uint32_t last_size_ = 0;  // 0: there is none
  // The run of consecutive numbers that the last id ends, which is not in the block; none where the
  // first is larger.
  uint64_t first_number_ = 1;
  uint64_t last_number_ = 0;
  uint32_t last_at_ = 0;  // in the block, of one that is no number
  std::array<char, 20> number_text_;
};

}  // namespace sluice
