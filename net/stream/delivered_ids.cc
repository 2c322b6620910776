#include "net/stream/delivered_ids.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <optional>

#include "core/text.h"
#include "net/base/limits.h"

namespace sluice {

namespace {

constexpr size_t kSizeBytes = sizeof(uint16_t);
constexpr size_t kFirstBlock = 128;
constexpr size_t kDigitsMax = 18;

// A number as it is counted: without leading zeros, so that equal numbers are equal ids.
std::optional<uint64_t> number_of(std::string_view id) {
  if (id.empty() || id.size() > kDigitsMax || (id.front() == '0' && id.size() > 1)) return {};
  return parse_decimal(id);
}

// Whether a request's field can say it so that its reader sees the same.
bool can_be_asked_for(std::string_view id) {
  auto is_blank = [](char c) { return c == ' ' || c == '\t'; };
  if (is_blank(id.front()) || is_blank(id.back())) return false;
  return std::ranges::all_of(
      id, [](char c) { return c == '\t' || (static_cast<unsigned char>(c) >= ' ' && c != 0x7f); });
}

uint16_t size_at(const char* entry) {
  uint16_t size;
  std::memcpy(&size, entry, kSizeBytes);
  return size;
}

}  // namespace

void DeliveredIds::remember(const Pieces& pieces) {
  last_size_ = 0;
  std::array<char, limits::kHealIdBytes> room;
  if (pieces.empty() || pieces.size() > room.size()) return;
  std::string_view id = pieces.flat(room);
  std::optional<uint64_t> number = number_of(id);
  if (!number && !can_be_asked_for(id)) return;
  bool goes_on = number && is_number_run() && *number == last_number_ + 1;
  if (!goes_on) push_numbers();
  if (number) {
    if (!goes_on) first_number_ = *number;
    last_number_ = *number;
  } else if (!push(id)) {
    return;
  }
  last_size_ = static_cast<uint32_t>(id.size());
}

std::string_view DeliveredIds::last() {
  if (last_size_ == 0) return {};
  if (!is_number_run()) return {block_.get() + last_at_, last_size_};
  std::to_chars(number_text_.data(), number_text_.data() + number_text_.size(), last_number_);
  return {number_text_.data(), last_size_};
}

// The run of numbers is over: those of them that are remembered become ids like others.
void DeliveredIds::push_numbers() {
  if (!is_number_run()) return;
  uint64_t count = std::min<uint64_t>(last_number_ - first_number_ + 1, count_max_);
  for (uint64_t number = last_number_ - count + 1; number <= last_number_; ++number) {
    char* end =
        std::to_chars(number_text_.data(), number_text_.data() + number_text_.size(), number).ptr;
    (void)push({number_text_.data(), static_cast<size_t>(end - number_text_.data())});
  }
  first_number_ = 1;
  last_number_ = 0;
}

// False: there is no memory for it.
bool DeliveredIds::push(std::string_view id) {
  if (count_ == count_max_) drop_oldest();
  if (!make_room(kSizeBytes + id.size())) return false;
  auto size = static_cast<uint16_t>(id.size());
  std::memcpy(block_.get() + end_, &size, kSizeBytes);
  id.copy(block_.get() + end_ + kSizeBytes, size);
  last_at_ = end_ + static_cast<uint32_t>(kSizeBytes);
  end_ += static_cast<uint32_t>(kSizeBytes) + size;
  ++count_;
  return true;
}

void DeliveredIds::drop_oldest() {
  begin_ += kSizeBytes + size_at(block_.get() + begin_);
  --count_;
}

// Of the block at least half is free behind each move, so that moves are rare.
bool DeliveredIds::make_room(size_t bytes) {
  if (end_ + bytes <= capacity_) return true;
  size_t wanted = std::max<size_t>(capacity_, kFirstBlock);
  while ((end_ - begin_ + bytes) * 2 > wanted && wanted < limits::kHealBlockBytes) wanted *= 2;
  if (wanted > capacity_ && resize(wanted) && end_ + bytes <= capacity_) return true;
  while (count_ > 0 && (end_ - begin_ + bytes) * 2 > capacity_) drop_oldest();
  if (end_ > begin_) std::memmove(block_.get(), block_.get() + begin_, end_ - begin_);
  end_ -= begin_;
  begin_ = 0;
  return end_ + bytes <= capacity_;
}

// A block of that size in the place of this one, with the ids at its front.
bool DeliveredIds::resize(size_t bytes) {
  if (!memory_.charge(&capacity_, static_cast<uint32_t>(bytes))) return false;
  std::unique_ptr<char[]> block;
  if (bytes > 0) {
    block = std::make_unique_for_overwrite<char[]>(bytes);
    if (end_ > begin_) std::memcpy(block.get(), block_.get() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  block_ = std::move(block);
  return true;
}

bool DeliveredIds::contains(const Pieces& pieces) const {
  std::array<char, limits::kHealIdBytes> room;
  if (pieces.empty() || pieces.size() > room.size()) return false;
  std::string_view id = pieces.flat(room);
  if (std::optional<uint64_t> number = number_of(id);
      number && *number >= first_number_ && *number <= last_number_)
    return true;
  for (uint32_t at = begin_; at < end_;) {
    const char* entry = block_.get() + at;
    if (id == std::string_view(entry + kSizeBytes, size_at(entry))) return true;
    at += kSizeBytes + size_at(entry);
  }
  return false;
}

bool DeliveredIds::repeat() const {
  for (uint32_t at = begin_; at < end_; at += kSizeBytes + size_at(block_.get() + at)) {
    const char* entry = block_.get() + at;
    std::string_view id(entry + kSizeBytes, size_at(entry));
    if (std::optional<uint64_t> number = number_of(id);
        number && *number >= first_number_ && *number <= last_number_)
      return true;
    for (uint32_t behind = at + kSizeBytes + size_at(entry); behind < end_;) {
      const char* other = block_.get() + behind;
      if (id == std::string_view(other + kSizeBytes, size_at(other))) return true;
      behind += kSizeBytes + size_at(other);
    }
  }
  return false;
}

DeliveredIds::Place DeliveredIds::place_of(const Pieces& pieces) const {
  std::array<char, kDigitsMax> room;
  if (pieces.empty() || pieces.size() > room.size()) return Place::kUnknown;
  std::optional<uint64_t> number = number_of(pieces.flat(room));
  if (!number || !is_number_run()) return Place::kUnknown;
  if (*number == last_number_ + 1) return Place::kNext;
  if (*number < first_number_) return Place::kEarlier;
  // Ids with gaps of their own tell nothing.
  return last_number_ > first_number_ ? Place::kLater : Place::kUnknown;
}

}  // namespace sluice
