#include "net/stream/outbox.h"

#include <algorithm>

#include "core/check.h"
#include "net/base/limits.h"

namespace sluice {

namespace {

iovec piece_of(std::string_view bytes) {
  return {const_cast<char*>(bytes.data()), bytes.size()};
}

}  // namespace

bool Outbox::append_head(std::string_view bytes, bool ours) {
  SLUICE_CHECK(chain_.bytes() == head_left_);
  if (!chain_.append_block(bytes, ours)) return false;
  head_left_ += static_cast<uint32_t>(bytes.size());
  head_total_ += static_cast<uint32_t>(bytes.size());
  return true;
}

void Outbox::abandon() {
  chain_.clear();
  packer_.reset();
  head_left_ = head_total_ = 0;
  batch_head_ = batch_body_ = 0;
  prefix_at_ = prefix_size_ = 0;
  suffix_at_ = suffix_size_ = 0;
}

// Decides what the next batch holds: as many bytes as the pieces cover. If it has no head, they
// describe its body.
void Outbox::begin_batch(std::span<iovec> pieces, uint64_t bytes_max) {
  if (packer_ && chain_.bytes() == head_left_ && !packer_->ended())
    packer_->pack(chain_, finished_);
  uint64_t head = 0;
  size_t used = 0;
  if (head_left_ > 0)
    used = chain_.fill(pieces.first(pieces.size() - 3), 0,
                       std::min<uint64_t>(head_left_, bytes_max), &head);
  uint64_t body = 0;
  uint64_t bodies = chain_.bytes() - head_left_;
  size_t room = pieces.size() - used;
  if (head == head_left_ && bodies > 0 && room > 3 && head < bytes_max)
    chain_.fill(pieces.first(room - 2), head, std::min<uint64_t>(bodies, bytes_max - head), &body);
  batch_head_ = static_cast<uint32_t>(head);
  batch_body_ = static_cast<uint32_t>(body);
  prefix_at_ = prefix_size_ = 0;
  suffix_at_ = suffix_size_ = 0;
  if (framing_) {
    bool last = finished_ && head == head_left_ && body == bodies && !end_sent_ &&
                (!packer_ || packer_->ended());
    if (body > 0) {
      prefix_size_ = static_cast<uint8_t>(framing_->write_prefix(prefix_.data(), body));
      suffix_size_ = static_cast<uint8_t>(last ? framing_->ends.size() : framing_->end_size);
    } else if (last) {
      suffix_at_ = static_cast<uint8_t>(framing_->end_size);
      suffix_size_ = static_cast<uint8_t>(framing_->ends.size() - framing_->end_size);
    }
    end_sent_ |= last;
  }
  in_place_ = framing_ && batch_head_ == 0 && batch_body_ > 0 && frame_in_place();
}

bool Outbox::frame_in_place() {
  std::string_view suffix = framing_->ends.substr(0, suffix_size_);
  char* body = chain_.surroundings(batch_body_, prefix_size_, suffix_size_);
  if (!body) return chain_.stands_between(batch_body_, {prefix_.data(), prefix_size_}, suffix);
  std::copy_n(prefix_.data(), prefix_size_, body - prefix_size_);
  suffix.copy(body + batch_body_, suffix.size());
  return true;
}

size_t Outbox::build(std::span<iovec> pieces, uint64_t bytes_max) {
  bool begins = !batch_under_way();
  if (begins) begin_batch(pieces, bytes_max);
  if (!batch_under_way()) return 0;
  size_t used = 0;
  uint64_t covered = 0;
  // Once the body has left, its slot is no longer ours: the rest of the suffix is sent from below.
  if (in_place_ && batch_body_ > 0) {
    if (!begins) chain_.fill(pieces.first(1), 0, batch_body_, &covered);
    pieces[0] = {static_cast<char*>(pieces[0].iov_base) - prefix_size_, batch_bytes()};
    return 1;
  }
  if (batch_head_ > 0) used = chain_.fill(pieces, 0, batch_head_, &covered);
  if (prefix_size_ > 0) pieces[used++] = {prefix_.data() + prefix_at_, prefix_size_};
  if (batch_body_ > 0) {
    uint64_t body = 0;
    used += chain_.fill(pieces.subspan(used), batch_head_, batch_body_, &body);
    SLUICE_CHECK(body == batch_body_);
  }
  if (suffix_size_ > 0) pieces[used++] = piece_of(framing_->ends.substr(suffix_at_, suffix_size_));
  return used;
}

uint64_t Outbox::sent(uint64_t bytes) {
  SLUICE_CHECK(bytes <= batch_bytes());
  auto head = static_cast<uint32_t>(std::min<uint64_t>(bytes, batch_head_));
  batch_head_ -= head;
  head_left_ -= head;
  bytes -= head;
  auto prefix = static_cast<uint8_t>(std::min<uint64_t>(bytes, prefix_size_));
  prefix_at_ = static_cast<uint8_t>(prefix_at_ + prefix);
  prefix_size_ = static_cast<uint8_t>(prefix_size_ - prefix);
  bytes -= prefix;
  auto body = static_cast<uint32_t>(std::min<uint64_t>(bytes, batch_body_));
  batch_body_ -= body;
  auto suffix = static_cast<uint8_t>(bytes - body);
  suffix_at_ = static_cast<uint8_t>(suffix_at_ + suffix);
  suffix_size_ = static_cast<uint8_t>(suffix_size_ - suffix);
  const Slot* slot = chain_.front_slot();
  chain_.consume(uint64_t{head} + body);
  gave_way_ = chain_.front_slot() != slot || chain_.empty();
  return body;
}

void Outbox::copy_head(std::string& into) const {
  std::array<iovec, 8> pieces;
  into.clear();
  while (into.size() < head_left_) {
    uint64_t covered = 0;
    size_t used = chain_.fill(pieces, into.size(), head_left_ - into.size(), &covered);
    SLUICE_CHECK(used > 0);
    for (const iovec& piece : std::span(pieces).first(used))
      into.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
  }
}

void Outbox::take_head(size_t bytes) {
  SLUICE_CHECK(!batch_under_way() && bytes <= head_left_);
  head_left_ -= static_cast<uint32_t>(bytes);
  chain_.consume(bytes);
}

void Outbox::rewind() {
  chain_.rewind();
  head_left_ = head_total_;
  end_sent_ = false;
  batch_head_ = batch_body_ = 0;
  prefix_at_ = prefix_size_ = 0;
  suffix_at_ = suffix_size_ = 0;
}

}  // namespace sluice
