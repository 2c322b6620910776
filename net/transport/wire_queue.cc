#include "net/transport/wire_queue.h"

#include <algorithm>
#include <utility>

#include "core/check.h"

namespace sluice {

namespace {

// A hello is no larger part of a slot: those of browsers have 500 to 1,800 bytes.
constexpr uint32_t kHelloFraction = 8;

// What is left of them behind so many bytes.
std::span<iovec> without(std::span<iovec> pieces, uint64_t bytes) {
  while (!pieces.empty() && bytes >= pieces.front().iov_len) {
    bytes -= pieces.front().iov_len;
    pieces = pieces.subspan(1);
  }
  if (bytes > 0) {
    SLUICE_CHECK(!pieces.empty());
    pieces.front().iov_base = static_cast<char*>(pieces.front().iov_base) + bytes;
    pieces.front().iov_len -= bytes;
  }
  return pieces;
}

}  // namespace

WireQueue::WireQueue(Memory& memory, std::unique_ptr<Transform> transform)
    : memory_limit_(memory.http_message.memory_limit()),
      transform_(std::move(transform)),
      unopened_wire_(memory, memory.http_message),
      sealed_(memory, memory.http_message) {}

WireQueue::~WireQueue() {
  stop_waiting();
  return_spare();
}

// A client's hello may have to wait for its turn, and with a crowd: in its own size, then. Half of
// the heap's share stays for others.
void WireQueue::received(const Lease& lease, std::string_view bytes, SlotPool& slots) {
  bool is_hello = !transform_->ready() && bytes.size() <= slots.slot_bytes() / kHelloFraction &&
                  memory_limit_.heap + bytes.size() <= memory_limit_.heap_max / 2;
  if (!lease || is_hello) {
    Lease block = slots.make_block(static_cast<uint32_t>(bytes.size()));
    std::ranges::copy(bytes, block.data());
    unopened_wire_.append(block, {block.data(), bytes.size()});
  } else {
    unopened_wire_.append(lease, bytes);
  }
  unopened_ = true;
}

Transform::Opened WireQueue::open(SlotPool& slots) {
  for (;;) {
    iovec piece{nullptr, 0};
    uint64_t size = 0;
    unopened_wire_.fill({&piece, 1}, 0, UINT32_MAX, &size);
    std::span<char> wire(static_cast<char*>(piece.iov_base), piece.iov_len);
    Transform::Opened opened = transform_->open(unopened_wire_.front(), &wire, slots);
    unopened_wire_.consume(size - wire.size());
    if (opened.kind == Transform::Opened::Kind::kReady)
      if (std::unique_ptr<Transform> next = transform_->successor()) transform_ = std::move(next);
    if (opened.kind != Transform::Opened::Kind::kNeedMore) return opened;
    SLUICE_CHECK(wire.empty());
    unopened_ = !unopened_wire_.empty();
    if (!unopened_) return opened;
  }
}

void WireQueue::drop_unopened() {
  unopened_wire_.clear();
  unopened_ = false;
}

bool WireQueue::seal(std::span<iovec> plain, SlotPool& slots) {
  while (!plain.empty() || transform_->has_output()) {
    if (stopped_ || slots_end_ == slots_.size()) return false;
    Lease slot = slot_to_seal_into(slots);
    if (!slot) {
      if (idle()) wait(slots);  // else what is under way brings it back here
      return false;
    }
    Transform::Sealed sealed = transform_->seal(plain, {slot.data(), slot.size()});
    SLUICE_CHECK(sealed.wire <= slot.size());
    if (sealed.wire == 0) {
      broken_ = true;
      return false;
    }
    sealed_.append(slot, {slot.data(), sealed.wire});
    auto plain_bytes = static_cast<uint32_t>(sealed.plain);
    slots_[slots_end_++] = {static_cast<uint32_t>(sealed.wire), plain_bytes};
    plain_ += plain_bytes;
    plain = without(plain, sealed.plain);
  }
  return true;
}

// Where all slots hold bytes that wait to be sealed, nothing would ever leave: a few blocks are
// spare for that.
Lease WireQueue::slot_to_seal_into(SlotPool& slots) {
  // Who has waited goes first, with one slot.
  if (slots.has_writers_waiting() && !std::exchange(slot_granted_, false)) return {};
  Lease slot = slots.take();
  if (slot || !idle() || memory_limit_.spare_blocks == 0) return slot;
  --memory_limit_.spare_blocks;
  has_spare_ = true;
  return slots.take_block(slots.slot_bytes(), /*ours=*/true);
}

void WireQueue::return_spare() {
  if (std::exchange(has_spare_, false)) ++memory_limit_.spare_blocks;
}

void WireQueue::end() {
  if (!std::exchange(ended_, true)) transform_->end();
}

void WireQueue::stop_sending() {
  stopped_ = ended_ = true;
  stop_waiting();
}

size_t WireQueue::fill(std::span<iovec> pieces) const {
  if (stopped_) return 0;
  uint64_t covered = 0;
  return sealed_.fill(pieces, 0, UINT32_MAX, &covered);
}

uint64_t WireQueue::sent(uint64_t wire) {
  sealed_.consume(wire);
  uint64_t plain = 0;
  while (wire > 0) {
    SealedSlot& slot = slots_[slots_first_];
    auto part = static_cast<uint32_t>(std::min<uint64_t>(wire, slot.wire));
    slot.wire -= part;
    wire -= part;
    if (slot.wire > 0) break;
    plain += slot.plain;
    ++slots_first_;
  }
  if (slots_first_ == slots_end_) {
    slots_first_ = slots_end_ = 0;
    return_spare();
  }
  plain_ -= static_cast<uint32_t>(plain);
  return plain;
}

void WireQueue::wait(SlotPool& slots) {
  if (waits_for_) return;  // whatever it gets a slot of: all is tried again then
  waits_for_ = &slots;
  slots.wait_to_write(*this);
}

void WireQueue::stop_waiting() {
  if (SlotPool* slots = std::exchange(waits_for_, nullptr)) slots->stop_waiting_to_write(*this);
}

void WireQueue::on_slot_available() {
  waits_for_ = nullptr;
  slot_granted_ = true;
  loop_->flush_later(*conn_);
}

}  // namespace sluice
