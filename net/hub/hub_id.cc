#include "net/hub/hub_id.h"

#include <algorithm>

#include "core/text.h"

namespace sluice {

namespace {

constexpr size_t kEpochDigits = 8;
constexpr std::string_view kHex = "0123456789abcdef";

}  // namespace

std::optional<HubId> parse_hub_id(std::string_view text) {
  if (text.size() < kEpochDigits + 2 || text[kEpochDigits] != '.') return std::nullopt;
  HubId id;
  for (char c : text.substr(0, kEpochDigits)) {
    size_t digit = kHex.find(c);
    if (digit == kHex.npos) return std::nullopt;
    id.epoch = id.epoch << 4 | static_cast<uint32_t>(digit);
  }
  std::string_view number = text.substr(kEpochDigits + 1);
  if (number.size() > 1 && number.front() == '0') return std::nullopt;
  // The largest number has no next one, and every id is asked behind.
  std::optional<uint64_t> position = parse_decimal(number, UINT64_MAX - 1);
  if (!position) return std::nullopt;
  id.position = *position;
  return id;
}

void append_epoch(std::string& out, uint32_t epoch) {
  for (unsigned shift = 32; shift > 0; shift -= 4) out += kHex[epoch >> (shift - 4) & 0xf];
}

void append_hub_id(std::string& out, HubId id) {
  append_epoch(out, id.epoch);
  out += '.';
  append_number(out, id.position);
}

}  // namespace sluice
