#include "net/tls/record_reader.h"

#include <algorithm>

namespace sluice {

// True once header_ is there.
bool RecordReader::complete_header(std::span<char>* wire) {
  size_t more =
      std::min(kRecordHeaderBytes - std::min(part_size_, kRecordHeaderBytes), wire->size());
  std::copy_n(wire->begin(), more, header_.begin() + static_cast<ptrdiff_t>(part_size_));
  part_size_ += more;
  *wire = wire->subspan(more);
  return part_size_ >= kRecordHeaderBytes;
}

std::span<char> RecordReader::next(Lease* in, std::span<char>* wire, SlotPool& slots,
                                   RecordBytes* record_bytes) {
  if (part_size_ == 0 && wire->size() >= kRecordHeaderBytes) {
    size_t size = record_bytes(wire->data());
    if (size > 0 && wire->size() >= size) {
      std::span<char> record = wire->first(size);
      *wire = wire->subspan(size);
      return record;
    }
  }
  if (!complete_header(wire)) return {};
  size_t size = record_bytes(header_.data());
  if (size == 0) return header_;
  size_t more = std::min(size - part_size_, wire->size());
  part_.append(wire->data(), more);
  part_size_ += more;
  *wire = wire->subspan(more);
  if (part_size_ < size) return {};
  *in = slots.take_block(static_cast<uint32_t>(size), /*ours=*/true);
  std::ranges::copy(header_, in->data());
  std::ranges::copy(part_, in->data() + kRecordHeaderBytes);
  std::string().swap(part_);  // with its memory: most records come in one piece
  part_size_ = 0;
  return {in->data(), size};
}

}  // namespace sluice
