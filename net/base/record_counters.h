// What lean records (net/tls/lean_transform.h) have done, as closed sets: the kinds of records, and
// what was wrong with a client's. The counters are plain integers that only their worker's thread
// writes; the names are the labels that operators see. Records of OpenSSL's own are not counted.
#pragma once

#include <array>
#include <cstdint>

namespace sluice {

enum class RecordKind : uint8_t { kData, kHandshake, kAlert };
inline constexpr unsigned kRecordKinds = static_cast<unsigned>(RecordKind::kAlert) + 1;
const char* record_kind_name(RecordKind kind);

// By the alert that says so (RFC 8446 section 6.2); the last is the client's own word.
enum class RecordError : uint8_t {
  kUnexpectedMessage,
  kBadRecordMac,
  kRecordOverflow,
  kIllegalParameter,
  kDecodeError,
  kInternalError,
  kByPeer,
};
inline constexpr unsigned kRecordErrors = static_cast<unsigned>(RecordError::kByPeer) + 1;
const char* record_error_name(RecordError error);

struct RecordCounters {
  static uint64_t& of(std::array<uint64_t, kRecordKinds>& records, RecordKind kind) {
    return records[static_cast<unsigned>(kind)];
  }

  uint64_t connections = 0;  // that have gone on without the SSL object
  std::array<uint64_t, kRecordKinds> sealed{};
  std::array<uint64_t, kRecordKinds> opened{};
  uint64_t key_updates_sent = 0;
  uint64_t key_updates_received = 0;
  std::array<uint64_t, kRecordErrors> errors{};
};

}  // namespace sluice
