// A fuzzer's input, read from the front: options and places to cut, then the bytes under test.
// Failed expectations of the unit tests' checks end the run, so that libFuzzer keeps the input.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

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

inline void stop_at_failures() {
  ::testing::FLAGS_gtest_break_on_failure = true;
}

}  // namespace sluice::test
