#include "net/hub/group.h"

#include "net/hub/md5.h"
#include "net/hub/names.h"

namespace sluice {

uint64_t group_hash(std::string_view cardinal_id) {
  std::array<uint8_t, 16> sum = md5(cardinal_id);
  uint64_t value = 0;
  for (unsigned i = 0; i < sizeof(value); ++i) value = value << 8 | sum[i];
  // The magnitude of INT64_MIN has no place in an int64_t; here it has.
  bool negative = value >> 63 != 0;
  return negative ? 0 - value : value;
}

std::optional<GroupMember> GroupMember::make(int64_t member, int64_t size) {
  if (size < 1 || member < 0 || member >= size) return std::nullopt;
  return GroupMember(static_cast<uint64_t>(member), static_cast<uint64_t>(size));
}

bool GroupMember::takes(std::string_view stream_name) const {
  std::optional<std::string_view> cardinal_id = cardinal_id_of(stream_name);
  return cardinal_id && group_hash(*cardinal_id) % size_ == member_;
}

}  // namespace sluice
