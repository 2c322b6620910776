// The wire's side of a connection that has a transform: what has been received and is not opened
// yet, and what has been sealed and has not left. Owned by the connection (or on its way from a
// Handshake to the connection that follows it), used on its worker's thread; a plain connection
// has none.
//
// Plain bytes are sealed when nothing sealed is left, straight into slots for the send that is
// about to go, at most kSealedSlots of them. So a batch is sealed once, the bytes under way are
// bounded, and a plain byte counts as sent once the slot that it was sealed into has left. Where
// there is no slot to seal into, the queue waits for one, and the bytes stay in the outbox.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <sys/uio.h>

#include "core/loop.h"
#include "net/base/address.h"
#include "net/transport/transform.h"
#include "pool/chain.h"

namespace sluice {

class WireQueue final : public SlotWaiter {
 public:
  WireQueue(Memory& memory, std::unique_ptr<Transform> transform);
  ~WireQueue() override;
  WireQueue(const WireQueue&) = delete;
  WireQueue& operator=(const WireQueue&) = delete;

  // Who is flushed when there is memory again.
  void belongs_to(Loop& loop, FlushTask& conn) {
    loop_ = &loop;
    conn_ = &conn;
  }
  bool ready() const { return transform_->ready(); }
  // What the connection is to speak; see Transform.
  std::string_view protocol() const { return transform_->protocol(); }
  std::string peer_subject() const { return transform_->peer_subject(); }
  const char* failure() const { return transform_->failure(); }

  // --- what comes ---

  // Bytes that lie in the lease's slot, or in none. `slots`: where to keep them else.
  void received(const Lease& lease, std::string_view bytes, SlotPool& slots);
  // Nothing more comes: 0 for a FIN, else the errno.
  void receive_ended(int error) { receive_end_ = error; }
  std::optional<int> receive_end() const { return receive_end_; }
  // Until open() has said kNeedMore.
  bool unopened() const { return unopened_; }
  // Bytes that open() has not looked at.
  bool holds_unopened() const { return !unopened_wire_.empty(); }
  Transform::Opened open(SlotPool& slots);
  // Nothing more is opened.
  void drop_unopened();

  // --- what leaves ---

  // There is something to send, whatever the protocol has.
  bool has_output() const { return !stopped_ && (!idle() || transform_->has_output()); }
  // What was sealed has left: the next batch may be.
  bool idle() const { return sealed_.empty(); }
  // Seals what the transform has to say and the plain bytes, as far as there is room. True: all.
  // The pieces are used up.
  bool seal(std::span<iovec> plain, SlotPool& slots);
  // Nothing but the transform's ending is sealed from here on.
  void end();
  bool ended() const { return ended_; }
  // Plain bytes could not be sealed, and never will be.
  bool broken() const { return broken_; }
  // A send has failed: nothing leaves any more.
  void stop_sending();
  size_t fill(std::span<iovec> pieces) const;
  // Plain bytes, or a part of one's record, are under way.
  bool carries_plain() const { return plain_ > 0; }
  // So many wire bytes have left; returns the plain bytes that have left with them.
  uint64_t sent(uint64_t wire);

  void stop_waiting();
  void on_slot_available() override;

 private:
  // For the largest batch, in the larger class of slots, with what sealing adds to it.
  static constexpr size_t kSealedSlots = 5;

  struct SealedSlot {
    uint32_t wire = 0;  // bytes that have not left
    uint32_t plain = 0;
  };

  Lease slot_to_seal_into(SlotPool& slots);
  void return_spare();
  void wait(SlotPool& slots);

  MemoryLimit& memory_limit_;
  std::unique_ptr<Transform> transform_;
  Chain unopened_wire_;
  Chain sealed_;
  std::array<SealedSlot, kSealedSlots> slots_;  // of sealed_, in order
  uint8_t slots_first_ = 0;
  uint8_t slots_end_ = 0;
  bool unopened_ = true;  // it may have been handed over with something
  bool ended_ = false;
  bool stopped_ = false;
  bool broken_ = false;
  bool slot_granted_ = false;  // has waited for one
  bool has_spare_ = false;     // sealed_ lies in one of the spare blocks
  uint32_t plain_ = 0;         // in sealed_
  std::optional<int> receive_end_;
  SlotPool* waits_for_ = nullptr;
  Loop* loop_ = nullptr;
  FlushTask* conn_ = nullptr;
};

// Which way a client has come.
struct Arrival {
  Ip peer = {};                // not known: it is the socket's
  uint16_t redirect_port = 0;  // of the listener; 0: its requests are served
};

// What a connection begins with.
struct ConnStart {
  int fd;  // owned from here on
  std::unique_ptr<WireQueue> wire = nullptr;
  Arrival arrival = {};  // of a client
};

}  // namespace sluice
