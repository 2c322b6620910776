// The bytes on their way to one socket, as slices of slots, in order. A chain holds a lease on the
// slot of every slice; between receive and send it copies only bytes that have to wait
// (append_copy). Owned by a stream, used on its worker's thread. Slices live in nodes from the
// worker's free list, so that appending allocates nothing in steady state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <sys/uio.h>
#include <vector>

#include "pool/slot.h"
#include "pool/slot_pool.h"

namespace sluice {

struct ChainNode {
  ChainNode* next;
  Slot* slot;  // null: static bytes
  const char* data;
  uint32_t size;
};

// Free chain nodes of one worker; grows in blocks and keeps them.
class ChainNodes {
 public:
  ChainNode* take();
  void give_back(ChainNode* node) {
    node->next = free_;
    free_ = node;
    --in_use_;
  }
  uint64_t in_use() const { return in_use_; }

 private:
  static constexpr size_t kBlock = 512;

  ChainNode* free_ = nullptr;
  uint64_t in_use_ = 0;
  std::vector<std::unique_ptr<ChainNode[]>> blocks_;
};

// The material of a worker's chains, and the loop that they live by.
struct Memory {
  SlotPool& sse_event;
  SlotPool& http_message;
  ChainNodes nodes = {};
  // What filters write, and copies of streams that have them. Null where there are none.
  SlotPool* json = nullptr;
  Loop& loop = http_message.loop();
};

class Chain {
 public:
  // Copies go into slots of `spill`.
  Chain(Memory& memory, SlotPool& spill) : memory_(&memory) { spill_to(spill); }
  ~Chain() { clear(); }
  Chain(const Chain&) = delete;
  Chain& operator=(const Chain&) = delete;

  // Sets the pool of further copies.
  void spill_to(SlotPool& spill) {
    spill_ = &spill == &memory_->http_message ? Spill::kLarge
             : &spill == memory_->json        ? Spill::kJson
                                              : Spill::kSmall;
  }

  // Shares the slot, in which `bytes` lie.
  void append(const Lease& lease, std::string_view bytes);
  // Copies into the chain's own slots, densely. Returns the rest for which there was no slot: the
  // caller may append it by reference, or as a block.
  [[nodiscard]] std::string_view append_copy(std::string_view bytes);
  // Copies all of it, into a block of the heap if there is no slot. False: the limit has no room
  // for a block, and nothing is appended. Bytes of our own always find room.
  [[nodiscard]] bool append_block(std::string_view bytes, bool ours);
  // The same, in the slot that `ahead` copies into, as long as nothing else has been appended here:
  // what follows in `ahead` is dense then, too, once it takes this chain's bytes (append_chain()).
  // Until then `ahead` copies elsewhere, since only one chain may write behind the bytes of a slot.
  [[nodiscard]] std::string_view append_copy_behind(Chain& ahead, std::string_view bytes);
  // Bytes that live as long as the program.
  void append_static(std::string_view bytes);
  // All that is in `other`, which has consumed and keeps nothing, and is empty then. No byte moves.
  void append_chain(Chain& other);

  // Bytes not yet consumed.
  uint64_t bytes() const { return bytes_; }
  bool empty() const { return bytes_ == 0; }

  // Describes up to max_bytes of the unconsumed bytes from `skip` on; returns the pieces used and
  // adds the bytes they cover to *covered.
  size_t fill(std::span<iovec> pieces, uint64_t skip, uint64_t max_bytes, uint64_t* covered) const;

  // The address of the first `size` unconsumed bytes, if the caller may write right before and
  // right after them: they are one slice up to its end, no other lease is on the slot, and the slot
  // has that many bytes on either side. Else null. The bytes there have been sent or parsed; they
  // are the caller's until the `size` bytes are consumed.
  char* surroundings(uint64_t size, size_t before, size_t after);
  // The first `size` unconsumed bytes are one slice up to its end, and these stand around them, in
  // memory that nobody writes (a shared slot's).
  bool stands_between(uint64_t size, std::string_view before, std::string_view after) const;

  // The slot that the first unconsumed byte lies in; empty for static bytes.
  Lease front() const;
  // The same, to compare with: null where there is none.
  const Slot* front_slot() const { return cursor_ ? cursor_->slot : nullptr; }

  // Consumes the first `count` bytes, which have left. While keep_consumed(), they stay for
  // rewind().
  void consume(uint64_t count);
  // Drops everything after the first `count` unconsumed bytes.
  void truncate(uint64_t count);
  void clear();

  void keep_consumed(bool keep);
  bool keeps_consumed() const { return keep_; }
  // Consumed bytes that are kept.
  uint64_t kept_bytes() const { return consumed_; }
  // Everything that was consumed is to be sent again.
  void rewind();

  // Whether slots of that pool hold some of the kept bytes, or of the unconsumed ones.
  bool keeps_in(const SlotPool& pool) const;
  bool holds_in(const SlotPool& pool) const;

 private:
  void push(Slot* slot, const char* data, uint32_t size);
  void drop_front();
  uint32_t room_behind_copy() const;

  enum class Spill : uint8_t { kSmall, kLarge, kJson };

  SlotPool& spill() {
    if (spill_ == Spill::kSmall) return memory_->sse_event;
    return spill_ == Spill::kLarge ? memory_->http_message : *memory_->json;
  }

  // Two chains and more for every stream: kept small.
  Memory* memory_;
  ChainNode* head_ = nullptr;  // first node kept
  ChainNode* tail_ = nullptr;
  ChainNode* cursor_ = nullptr;  // first node with unconsumed bytes
  uint32_t cursor_offset_ = 0;
  uint32_t bytes_ = 0;
  uint32_t consumed_ = 0;  // bytes before the cursor that are kept
  bool keep_ = false;
  bool tail_is_copy_ = false;  // the tail node lies in a slot that append_copy() may go on with
  Spill spill_ = Spill::kSmall;
};

}  // namespace sluice
