// What is to be sent on one socket for one message: raw head bytes, then body bytes that may be
// framed (in chunks), then the end. Owned by the stream; the connection that carries the message
// asks it for the next batch and reports what left. One batch is under way at a time: where bodies
// are framed a batch's body is exactly one chunk, so events that leave together share one.
// Where the body lies in one slot, the framing is written around it there, or stands there already
// (a hub's event), so that the batch is one piece.
//
// Where the body is to be packed (a content coding), what is appended waits plain in the packer's
// chain, and is packed when a batch begins: so an event leaves with the send that it is packed for.
// What was coded elsewhere goes behind all that, and is packed no more.
//
// All that is appended may leave: what has to wait for the rest of its event is not here, but
// staged (net/stream/staging.h). Everything a batch points at lives until it has left.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "net/base/limits.h"
#include "net/coding/packer.h"
#include "net/http/message_writer.h"
#include "pool/chain.h"

namespace sluice {

class Outbox {
 public:
  Outbox(Memory& memory, SlotPool& spill) : chain_(memory, spill) {}

  // Heads, interim ones too, before any body byte of the message. False, and nothing is appended,
  // where there is no memory for one that a peer wrote; there always is for our own.
  [[nodiscard]] bool append_head(std::string_view bytes, bool ours = false);
  // Body bytes by reference.
  void append(const Lease& lease, std::string_view bytes) { body().append(lease, bytes); }
  // A copy of them; the rest that there was no slot for is returned.
  [[nodiscard]] std::string_view append_copy(std::string_view bytes) {
    return body().append_copy(bytes);
  }
  void append_static(std::string_view bytes) { body().append_static(bytes); }
  // A copy of bytes that are our own: there is always memory for those.
  void append_own(std::string_view bytes) { (void)body().append_block(bytes, /*ours=*/true); }
  // A copy, in a block of the heap where there is no slot. False: there is no memory for it, and
  // nothing is appended.
  [[nodiscard]] bool append_written(std::string_view bytes) {
    return body().append_block(bytes, /*ours=*/false);
  }
  // What was staged; that chain is empty then.
  void append_staged(Chain& staged) { body().append_chain(staged); }
  // Copies to a chain that is to be appended later, so that both are dense.
  [[nodiscard]] std::string_view stage_copy(Chain& staged, std::string_view bytes) {
    return staged.append_copy_behind(body(), bytes);
  }

  // What stands around its body on the wire; null: nothing.
  void set_framing(const BodyFraming* framing) { framing_ = framing; }
  void spill_to(SlotPool& spill) { body().spill_to(spill); }
  // The body, of which nothing has been appended yet, leaves packed.
  void pack(std::unique_ptr<Packer> packer) { packer_ = std::move(packer); }
  const Packer* packer() const { return packer_.get(); }
  // Where its packer takes such a text; see there.
  [[nodiscard]] bool append_coded(const CodedText& text, const Lease& lease, uint64_t name) {
    return packer_->append_coded(text, lease, name, chain_);
  }

  // Drops everything: nobody will send it.
  void abandon();
  // Nothing more will be appended: after these bytes the message is complete.
  void finish() { finished_ = true; }

  // Bytes that have not left; those that are to be packed count as they are.
  uint64_t backlog() const { return chain_.bytes() + (packer_ ? packer_->plain().bytes() : 0); }
  bool batch_under_way() const { return batch_bytes() > 0; }
  // Nothing follows the batch under way.
  bool batch_is_last() const {
    return finished_ && backlog() == uint64_t{batch_head_} + batch_body_ && !end_due();
  }
  bool finished() const { return finished_; }
  // Everything has left, the end included.
  bool complete() const { return finished_ && backlog() == 0 && !end_due() && !batch_under_way(); }
  // Something could be sent now.
  bool has_work() const { return backlog() > 0 || batch_under_way() || end_due(); }

  // Describes what to send next (a new batch, of no more than `bytes_max` before framing, or the
  // rest of the one under way); the number of pieces, 0 where there is nothing. `pieces` has room
  // for at least 8.
  size_t build(std::span<iovec> pieces, uint64_t bytes_max = limits::kSendBatchBytes);
  // That many bytes of the batch have left; returns the body bytes among them.
  uint64_t sent(uint64_t bytes);

  // For a connection that frames heads apart from bodies: the heads that have not left, and then
  // that so many bytes of them have. No batch is under way.
  bool has_head() const { return head_left_ > 0; }
  void copy_head(std::string& into) const;
  void take_head(size_t bytes);

  // What has left last was all that there was, or all that a slot held.
  bool gave_way() const { return gave_way_; }

  // For a request that may have to be sent again on a fresh connection.
  void keep_for_replay(bool keep) { chain_.keep_consumed(keep); }
  bool kept_for_replay() const { return chain_.keeps_consumed(); }
  uint64_t kept_bytes() const { return chain_.kept_bytes(); }
  // Of its body.
  uint64_t kept_body_bytes() const {
    return kept_bytes() - std::min<uint64_t>(kept_bytes(), head_total_ - head_left_);
  }
  // Whether slots of that pool hold some of what has not left, or of what is kept for replay.
  bool holds_in(const SlotPool& pool) const {
    return chain_.holds_in(pool) || (packer_ && packer_->plain().holds_in(pool));
  }
  bool keeps_in(const SlotPool& pool) const { return chain_.keeps_in(pool); }
  void rewind();

 private:
  bool end_due() const {
    return finished_ && ((framing_ && !end_sent_) || (packer_ && !packer_->ended()));
  }
  // What is appended to the body.
  Chain& body() { return packer_ ? packer_->plain() : chain_; }
  uint32_t batch_bytes() const { return batch_head_ + prefix_size_ + batch_body_ + suffix_size_; }
  void begin_batch(std::span<iovec> pieces, uint64_t bytes_max);
  bool frame_in_place();

  Chain chain_;  // as it leaves
  std::unique_ptr<Packer> packer_;
  const BodyFraming* framing_ = nullptr;
  uint32_t head_left_ = 0;
  uint32_t head_total_ = 0;

  // The batch under way, in the order in which it leaves; what is left of it.
  uint32_t batch_head_ = 0;
  uint32_t batch_body_ = 0;
  uint8_t prefix_at_ = 0;
  uint8_t prefix_size_ = 0;
  std::array<char, BodyFraming::kPrefixBytesMax> prefix_{};
  // What follows the body, as a part of framing_->ends.
  uint8_t suffix_at_ = 0;
  uint8_t suffix_size_ = 0;

  // Two outboxes for every stream: kept small.
  bool in_place_ : 1 = false;  // the batch is one piece: prefix and suffix lie around the body
  bool finished_ : 1 = false;
  bool end_sent_ : 1 = false;
  bool gave_way_ : 1 = false;
};

}  // namespace sluice
