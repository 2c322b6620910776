#include "pool/chain.h"

#include <algorithm>
#include <cstring>

#include "core/check.h"

namespace sluice {

namespace {

bool lies_in(const ChainNode& node, const SlotPool& pool) {
  return node.slot && node.slot->pool == &pool && node.slot->region != Slot::kHeap;
}

}  // namespace

ChainNode* ChainNodes::take() {
  if (!free_) {
    blocks_.push_back(std::make_unique<ChainNode[]>(kBlock));
    for (size_t i = 0; i < kBlock; ++i) {
      blocks_.back()[i].next = free_;
      free_ = &blocks_.back()[i];
    }
  }
  ChainNode* node = free_;
  free_ = node->next;
  ++in_use_;
  return node;
}

void Chain::push(Slot* slot, const char* data, uint32_t size) {
  ChainNode* node = memory_->nodes.take();
  *node = {nullptr, slot, data, size};
  if (slot) ++slot->leases;
  if (tail_)
    tail_->next = node;
  else
    head_ = node;
  tail_ = node;
  if (!cursor_) {
    cursor_ = node;
    cursor_offset_ = 0;
  }
  tail_is_copy_ = false;
  bytes_ += size;
}

void Chain::append(const Lease& lease, std::string_view bytes) {
  if (bytes.empty()) return;
  auto size = static_cast<uint32_t>(bytes.size());
  if (cursor_ && tail_->slot == lease.slot() && tail_->data + tail_->size == bytes.data()) {
    tail_->size += size;
    bytes_ += size;
    return;
  }
  push(lease.slot(), bytes.data(), size);
}

void Chain::append_static(std::string_view bytes) {
  if (!bytes.empty()) push(nullptr, bytes.data(), static_cast<uint32_t>(bytes.size()));
}

// Nodes lie one after the other in a slot that was taken for copying, and tail_is_copy_ is true of
// one chain at a time, so what follows that one's tail is unused.
uint32_t Chain::room_behind_copy() const {
  if (!tail_is_copy_) return 0;
  const char* end = tail_->slot->data + tail_->slot->size;
  return static_cast<uint32_t>(end - (tail_->data + tail_->size));
}

std::string_view Chain::append_copy(std::string_view bytes) {
  while (!bytes.empty()) {
    auto size = static_cast<uint32_t>(std::min<size_t>(bytes.size(), room_behind_copy()));
    if (size > 0) {
      if (!cursor_) {  // every byte has left, and is kept
        cursor_ = tail_;
        cursor_offset_ = tail_->size;
      }
      std::memcpy(tail_->slot->data + (tail_->data - tail_->slot->data) + tail_->size, bytes.data(),
                  size);
      tail_->size += size;
      bytes_ += size;
    } else {
      Lease lease = spill().take();
      if (!lease) break;
      size = static_cast<uint32_t>(std::min<size_t>(bytes.size(), lease.size()));
      std::memcpy(lease.data(), bytes.data(), size);
      push(lease.slot(), lease.data(), size);
      tail_is_copy_ = true;
    }
    bytes.remove_prefix(size);
  }
  return bytes;
}

std::string_view Chain::append_copy_behind(Chain& ahead, std::string_view bytes) {
  auto size = static_cast<uint32_t>(std::min<size_t>(bytes.size(), ahead.room_behind_copy()));
  if (head_ || size == 0) return append_copy(bytes);
  Slot& slot = *ahead.tail_->slot;
  char* at = slot.data + (ahead.tail_->data - slot.data) + ahead.tail_->size;
  std::memcpy(at, bytes.data(), size);
  push(&slot, at, size);
  tail_is_copy_ = true;
  ahead.tail_is_copy_ = false;
  return append_copy(bytes.substr(size));
}

void Chain::append_chain(Chain& other) {
  SLUICE_CHECK(other.head_ == other.cursor_ && other.cursor_offset_ == 0);
  ChainNode* first = other.head_;
  if (!first) return;
  if (cursor_ && tail_->slot && tail_->slot == first->slot &&
      tail_->data + tail_->size == first->data) {
    tail_->size += first->size;
    tail_->next = first->next;
    if (first != other.tail_) tail_ = other.tail_;
    Lease::adopt(first->slot);
    memory_->nodes.give_back(first);
  } else {
    if (tail_)
      tail_->next = first;
    else
      head_ = first;
    tail_ = other.tail_;
    if (!cursor_) {
      cursor_ = first;
      cursor_offset_ = 0;
    }
  }
  tail_is_copy_ = other.tail_is_copy_;
  bytes_ += other.bytes_;
  other.head_ = other.tail_ = other.cursor_ = nullptr;
  other.bytes_ = 0;
  other.tail_is_copy_ = false;
}

bool Chain::append_block(std::string_view bytes, bool ours) {
  uint32_t before = bytes_;
  std::string_view rest = append_copy(bytes);
  if (rest.empty()) return true;
  Lease block = spill().take_block(static_cast<uint32_t>(rest.size()), ours);
  if (block) {
    std::memcpy(block.data(), rest.data(), rest.size());
    append(block, {block.data(), rest.size()});
  } else {
    truncate(before);
  }
  return static_cast<bool>(block);
}

size_t Chain::fill(std::span<iovec> pieces, uint64_t skip, uint64_t max_bytes,
                   uint64_t* covered) const {
  size_t used = 0;
  uint64_t offset = cursor_offset_ + skip;
  for (ChainNode* node = cursor_; node && used < pieces.size() && max_bytes > 0;
       node = node->next) {
    if (offset >= node->size) {
      offset -= node->size;
      continue;
    }
    uint64_t size = std::min<uint64_t>(node->size - offset, max_bytes);
    pieces[used++] = {const_cast<char*>(node->data) + offset, static_cast<size_t>(size)};
    *covered += size;
    max_bytes -= size;
    offset = 0;
  }
  return used;
}

char* Chain::surroundings(uint64_t size, size_t before, size_t after) {
  if (!cursor_ || !cursor_->slot || keep_ || cursor_->slot->leases != 1) return nullptr;
  if (size != cursor_->size - cursor_offset_) return nullptr;
  Slot& slot = *cursor_->slot;
  if (slot.region == Slot::kShared) return nullptr;
  size_t begin = static_cast<size_t>(cursor_->data - slot.data) + cursor_offset_;
  if (begin < before || slot.size - begin - size < after) return nullptr;
  if (cursor_ == tail_) tail_is_copy_ = false;  // the rest of the slot is no longer free
  return slot.data + begin;
}

bool Chain::stands_between(uint64_t size, std::string_view before, std::string_view after) const {
  if (!cursor_ || !cursor_->slot || keep_ || cursor_->slot->region != Slot::kShared) return false;
  if (size != cursor_->size - cursor_offset_) return false;
  std::string_view all(cursor_->slot->data, cursor_->slot->size);
  size_t begin = static_cast<size_t>(cursor_->data - all.data()) + cursor_offset_;
  return begin >= before.size() && all.substr(0, begin).ends_with(before) &&
         all.substr(begin + size).starts_with(after);
}

Lease Chain::front() const {
  if (!cursor_ || !cursor_->slot) return {};
  ++cursor_->slot->leases;
  return Lease::adopt(cursor_->slot);
}

void Chain::drop_front() {
  ChainNode* node = head_;
  head_ = node->next;
  if (tail_ == node) {
    tail_ = nullptr;
    tail_is_copy_ = false;
  }
  if (node->slot) Lease::adopt(node->slot);  // the temporary ends the lease at once
  memory_->nodes.give_back(node);
}

void Chain::consume(uint64_t count) {
  SLUICE_CHECK(count <= bytes_);
  bytes_ -= static_cast<uint32_t>(count);
  if (keep_) consumed_ += static_cast<uint32_t>(count);
  count += cursor_offset_;
  while (cursor_ && count >= cursor_->size) {
    count -= cursor_->size;
    cursor_ = cursor_->next;
    if (!keep_) drop_front();
  }
  cursor_offset_ = static_cast<uint32_t>(count);
}

void Chain::truncate(uint64_t count) {
  if (count >= bytes_) return;
  uint64_t keep = count + cursor_offset_;
  ChainNode** link = &head_;
  ChainNode* last = nullptr;
  while (*link != cursor_) {
    last = *link;
    link = &last->next;
  }
  while (*link && keep >= (*link)->size) {
    keep -= (*link)->size;
    last = *link;
    link = &last->next;
  }
  if (keep > 0) {
    SLUICE_CHECK(*link);
    (*link)->size = static_cast<uint32_t>(keep);
    last = *link;
    link = &last->next;
  }
  ChainNode* rest = *link;
  *link = nullptr;
  tail_ = last;
  tail_is_copy_ = false;
  while (rest) {
    ChainNode* next = rest->next;
    if (rest == cursor_) cursor_ = nullptr;
    if (rest->slot) Lease::adopt(rest->slot);
    memory_->nodes.give_back(rest);
    rest = next;
  }
  bytes_ = static_cast<uint32_t>(count);
  if (count == 0) {
    cursor_ = nullptr;
    cursor_offset_ = 0;
    if (!keep_)
      while (head_) drop_front();
  }
}

void Chain::clear() {
  while (head_) drop_front();
  cursor_ = nullptr;
  cursor_offset_ = 0;
  bytes_ = 0;
  consumed_ = 0;
}

void Chain::keep_consumed(bool keep) {
  if (keep && !keep_ && cursor_) {
    // The part of the front slice that has left is not kept.
    cursor_->data += cursor_offset_;
    cursor_->size -= cursor_offset_;
    cursor_offset_ = 0;
  }
  keep_ = keep;
  if (keep) return;
  while (head_ != cursor_) drop_front();
  consumed_ = 0;
}

bool Chain::keeps_in(const SlotPool& pool) const {
  uint64_t left = consumed_;
  for (ChainNode* node = head_; node && left > 0; node = node->next) {
    if (lies_in(*node, pool)) return true;
    left -= std::min<uint64_t>(left, node->size);
  }
  return false;
}

bool Chain::holds_in(const SlotPool& pool) const {
  for (ChainNode* node = cursor_; node; node = node->next)
    if (lies_in(*node, pool)) return true;
  return false;
}

void Chain::rewind() {
  SLUICE_CHECK(keep_);
  bytes_ += consumed_;
  consumed_ = 0;
  cursor_ = head_;
  cursor_offset_ = 0;
}

}  // namespace sluice
