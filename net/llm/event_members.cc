#include "net/llm/event_members.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "net/filter/json_text.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace sluice {

namespace {

// Finds names from their ends, by two of their last letters.
class MemberTable {
 public:
  consteval MemberTable() {
    first_.fill(kNone);
    for (uint8_t i = 0; i < kNone; ++i)
      next_[i] = std::exchange(first_[slot_of(kMemberNames[i])], i);
  }

  // The member whose name, in quotes, `text` ends with. False: it is none.
  bool find(std::string_view text, Member& member) const {
    if (text.size() <= kTailBytes || text.back() != '"') return false;
    text.remove_suffix(1);
    uint8_t i = first_[slot_of(text)];
    while (i != kNone && !ends_with_quoted(text, kMemberNames[i])) i = next_[i];
    member = static_cast<Member>(i);
    return i != kNone;
  }

 private:
  static constexpr size_t kTailBytes = 4;
  static constexpr uint8_t kNone = kMemberNames.size();

  static constexpr size_t slot_of(std::string_view text) {
    auto letter = [text](size_t from_end) {
      return size_t{static_cast<uint8_t>(text[text.size() - from_end])};
    };
    return (letter(1) * 16 + letter(kTailBytes)) % 128;
  }
  static bool ends_with_quoted(std::string_view text, std::string_view name) {
    if (text.size() <= name.size()) return false;
    const char* begin = text.data() + text.size() - name.size();
    return begin[-1] == '"' && std::memcmp(begin, name.data(), name.size()) == 0;
  }

  std::array<uint8_t, 128> first_{};
  std::array<uint8_t, kMemberNames.size()> next_{};  // with the same slot
};
constexpr MemberTable kMembers;

constexpr size_t kBlockBytes = 64;

// A bit for each byte that is a colon behind a quote or a blank: what may end a name. It reads the
// byte before the block, too.
#if defined(__SSE2__)
uint64_t name_ends(const char* block) {
  auto ends = [block](size_t at) {
    const __m128i blank = _mm_set1_epi8(' ');  // or what sorts before it
    __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(block + at));
    __m128i before = _mm_loadu_si128(reinterpret_cast<const __m128i*>(block + at - 1));
    __m128i is_quote = _mm_cmpeq_epi8(before, _mm_set1_epi8('"'));
    __m128i is_blank = _mm_cmpeq_epi8(_mm_max_epu8(before, blank), blank);
    __m128i is_colon = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(':'));
    __m128i found = _mm_and_si128(is_colon, _mm_or_si128(is_quote, is_blank));
    return uint64_t{static_cast<uint16_t>(_mm_movemask_epi8(found))} << at;
  };
  return ends(0) | ends(16) | ends(32) | ends(48);
}
#else
uint64_t name_ends(const char* block) {
  uint64_t ends = 0;
  for (unsigned at = 0; at < kBlockBytes; ++at) ends |= uint64_t{block[at] == ':'} << at;
  return ends;
}
#endif

// Of the block that begins at `at`, which is not 0, up to the text's end.
uint64_t name_ends_at(std::string_view json, size_t at) {
  size_t left = json.size() - at;
  if (left >= kBlockBytes) return name_ends(json.data() + at);
  if (json.size() > kBlockBytes)  // look at some bytes again rather than copy the rest
    return name_ends(json.data() + json.size() - kBlockBytes) >> (kBlockBytes - left);
  std::array<char, 1 + kBlockBytes> rest{};
  std::memcpy(rest.data(), json.data() + at - 1, left + 1);
  return name_ends(rest.data() + 1);
}

// Tells of the members: take(which, its colon, where its value begins), which is the text's size
// where that is cut off before. Of those alone whose colon is at `from` or behind. Goes on for as
// long as `take` says true.
template <typename Take>
void each_member(std::string_view json, size_t from, Take take) {
  for (size_t block = std::max<size_t>(from, 1); block < json.size(); block += kBlockBytes) {
    for (uint64_t ends = name_ends_at(json, block); ends != 0; ends &= ends - 1) {
      size_t colon = block + static_cast<size_t>(std::countr_zero(ends));
      size_t end = colon;
      while (end > 0 && is_json_blank(json[end - 1])) --end;
      Member member{};
      if (!kMembers.find(std::string_view(json.data(), end), member)) continue;
      if (!take(member, colon, skip_blanks(json, colon + 1))) return;
    }
  }
}

}  // namespace

bool is_filled(std::string_view json, size_t at) {
  if (at >= json.size()) return false;
  char c = json[at];
  if (c == 'n' || c == 'f') return false;
  if (c == '"') return at + 1 < json.size() && json[at + 1] != '"';
  if (c != '[' && c != '{') return true;
  size_t inner = skip_blanks(json, at + 1);
  return inner < json.size() && json[inner] != ']' && json[inner] != '}';
}

inline void EventMembers::take(Member member, std::string_view data, size_t value) {
  MemberSet bit = set_of(member);
  auto number = static_cast<unsigned>(member);
  if (number < first_.size() && !has(member)) first_[number] = static_cast<uint32_t>(value);
  repeated_ |= present_ & bit;
  present_ |= bit;
  if (is_filled(data, value)) filled_ |= bit;
  if (member == Member::kUsage) may_have_usage_ |= value < data.size() && data[value] == '{';
  if (member == Member::kError) may_be_error_ = true;
  if (member == Member::kObject) may_be_error_ |= data.substr(value).starts_with("\"error\"");
}

EventMembers::EventMembers(std::string_view data) {
  each_member(data, 0, [&](Member member, size_t, size_t value) {
    take(member, data, value);
    return true;
  });
}

// Nothing behind the name of `delta` decides on what stands before it: a value before it begins at
// that name's quote at the latest. So equal bytes up to its colon have equal members.
EventMembers SharedBegin::members_of(std::string_view data) {
  bool known = size_ > 0 && data.starts_with(std::string_view(bytes_.data(), size_));
  EventMembers members;
  if (known) members = members_;
  each_member(data, known ? size_ : 0, [&](Member member, size_t colon, size_t value) {
    if (member == Member::kDelta && !known && !members.has(member))
      keep(data.substr(0, colon), members);
    members.take(member, data, value);
    return true;
  });
  return members;
}

void SharedBegin::keep(std::string_view begin, const EventMembers& members) {
  if (begin.size() > bytes_.size()) return;
  begin.copy(bytes_.data(), begin.size());
  size_ = static_cast<uint16_t>(begin.size());
  members_ = members;
}

size_t find_member(std::string_view json, Member member) {
  size_t found = EventMembers::kNone;
  each_member(json, 0, [&](Member next, size_t, size_t value) {
    if (next == member) found = value;
    return next != member;
  });
  return found;
}

}  // namespace sluice
