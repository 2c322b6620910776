#include "sse/lines.h"

#include "sse/scan_block.h"
#include "sse/scanner.h"

namespace sluice {

void LineReader::begin_piece() noexcept {
  piece_ = rest_.first();
  piece_end_ = piece_.data() + piece_.size();
  scanned_ = 0;
  ends_ = 0;
}

// False: all of the piece has been scanned.
bool LineReader::next_block() noexcept {
  if (scanned_ >= piece_.size()) return false;
  LineEndMask mask = scan_block(active_scanner().scan64, piece_, scanned_);
  block_ = piece_.data() + scanned_;
  ends_ = mask.lf | mask.cr;
  scanned_ += kScanBytes;
  return true;
}

bool LineReader::next_across_pieces(Pieces& line) noexcept {
  const Pieces start = rest_;
  size_t size = 0;
  const char* end = nullptr;
  do {
    size += rest_.first().size();
    rest_.remove_prefix(rest_.first().size());
    begin_piece();
    if (rest_.empty()) return false;
    end = find_end(piece_.data());
  } while (end == piece_end_);
  auto last = static_cast<size_t>(end - piece_.data());
  line = start.prefix(size + last);
  pass(last, *end);
  return true;
}

}  // namespace sluice
