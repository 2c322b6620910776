// Which members of an event's data speak of its role or its usage, in any dialect, at any depth:
// found in one pass over the bytes, in which no value is read. Within JSON's strings quotes are
// escaped, so a quote before a colon ends a name, and nothing has to be walked. A name that is
// spelt with escapes is not known. Of data that is no JSON anything may be found, within its
// bounds. A plain value, any thread; allocates nothing.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sluice {

// In the order of kMemberNames. Of the first four their place is told, too.
enum class Member : uint8_t {
  kDelta,
  kText,
  kChoices,
  kSequenceNumber,
  kData,
  kAudio,
  kError,
  kInput,
  kUsage,
  kObject,
  kContent,
  kMessage,
  kRefusal,
  kCitation,
  kResponse,
  kThinking,
  kReasoning,
  kSignature,
  kToolCalls,
  kStopReason,
  kPartialJson,
  kFinishReason,
  kFunctionCall,
  kReasoningContent,
  kReasoningDetails,
};
inline constexpr std::array<std::string_view, 25> kMemberNames = {"delta",
                                                                  "text",
                                                                  "choices",
                                                                  "sequence_number",
                                                                  "data",
                                                                  "audio",
                                                                  "error",
                                                                  "input",
                                                                  "usage",
                                                                  "object",
                                                                  "content",
                                                                  "message",
                                                                  "refusal",
                                                                  "citation",
                                                                  "response",
                                                                  "thinking",
                                                                  "reasoning",
                                                                  "signature",
                                                                  "tool_calls",
                                                                  "stop_reason",
                                                                  "partial_json",
                                                                  "finish_reason",
                                                                  "function_call",
                                                                  "reasoning_content",
                                                                  "reasoning_details"};
inline constexpr size_t kPlacedMembers = 4;

// A bit for each.
using MemberSet = uint32_t;
template <typename... Members>
constexpr MemberSet set_of(Members... members) {
  return ((MemberSet{1} << static_cast<unsigned>(members)) | ...);
}

class EventMembers {
 public:
  static constexpr size_t kNone = std::string_view::npos;

  EventMembers() = default;
  explicit EventMembers(std::string_view data);

  bool has(Member member) const { return (present_ & set_of(member)) != 0; }
  // There is another of that name.
  bool repeats(Member member) const { return (repeated_ & set_of(member)) != 0; }
  // Where the value begins of the first one, which is one of kPlacedMembers; kNone: there is none.
  size_t first(Member member) const {
    return has(member) ? first_[static_cast<unsigned>(member)] : kNone;
  }
  // Any of them has a value that is not null, false, "", [] or {}.
  bool any_filled(MemberSet set) const { return (filled_ & set) != 0; }
  bool filled(Member member) const { return any_filled(set_of(member)); }
  // `usage` with an object: `"usage":null` stands in each chunk of OpenAI's but one.
  bool may_have_usage() const { return may_have_usage_; }
  // An `error` with whatever value, or an `object` that is one.
  bool may_be_error() const { return may_be_error_; }

 private:
  friend class SharedBegin;

  void take(Member member, std::string_view data, size_t value);

  MemberSet present_ = 0;
  MemberSet filled_ = 0;
  MemberSet repeated_ = 0;
  bool may_have_usage_ = false;
  bool may_be_error_ = false;
  std::array<uint32_t, kPlacedMembers> first_{};
};

// The begin that one stream's events share: what stands before their first `delta` is mostly the
// same in all of them, as OpenAI's ids, model and choices are. It is kept with its members, and
// where it comes again only the rest is looked at. One a stream, owned by it, on its thread.
class SharedBegin {
 public:
  // Exactly those of EventMembers(data).
  EventMembers members_of(std::string_view data);

 private:
  static constexpr size_t kBytesMax = 286;

  void keep(std::string_view begin, const EventMembers& members);

  EventMembers members_;  // whose names end before the end of the bytes
  uint16_t size_ = 0;     // 0: there are none
  std::array<char, kBytesMax> bytes_;
};

// Where the value begins of the first member with that name; kNone: there is none.
size_t find_member(std::string_view json, Member member);

// The value that begins there is not null, false, "", [] or {}.
bool is_filled(std::string_view json, size_t at);

}  // namespace sluice
