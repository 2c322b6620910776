// Bytes in order that lie in one piece of memory or in several, as an event does that arrived in
// more than one slot. A view: it owns and copies nothing, and what it points at (the pieces, and
// where there are several, the array that names them) has to outlive it. Any thread's.
// In one piece it is a string_view, and first() is all of it. Else a caller goes through it with
// first() and remove_prefix(), or asks for a copy with flat().
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string_view>

namespace sluice {

class Pieces {
 public:
  Pieces() = default;
  Pieces(std::string_view bytes) : first_(bytes), size_(bytes.size()) {}
  explicit Pieces(std::span<const std::string_view> pieces) : next_(pieces.data()) {
    for (std::string_view piece : pieces) size_ += piece.size();
    find_first(0);
  }

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  bool in_one_piece() const { return first_.size() == size_; }
  // Those in the first piece: at least one, unless there are none.
  std::string_view first() const { return first_; }

  // `count` is at most size().
  void remove_prefix(size_t count) {
    size_ -= count;
    if (count < first_.size())
      first_.remove_prefix(count);
    else
      find_first(count - first_.size());
  }
  Pieces prefix(size_t count) const {
    Pieces part = *this;
    part.first_ = first_.substr(0, count);
    part.size_ = count;
    return part;
  }

  // The bytes in one piece: where they lie, or as a copy in `room`, which has size() bytes.
  std::string_view flat(std::span<char> room) const {
    if (in_one_piece()) return first_;
    size_t copied = 0;
    for (Pieces rest = *this; !rest.empty(); rest.remove_prefix(rest.first_.size()))
      copied += rest.first_.copy(room.data() + copied, rest.first_.size());
    return {room.data(), copied};
  }

 private:
  // The first piece is used up, and so are that many bytes of the next ones.
  void find_first(size_t used) {
    first_ = {};
    while (first_.empty() && size_ > 0) {
      std::string_view piece = *next_++;
      size_t skipped = std::min(used, piece.size());
      used -= skipped;
      first_ = piece.substr(skipped, size_);
    }
  }

  std::string_view first_;
  const std::string_view* next_ = nullptr;  // behind the first
  size_t size_ = 0;
};

}  // namespace sluice
