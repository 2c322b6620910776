// The names of what HTTP/2 counts: error codes (RFC 9113 section 7), and the kinds of frames of
// which a peer may send only so many. Plain values.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace sluice {

// The last stands for all codes that are not known.
inline constexpr std::array<const char*, 15> kHttp2CodeNames = {"no_error",
                                                                "protocol_error",
                                                                "internal_error",
                                                                "flow_control_error",
                                                                "settings_timeout",
                                                                "stream_closed",
                                                                "frame_size_error",
                                                                "refused_stream",
                                                                "cancel",
                                                                "compression_error",
                                                                "connect_error",
                                                                "enhance_your_calm",
                                                                "inadequate_security",
                                                                "http_1_1_required",
                                                                "other"};

constexpr size_t http2_code_index(uint32_t code) {
  return code < kHttp2CodeNames.size() ? code : kHttp2CodeNames.size() - 1;
}

// Frames that ask for no answer of use.
enum class Http2Flood : uint8_t {
  kSettings,
  kPing,
  kReset,         // of streams, by the client (CVE-2023-44487)
  kProvoked,      // resets by us, for frames that break a rule (CVE-2025-8671)
  kEmptyData,     // neither bytes nor an end
  kWindowUpdate,  // beyond those that answer what was sent
  kPriority,
  kUnknown,   // types of frames that we do not know
  kLateData,  // of streams that we have reset
  kGoAway,
  kContinuation,  // of a head that does not end (CVE-2024-28182)
};
inline constexpr std::array<const char*, 11> kHttp2FloodNames = {
    "settings", "ping",    "reset",     "provoked", "empty_data",  "window_update",
    "priority", "unknown", "late_data", "goaway",   "continuation"};

}  // namespace sluice
