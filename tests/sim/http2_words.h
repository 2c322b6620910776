// The words of HTTP/2 that a simulated client uses: types of frames, flags, codes, and pieces of
// frames. Without state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tests/sim/http2_fields.h"
#include "tests/sim/world.h"
#include "tests/unit/http2/frames_testing.h"

namespace sluice::sim {

using test::frame;
using test::SeenFrame;

// RFC 9113 section 6; those that are not here no server sends to this client.
enum FrameType : uint8_t {
  kData = 0,
  kHeaders = 1,
  kResetStream = 3,
  kSettings = 4,
  kPing = 6,
  kGoAway = 7,
  kWindowUpdate = 8,
  kContinuation = 9,
  kPriorityUpdate = 16,
};
inline constexpr uint8_t kEndStream = 1;
inline constexpr uint8_t kAck = 1;
inline constexpr uint8_t kEndHeaders = 4;
inline constexpr uint8_t kPadded = 8;
enum Code : uint8_t { kNoError = 0, kInternalError = 2, kRefusedStream = 7, kCancel = 8 };

inline constexpr unsigned kAttemptsMax = 4;
inline constexpr uint64_t kRoomPollNs = 5 * kMillisecond;
inline constexpr size_t kAmpleRoom = 64 * 1024;
inline constexpr uint64_t kGoAheadNsMax = 3 * kSecond;
inline constexpr size_t kHeaderBytes = 9;
inline constexpr size_t kFrameBytesMax = 16'384;
inline constexpr uint32_t kWideOpen = 1U << 28U;
// Between the word that the process ends and the last answer on a connection that is to stay.
inline constexpr uint64_t kToldLateNs = 400 * kMillisecond;
inline constexpr uint64_t kAnswersWithinNs = 400 * kMillisecond;

inline std::string number(uint32_t value) {
  std::string out;
  for (int shift : {24, 16, 8, 0}) out += static_cast<char>(value >> shift);
  return out;
}

inline uint32_t number_at(std::string_view bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
  return value;
}

inline std::string setting(uint8_t name, uint32_t value) {
  return std::string{'\0', static_cast<char>(name)} + number(value);
}

inline std::string window_update(uint32_t id, uint64_t bytes) {
  return frame(kWindowUpdate, 0, id, number(static_cast<uint32_t>(bytes)));
}

inline std::optional<std::string> value_of(const FieldList& fields, std::string_view name) {
  for (const auto& [field, value] : fields)
    if (field == name) return value;
  return std::nullopt;
}

}  // namespace sluice::sim
