// A member of a consumer group, by Message DB's rule: a group of a given size deals the streams of
// a category to its members by their cardinal ids, so each stream has one member, and streams of
// one cardinal id have the same, whatever their categories. The rule is Message DB's to the last
// bit, so that consumers of the one may move to the other. Pure, allocates nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace sluice {

// Where a cardinal id stands among all: the first eight bytes of its MD5 as a signed number, and of
// that the magnitude.
uint64_t group_hash(std::string_view cardinal_id);

class GroupMember {
 public:
  // nullopt: a group has a size of at least 1, and members from 0 up to below its size.
  static std::optional<GroupMember> make(int64_t member, int64_t size);

  // No member has a stream that is a whole category, without an id.
  bool takes(std::string_view stream_name) const;

  uint64_t member() const { return member_; }
  uint64_t size() const { return size_; }
  bool operator==(const GroupMember&) const = default;

 private:
  GroupMember(uint64_t member, uint64_t size) : member_(member), size_(size) {}

  uint64_t member_;
  uint64_t size_;
};

}  // namespace sluice
