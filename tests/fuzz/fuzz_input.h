// A fuzzer's input, read from the front: options and places to cut, then the bytes under test.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <vector>

namespace sluice::test {

class FuzzInput {
 public:
  FuzzInput(const uint8_t* data, size_t size) : bytes_(reinterpret_cast<const char*>(data), size) {}

  uint8_t byte() {
    if (bytes_.empty()) return 0;
    auto value = static_cast<uint8_t>(bytes_.front());
    bytes_.remove_prefix(1);
    return value;
  }

  // Up to `size` bytes.
  std::string_view take(size_t size) {
    std::string_view taken = bytes_.substr(0, size);
    bytes_.remove_prefix(taken.size());
    return taken;
  }

  // Up to 15 offsets, ascending, for rest() of at most 64 KiB.
  std::vector<size_t> cuts() {
    std::vector<size_t> cuts(byte() % 16);
    for (size_t& cut : cuts) {
      cut = byte();
      // Most cuts are near the front, so that short inputs are cut, too.
      if (cut >= 192) cut = (cut - 192) << 8 | byte();
    }
    for (size_t& cut : cuts) cut = std::min(cut, bytes_.size());
    std::sort(cuts.begin(), cuts.end());
    return cuts;
  }

  std::string_view rest() const { return bytes_; }

 private:
  std::string_view bytes_;
};

}  // namespace sluice::test
