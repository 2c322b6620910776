#include "net/base/record_counters.h"

namespace sluice {

const char* record_kind_name(RecordKind kind) {
  constexpr const char* kNames[kRecordKinds] = {"data", "handshake", "alert"};
  return kNames[static_cast<unsigned>(kind)];
}

const char* record_error_name(RecordError error) {
  constexpr const char* kNames[kRecordErrors] = {
      "unexpected_message", "bad_record_mac", "record_overflow", "illegal_parameter",
      "decode_error",       "internal_error", "by_peer"};
  return kNames[static_cast<unsigned>(error)];
}

}  // namespace sluice
